//! Edge and state node as processes of their own on one Kafka broker, beside three bare hops through the same broker
//! with the same client library.
//!
//! Nothing is pinned: the broker alone wants both cores of a small machine.

mod installation;
mod load;
mod floor;
mod pace;

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::figures::{Spread, median, now, unpin};
use crate::pipeline::send_all;
use floor::Floor;
use installation::{Cpu, Installation};
use load::Load;
use pace::Pace;

const RATES: [u32; 3] = [100, 1_000, 3_000];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const PARTITIONS: u32 = 8;
const MANY_PARTITIONS: u32 = 64;
/// A run that sends less than it should measured the generator.
const ACHIEVED_LEAST: f64 = 0.99;

/// Open loop: a command's latency counts from the moment it should have been sent.
pub(crate) async fn measure() -> Result<()> {
    unpin();
    println!(
        "kafka, one broker, an edge and a state node (durability: acknowledged by the one broker, page cache)"
    );
    let installation = Installation::start(PARTITIONS)?;
    let floor = Floor::start(&installation.bootstrap(), PARTITIONS).await?;
    let mut load = Load::join(installation.door()).await?;
    for rate in RATES {
        roundtrips(&installation, &floor, &mut load, rate).await?;
    }
    drop((floor, load));
    throughput(&installation).await?;
    idle(&installation, PARTITIONS).await?;
    drop(installation);
    idle(&Installation::start(MANY_PARTITIONS)?, MANY_PARTITIONS).await
}

async fn roundtrips(
    installation: &Installation,
    floor: &Floor,
    load: &mut Load,
    rate: u32,
) -> Result<()> {
    let (mut bare, mut ours, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    let pace = Pace::of(rate, ROUND);
    let mut achieved = 1.0_f64;
    for _ in 0..ROUNDS {
        let run = floor.run(pace)?;
        achieved = achieved.min(run.achieved);
        bare.push(Spread::of(run.latencies));
        let cpu = installation.cpu()?;
        let run = load.run(pace).await?;
        achieved = achieved.min(run.achieved);
        costs.push(installation.cpu()?.since(&cpu).per(pace.count()));
        ours.push(Spread::of(run.latencies));
    }
    let middle = |spreads: &[Spread], share: f64| {
        median(
            spreads
                .iter()
                .map(|s| s.at(share).as_secs_f64() * 1e3)
                .collect(),
        )
    };
    let (bare50, bare99) = (middle(&bare, 0.5), middle(&bare, 0.99));
    let (ours50, ours99) = (middle(&ours, 0.5), middle(&ours, 0.99));
    println!("  {rate} msg/s (medians of {ROUNDS} rounds of {ROUND:?})");
    println!("    three bare hops   p50 {bare50:.2} ms  p99 {bare99:.2} ms");
    println!("    command to reply  p50 {ours50:.2} ms  p99 {ours99:.2} ms");
    println!(
        "    ratio             p50 {:.2}  p99 {:.2}",
        ours50 / bare50,
        ours99 / bare99
    );
    println!("    CPU each          {}", Cpu::median(&costs));
    if achieved < ACHIEVED_LEAST {
        println!(
            "    VOID: only {:.1} % of the rate was reached",
            achieved * 100.0
        );
    }
    Ok(())
}

const CLIENTS: u32 = 64;
const COMMANDS: u64 = 1_000;

async fn throughput(installation: &Installation) -> Result<()> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u32 {
        let mut running: JoinSet<Result<()>> = JoinSet::new();
        let (mut clients, cpu) = (Vec::new(), installation.cpu()?);
        for client in 0..CLIENTS {
            let session = 1_000 + round * CLIENTS + client;
            let address = format!("cell/{client}");
            clients.push(Client::join(installation.door(), &address, session).await?);
        }
        let began = now();
        for client in clients {
            running.spawn(send_all(client, COMMANDS));
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        let commands = u64::from(CLIENTS) * COMMANDS;
        rates.push(commands as f64 / began.elapsed().as_secs_f64());
        costs.push(installation.cpu()?.since(&cpu).per(commands));
    }
    println!("  {CLIENTS} clients that send ahead, an entity each (medians of {ROUNDS})");
    println!(
        "    {:.0} commands/s, CPU each {}",
        median(rates),
        Cpu::median(&costs)
    );
    Ok(())
}

const IDLE: Duration = Duration::from_secs(10);

async fn idle(installation: &Installation, partitions: u32) -> Result<()> {
    // What starting left behind is done with by then.
    tokio::time::sleep(IDLE / 2).await;
    let cpu = installation.cpu()?;
    tokio::time::sleep(IDLE).await;
    let share = installation.cpu()?.since(&cpu).share(IDLE);
    println!("  idle with {partitions} partitions, of one core: {share}");
    Ok(())
}
