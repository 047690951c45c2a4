//! The memory benchmark: the weight of entities and of idle connections.

use anyhow::Result;

use crate::client::{Client, sow};
use crate::node::{Home, Node};

const CELLS: u32 = 100_000;
const CELL_BYTES: usize = 200;
const IDLE: u32 = 5_000;

/// Resident memory before and after, and what is left when unwatched entities have left memory.
pub(crate) async fn measure() -> Result<()> {
    println!("memory (resident, of the server process)");
    entities().await?;
    connections().await?;
    println!();
    Ok(())
}

async fn entities() -> Result<()> {
    let home = Home::new("[state-node.limits.residents]\npassivate = \"1h\"\n")?;
    let node = Node::start(&home)?;
    let empty = node.resident()?;
    sow(&node.door, CELLS, CELL_BYTES).await?;
    let sown = node.resident()?;
    // Without the process' own history of having written them all.
    node.kill()?;
    let again = Node::start(&home)?;
    let back = again.resident()?;
    println!(
        "  {CELLS} entities of {CELL_BYTES} B: {:.0} MB after writing them (an empty server has {:.0} MB), {:.0} B each; \
         {:.0} MB after a restart",
        sown / 1e6,
        empty / 1e6,
        (sown - empty) / f64::from(CELLS),
        back / 1e6
    );
    Ok(())
}

async fn connections() -> Result<()> {
    let home = Home::new("")?;
    let node = Node::start(&home)?;
    let mut clients = Vec::new();
    let mut join = async |upto: u32| -> Result<()> {
        for session in clients.len() as u32..upto {
            clients.push(
                Client::join(&node.door, &format!("cell/{}", session % 1_000), session).await?,
            );
        }
        Ok(())
    };
    // The first thousand make the entities and warm the allocator.
    join(1_000).await?;
    let few = node.resident()?;
    join(1_000 + IDLE).await?;
    let many = node.resident()?;
    println!(
        "  {IDLE} idle connections: {:.0} MB, {:.1} KiB each, sessions in the entities included",
        (many - few) / 1e6,
        (many - few) / 1024.0 / f64::from(IDLE)
    );
    Ok(())
}
