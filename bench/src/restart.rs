//! The restart benchmark, W5 on one machine: for how long commands are not acknowledged when the process dies under load,
//! beside the start of a process that reads the same files.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::client::{Client, grow, put, sow};
use crate::figures::{ms, now};
use crate::floor::start_and_read;
use crate::load::{Acknowledged, Load};
use crate::node::{Door, Home, Node};
use crate::report::{Goal, Row, Series};
use crate::scale::Scale;
use crate::verdict::Seen;

const CELL_BYTES: usize = 200;
/// Entities under load, with a socket each.
const SOCKETS: u32 = 50;

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let (cells, trials) = scale.pick((100_000, 20), (500, 1));
    let (rate, lasting) = scale.pick(
        (5_000, Duration::from_secs(2)),
        (500, Duration::from_secs(1)),
    );
    let home = Home::new("")?;
    let mut node = Node::start(&home)?;
    sow(&node.door, cells, CELL_BYTES).await?;
    grow(&node.door).await?;
    let (mut floor, mut first, mut longest) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = Seen::NOTHING;
    for trial in 0..trials {
        floor.push(ms(start_and_read(&home)?));
        let addresses = (0..SOCKETS).map(address);
        let mut load =
            Load::join(&node.door, addresses, session(trial, 0), put(CELL_BYTES)).await?;
        let (mut killed, mut dying) = (None, Some(node));
        load.until_killed(rate, lasting, || {
            killed = Some(now());
            dying.take().context("it dies once")?.kill()
        })?;
        let killed = killed.context("it was killed under load")?;
        node = Node::start(&home)?;
        let back = come_back(&node.door, trial, load.acknowledged()?).await?;
        seen.lost += back.iter().map(|one| one.lost).sum::<u64>();
        let answers = || back.iter().map(|one| one.answered);
        let soonest = answers().min().context("there are entities")?;
        first.push(ms(soonest - killed));
        let silences = back.iter().map(|one| ms(one.answered - one.silent_since));
        longest.push(silences.fold(0.0, f64::max));
    }
    let case =
        format!("restart, {cells} entities of {CELL_BYTES} B and one of 4 MiB, {rate} commands/s");
    let floor = Series::of("process start + read of its files", floor);
    let row = |what, rounds| Row::of("W5", &case, what, "ms", Series::of("platform", rounds));
    let rows = [
        row("kill -9 to the first answer", first).wanted(Goal::AtMost(300.0)),
        row("longest silence of any entity", longest),
    ];
    Ok(rows
        .map(|row| row.beside(floor.clone()).seen(seen))
        .to_vec())
}

fn address(socket: u32) -> String {
    format!("cell/{socket}")
}

fn session(trial: u32, socket: u32) -> u32 {
    2_000_000 + trial * SOCKETS + socket
}

/// An entity after the restart.
struct Back {
    silent_since: Instant,
    answered: Instant,
    /// Commands that were acknowledged before, and are unknown now.
    lost: u64,
}

/// Each client with its session, at once.
async fn come_back(door: &Door, trial: u32, before: Vec<Acknowledged>) -> Result<Vec<Back>> {
    let mut coming = JoinSet::new();
    for (socket, before) in (0..).zip(before) {
        let door = door.clone();
        coming.spawn(async move {
            let session = session(trial, socket);
            let mut client = Client::join(&door, &address(socket), session).await?;
            let lost = before.count.saturating_sub(client.taken());
            client.command(&put(CELL_BYTES)).await?;
            anyhow::Ok(Back {
                silent_since: before.last,
                answered: now(),
                lost,
            })
        });
    }
    coming.join_all().await.into_iter().collect()
}
