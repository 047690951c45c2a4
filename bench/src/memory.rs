//! The benchmark of many small entities, W4: what each weighs, beside an entry of a map in memory, and whether those that
//! are used are as quick among many as among few.

use std::time::Duration;

use anyhow::Result;

use crate::client::{put, sow};
use crate::figures::now;
use crate::floor::Bare;
use crate::load::Load;
use crate::node::{Home, Node};
use crate::report::{Goal, Row, Series};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;

const CELL_BYTES: usize = 200;
/// State and overhead of one.
const EACH_MOST: f64 = CELL_BYTES as f64 + 160.0;
const FEW: u32 = 10_000;
const RATE: u32 = 1_000;
/// A socket each, and the system has a bound.
const ACTIVE_MOST: u32 = 5_000;
/// How long memory must not have shrunk.
const CALM: Duration = Duration::from_secs(5);
/// How long it may take to forget what is not used.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for cells in scale.pick(&[100_000, 1_000_000][..], &[500]) {
        rows.extend(weight(*cells, scale).await?);
        rows.push(passivated(*cells, scale).await?);
        rows.extend(drift(*cells, scale).await?);
    }
    Ok(rows
        .into_iter()
        .map(|row| row.durable("fsync group"))
        .collect())
}

fn case(cells: u32) -> String {
    format!("{cells} entities of {CELL_BYTES} B")
}

fn keeping() -> Result<Home> {
    Home::new("[state-node.limits.residents]\npassivate = \"1h\"\n")
}

async fn weight(cells: u32, scale: Scale) -> Result<[Row; 2]> {
    let each = |more: f64| more / f64::from(cells);
    let (mut maps, mut sown, mut restarted) = (Vec::new(), Vec::new(), Vec::new());
    // The weight of the same things hardly changes, and a million of them take minutes to write.
    for _ in 0..scale.pick(2, 1) {
        let home = keeping()?;
        let map = |entries: u32| Bare::start(&home, &["map", "--entries", &entries.to_string()]);
        maps.push(each(map(cells)?.resident()? - map(0)?.resident()?));
        let node = Node::start(&home)?;
        let empty = node.resident()?;
        sow(&node.door, cells, CELL_BYTES).await?;
        sown.push(each(node.resident()? - empty));
        // Without the process' own history of having written them all.
        node.kill()?;
        restarted.push(each(Node::start(&home)?.resident()? - empty));
    }
    let row = |what, rounds| {
        Row::of(
            "W4",
            &case(cells),
            what,
            "B",
            Series::of("platform", rounds),
        )
        .beside(Series::of("HashMap<u64, [u8; 200]>", maps.clone()))
        .wanted(Goal::AtMost(EACH_MOST))
        .seen(Seen::NOTHING)
    };
    Ok([
        row("resident each, after writing them", sown),
        row("resident each, after a restart", restarted),
    ])
}

/// What is left of entities that nobody uses.
async fn passivated(cells: u32, scale: Scale) -> Result<Row> {
    let home = Home::new("[state-node.limits.residents]\npassivate = \"1s\"\n")?;
    let node = Node::start(&home)?;
    let empty = node.resident()?;
    sow(&node.door, cells, CELL_BYTES).await?;
    let began = now();
    let (mut least, mut since) = (node.resident()?, began);
    let calm = scale.pick(CALM, CALM / 5);
    while since.elapsed() < calm && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let resident = node.resident()?;
        if resident < least {
            (least, since) = (resident, now());
        }
    }
    let each = (least - empty).max(0.0) / f64::from(cells);
    let ours = Series::of("platform", vec![each]);
    let row = Row::of(
        "W4",
        &case(cells),
        "resident each, when all are passivated",
        "B",
        ours,
    );
    Ok(row.wanted(Goal::AtMost(0.0)))
}

/// One in a hundred is used; beside the same among few entities.
async fn drift(cells: u32, scale: Scale) -> Result<[Row; 2]> {
    let lasting = scale.pick(Duration::from_secs(3), Duration::from_millis(500));
    let few = cells.min(FEW);
    let (few_home, many_home) = (keeping()?, keeping()?);
    let (few_node, many_node) = (Node::start(&few_home)?, Node::start(&many_home)?);
    sow(&few_node.door, few, CELL_BYTES).await?;
    sow(&many_node.door, cells, CELL_BYTES).await?;
    let active = |cells: u32| {
        let count = (cells / 100).clamp(1, ACTIVE_MOST);
        (0..count).map(|cell| format!("cell/{}", cell * 100))
    };
    let mut among_few = Load::join(&few_node.door, active(few), 0, put(CELL_BYTES)).await?;
    let mut among_many = Load::join(&many_node.door, active(cells), 0, put(CELL_BYTES)).await?;
    let (mut floor, mut ours) = <(Rounds, Rounds)>::default();
    let mut seen = Seen::NOTHING;
    for _ in 0..scale.rounds() {
        for (load, rounds) in [(&mut among_few, &mut floor), (&mut among_many, &mut ours)] {
            let run = load.at(RATE, lasting)?;
            rounds.add(&run.latencies);
            seen = seen.and(run.seen);
        }
    }
    let name = format!("{few} entities");
    let row = |what, share| {
        Row::of("W4", &case(cells), what, "ms", ours.at(share, "platform"))
            .beside(floor.at(share, &name))
            .seen(seen)
    };
    Ok([
        row("p50, 1 % active", 0.5),
        row("p99, 1 % active", 0.99).wanted(Goal::RatioAtMost(1.15)),
    ])
}
