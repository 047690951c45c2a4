//! The restart benchmark: how long clients wait for an answer when the process dies.

use anyhow::Result;

use crate::client::{Client, put, sow};
use crate::figures::{Spread, now};
use crate::node::{Home, Node};

const CELLS: u32 = 100_000;
const CELL_BYTES: usize = 200;
const TRIALS: u32 = 20;

/// From the kill to the reply to the first command of a new session.
pub(crate) async fn measure() -> Result<()> {
    let home = Home::new("")?;
    let mut node = Node::start(&home)?;
    sow(&node.door, CELLS, CELL_BYTES).await?;
    let mut pauses = Vec::new();
    for trial in 0..TRIALS {
        let began = now();
        node.kill()?;
        node = Node::start(&home)?;
        let mut client =
            Client::join(&node.door, &format!("cell/{trial}"), 2_000_000 + trial).await?;
        client.command(&put(CELL_BYTES)).await?;
        pauses.push(began.elapsed());
    }
    println!("restart after kill -9, {CELLS} entities of {CELL_BYTES} B: kill to first answer");
    println!("  {} ({TRIALS} trials)\n", Spread::of(pauses));
    Ok(())
}
