//! Edge and state node as processes of their own on one Kafka broker, beside three bare hops through the same broker
//! with the same client library.
//!
//! Nothing is pinned: the broker alone wants both cores of a small machine.

mod installation;
mod floor;

use std::time::Duration;

use anyhow::Result;

use crate::client::{keep, put};
use crate::figures::unpin;
use crate::load::Load;
use crate::report::{Goal, Row, Series};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;
use floor::Floor;
use installation::{Cpu, Installation, PARTS, Part};

const RATES: [u32; 3] = [100, 1_000, 3_000];
const SOCKETS: u32 = 50;
const BYTES: usize = 100;
const PARTITIONS: u32 = 8;
const MANY_PARTITIONS: u32 = 64;
const DURABILITY: &str = "acknowledged by one broker, page cache";

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    unpin();
    let installation = Installation::start(PARTITIONS)?;
    let mut rows = roundtrips(&installation, scale).await?;
    rows.extend(throughput(&installation, scale).await?);
    rows.extend(idle(&installation, PARTITIONS, scale).await?);
    drop(installation);
    let many = Installation::start(MANY_PARTITIONS)?;
    rows.extend(idle(&many, MANY_PARTITIONS, scale).await?);
    Ok(rows
        .into_iter()
        .map(|row| row.durable(DURABILITY))
        .collect())
}

async fn roundtrips(installation: &Installation, scale: Scale) -> Result<Vec<Row>> {
    let lasting = scale.pick(Duration::from_secs(3), Duration::from_millis(500));
    let floor = Floor::start(&installation.bootstrap(), PARTITIONS).await?;
    let cells = (0..SOCKETS).map(|cell| format!("cell/{cell}"));
    let mut load = Load::join(installation.door(), cells, 0, put(BYTES)).await?;
    let mut rows = Vec::new();
    for rate in RATES {
        let (mut bare, mut ours) = <(Rounds, Rounds)>::default();
        let (mut seen, mut costs) = (Seen::NOTHING, Vec::new());
        for _ in 0..scale.rounds() {
            let (latencies, achieved) = floor.run(rate, lasting)?;
            bare.add(&latencies);
            let cpu = installation.cpu()?;
            let run = load.at(rate, lasting)?;
            costs.push(
                installation
                    .cpu()?
                    .since(&cpu)
                    .per(ours.add(&run.latencies)),
            );
            seen = seen.and(run.seen);
            seen.achieved = seen.achieved.min(achieved);
        }
        let case = format!("Kafka, {rate}/s over {SOCKETS} connections");
        let floor = "three bare hops";
        for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
            let row = Row::of("W1", &case, what, "ms", ours.at(share, "platform"));
            let row = row.beside(bare.at(share, floor));
            rows.push(row.wanted(Goal::RatioAtMost(1.3)).seen(seen));
        }
        rows.extend(parts(&case, "CPU per command", "µs", &costs, seen));
    }
    Ok(rows)
}

/// A row for each process.
fn parts(case: &str, what: &str, unit: &str, costs: &[Cpu], seen: Seen) -> Vec<Row> {
    let row = |(name, of): Part| {
        let rounds = costs.iter().map(of).collect();
        Row::of(
            "W1",
            case,
            &format!("{what}, {name}"),
            unit,
            Series::of(name, rounds),
        )
        .seen(seen)
    };
    PARTS.map(row).to_vec()
}

/// 64 clients that send ahead.
async fn throughput(installation: &Installation, scale: Scale) -> Result<Vec<Row>> {
    const CLIENTS: u32 = 64;
    let (at_once, count) = scale.pick((4_096, 64_000), (640, 640));
    let cells = (0..CLIENTS).map(|cell| format!("cell/ahead-{cell}"));
    let mut load = Load::join(installation.door(), cells, 1_000, keep(BYTES)).await?;
    let (mut rates, mut costs, mut seen) = (Vec::new(), Vec::new(), Seen::NOTHING);
    for _ in 0..scale.rounds() {
        let cpu = installation.cpu()?;
        let run = load.ahead(at_once, count)?;
        rates.push(count as f64 / run.took.as_secs_f64());
        costs.push(installation.cpu()?.since(&cpu).per(count));
        seen = seen.and(run.seen);
    }
    let case = format!("Kafka, {CLIENTS} clients, {at_once} commands on the way");
    let rate = Series::of("platform", rates);
    let mut rows = vec![Row::of("W1", &case, "commands", "per second", rate).seen(seen)];
    rows.extend(parts(&case, "CPU per command", "µs", &costs, seen));
    Ok(rows)
}

async fn idle(installation: &Installation, partitions: u32, scale: Scale) -> Result<Vec<Row>> {
    let lasting = scale.pick(Duration::from_secs(10), Duration::from_millis(500));
    // What starting left behind is done with by then.
    tokio::time::sleep(lasting / 2).await;
    let cpu = installation.cpu()?;
    tokio::time::sleep(lasting).await;
    let share = installation.cpu()?.since(&cpu).share(lasting);
    let case = format!("Kafka, idle with {partitions} partitions");
    let rows = parts(&case, "share of a core", "%", &[share], Seen::NOTHING);
    let ours = rows.into_iter().take(2);
    Ok(ours.map(|row| row.wanted(Goal::AtMost(1.0))).collect())
}
