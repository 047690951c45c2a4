//! One entity that many watch.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Client, head, put};
use crate::figures::{median, now};
use crate::node::{Home, Node};

const SUBSCRIBERS: u32 = 1_000;
const ROUNDS: u32 = 5;
const SECONDS: u32 = 3;
const BYTES: usize = 64;

/// At a moderate and at a high rate of updates.
pub(crate) async fn measure() -> Result<()> {
    println!(
        "fan-out, {SUBSCRIBERS} subscribers of one entity, {BYTES}-byte texts (durability: fsync group)"
    );
    run(200).await?;
    run(1_000).await?;
    println!();
    Ok(())
}

async fn run(rate: u32) -> Result<()> {
    let home = Home::new("")?;
    let node = Node::start(&home)?;
    let mut writer = Client::join(&node.door, "cell/hot", 0).await?;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut watching = JoinSet::new();
        for subscriber in 1..=SUBSCRIBERS {
            let session = round * SUBSCRIBERS + subscriber;
            let watcher = Client::join(&node.door, "cell/hot", session).await?;
            watching.spawn(watch(watcher, rate * SECONDS));
        }
        let (began, cpu) = (now(), node.cpu()?);
        write(&mut writer, rate).await?;
        while let Some(ended) = watching.join_next().await {
            ended??;
        }
        let deliveries = f64::from(rate * SECONDS * SUBSCRIBERS);
        rates.push(deliveries / began.elapsed().as_secs_f64());
        costs.push((node.cpu()? - cpu) / deliveries * 1e6);
    }
    println!(
        "  {rate} updates/s wanted: {:.0} deliveries/s of {}, {:.2} µs server CPU each (medians of {ROUNDS})",
        median(rates),
        rate * SUBSCRIBERS,
        median(costs)
    );
    Ok(())
}

/// Sends at the rate, as far as the window allows, and returns when all is answered.
async fn write(writer: &mut Client, rate: u32) -> Result<()> {
    const WINDOW: u64 = 64;
    let payload = put(BYTES);
    let mut due = interval(Duration::from_secs(1) / rate);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut left, mut open) = (rate * SECONDS, 0);
    while left > 0 || open > 0 {
        tokio::select! {
            _ = due.tick(), if left > 0 && open < WINDOW => {
                writer.send(&payload);
                writer.flush().await?;
                (left, open) = (left - 1, open + 1);
            }
            frame = writer.next() => {
                if let (b"reply", _) = head(&frame?)? {
                    open -= 1;
                }
            }
        }
    }
    Ok(())
}

/// Counts updates; each must have a higher revision than the one before.
async fn watch(mut watcher: Client, updates: u32) -> Result<()> {
    let mut last = 0;
    let mut seen = 0;
    while seen < updates {
        let frame = watcher.next().await?;
        let (verb, revision) = head(&frame)?;
        anyhow::ensure!(
            verb == b"event" && revision > last,
            "{frame:?} came after revision {last}"
        );
        last = revision;
        seen += 1;
    }
    Ok(())
}
