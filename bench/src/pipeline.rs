//! The pipeline benchmark: many clients that send ahead, for which group commit and batches are made.

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::{Client, head, keep};
use crate::figures::{median, now};
use crate::node::{Home, Node};

const CLIENTS: u32 = 64;
/// As far as the edge lets a client run ahead.
const WINDOW: u64 = 64;
const COMMANDS: u64 = 4_000;
const ROUNDS: u32 = 5;
const BYTES: usize = 100;

/// Once with an entity for each client, once with all on the same.
pub(crate) async fn measure() -> Result<()> {
    println!(
        "pipeline, {CLIENTS} clients, {WINDOW} commands of {BYTES} bytes ahead (durability: fsync group)"
    );
    let own = |client: u32| format!("cell/{client}");
    let same = |_: u32| "cell/hot".to_owned();
    run("an entity for each client", own).await?;
    run("one entity for all", same).await?;
    println!();
    Ok(())
}

async fn run(what: &str, address: impl Fn(u32) -> String) -> Result<()> {
    let home = Home::new("")?;
    let node = Node::start(&home)?;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let session = round * CLIENTS + client;
            clients.push(Client::join(&node.door, &address(client), session).await?);
        }
        let (began, cpu) = (now(), node.cpu()?);
        let mut running: JoinSet<Result<()>> = clients
            .into_iter()
            .map(|client| send_all(client, COMMANDS))
            .collect();
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        let commands = (u64::from(CLIENTS) * COMMANDS) as f64;
        rates.push(commands / began.elapsed().as_secs_f64());
        costs.push((node.cpu()? - cpu) / commands * 1e6);
    }
    println!(
        "  {what}: {:.0} commands/s, {:.1} µs server CPU each (medians of {ROUNDS})",
        median(rates),
        median(costs)
    );
    Ok(())
}

/// One client's share.
pub(crate) async fn send_all(mut client: Client, commands: u64) -> Result<()> {
    let payload = keep(BYTES);
    let (mut sent, mut answered) = (0, 0);
    while answered < commands {
        while sent < commands && sent < answered + WINDOW {
            sent = client.send(&payload);
        }
        client.flush().await?;
        let frame = client.next().await?;
        if let (b"reply", number) = head(&frame)? {
            anyhow::ensure!(
                number == answered + 1,
                "{number} was answered after {answered}"
            );
            answered = number;
        }
    }
    Ok(())
}
