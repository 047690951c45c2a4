//! The round-trip benchmark, W1: durable commands at moments fixed in advance over many sockets, beside a bare websocket
//! echo, and one that appends and syncs before it answers.

use std::time::Duration;

use anyhow::Result;

use crate::client::{put, sow};
use crate::floor::Bare;
use crate::load::Load;
use crate::node::{Home, Node};
use crate::report::{Goal, Row};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;

const RATES: [u32; 3] = [1_000, 5_000, 10_000];
/// Of the text in a command.
const BYTES: usize = 100;

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let (sockets, entities) = scale.pick((200, 1_000), (10, 20));
    let lasting = scale.pick(Duration::from_secs(3), Duration::from_millis(500));
    let home = Home::new("")?;
    let node = Node::start(&home)?;
    sow(&node.door, entities, BYTES).await?;
    let file = home.path().join("floor");
    let syncing = Bare::start(&home, &["echo", "--sync", &file.to_string_lossy()])?;
    let echoing = Bare::start(&home, &["echo"])?;
    let cells = || (0..sockets).map(|cell| format!("cell/{cell}"));
    let mut ours = Load::join(&node.door, cells(), 0, put(BYTES)).await?;
    let mut syncs = Load::join(&syncing.door, cells(), 0, put(BYTES)).await?;
    let mut echoes = Load::join(&echoing.door, cells(), 0, put(BYTES)).await?;

    let mut rows = Vec::new();
    for rate in scale.pick(&RATES[..], &RATES[..1]) {
        let mut seen = Seen::NOTHING;
        let (mut of_syncs, mut of_ours, mut of_echoes) = <(Rounds, Rounds, Rounds)>::default();
        for _ in 0..scale.rounds() {
            for (load, rounds) in [
                (&mut syncs, &mut of_syncs),
                (&mut ours, &mut of_ours),
                (&mut echoes, &mut of_echoes),
            ] {
                let run = load.at(*rate, lasting)?;
                rounds.add(&run.latencies);
                seen = seen.and(run.seen);
            }
        }
        let case = format!("{rate}/s over {sockets} connections");
        let row = |what, share| Row::of("W1", &case, what, "ms", of_ours.at(share, "platform"));
        let stored = |share| of_syncs.at(share, "append + fdatasync + websocket echo");
        let echo = of_echoes.at(0.5, "websocket echo");
        let all = [
            row("p50", 0.5)
                .beside(stored(0.5))
                .wanted(Goal::AboveFloorAtMost(0.15)),
            row("p99", 0.99)
                .beside(stored(0.99))
                .wanted(Goal::RatioAtMost(1.3)),
            row("p50 over an echo that stores nothing", 0.5).beside(echo),
        ];
        rows.extend(all.map(|row| row.seen(seen)));
    }
    Ok(rows)
}
