//! The round-trip benchmark: durable commands one after the other, so that nothing hides the time of one.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use crate::client::{Client, put};
use crate::figures::{Spread, now};
use crate::node::{Home, Node};

const ROUNDS: usize = 5;
const COMMANDS: usize = 1_000;
/// Of the text in a command, and of the floor's writes, which leave room for the envelope.
const BYTES: usize = 100;
const FLOOR_BYTES: usize = 512;

/// Interleaves the floor and ours, and prints both.
pub(crate) async fn measure() -> Result<()> {
    let home = Home::new("")?;
    let node = Node::start(&home)?;
    let mut client = Client::join(&node.door, "cell/1", 1).await?;
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.extend(syncs(&home)?);
        for _ in 0..COMMANDS / ROUNDS {
            let began = now();
            client.command(&put(BYTES)).await?;
            ours.push(began.elapsed());
        }
    }
    let (floor, ours) = (Spread::of(floor), Spread::of(ours));
    println!(
        "roundtrip, {COMMANDS} sequential durable commands of {BYTES} bytes (durability: fsync group)"
    );
    println!("  floor (append {FLOOR_BYTES} B + fdatasync)  {floor}");
    println!("  command to reply                {ours}");
    let ratio = |share| ours.at(share).as_secs_f64() / floor.at(share).as_secs_f64();
    println!(
        "  ratio                           p50 {:.2}  p99 {:.2}\n",
        ratio(0.5),
        ratio(0.99)
    );
    Ok(())
}

fn syncs(home: &Home) -> Result<Vec<Duration>> {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(home.path().join("floor"))?;
    let record = [7; FLOOR_BYTES];
    let one = |_| {
        let began = now();
        file.write_all(&record)?;
        file.sync_data()?;
        Ok(began.elapsed())
    };
    (0..COMMANDS / ROUNDS).map(one).collect()
}
