//! Benchmarks of the platform on this machine, in one process on the embedded log and as processes on Kafka, beside a
//! floor in the same run.
//!
//! `cargo run --release -p xp-bench -- all`. Server and generator are processes of their own; on two cores they are
//! pinned apart. Every workload prints the floor that it was measured beside, and what its durability was.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod failover;
mod kafka;
mod fanout;
mod memory;
mod pipeline;
mod restart;
mod roundtrip;
mod client;
mod wire;
mod node;
mod figures;

use anyhow::Result;
use clap::Parser;

/// Measure the platform in one process on the embedded log
#[derive(Clone, Debug, Parser)]
enum Workload {
    /// 1,000 sequential durable commands, beside a bare append + fdatasync
    Roundtrip,
    /// 64 clients that send ahead as far as their window allows
    Pipeline,
    /// One entity, 1,000 subscribers
    Fanout,
    /// Resident memory with 100,000 entities and with 5,000 idle connections
    Memory,
    /// From `kill -9` and a restart to the first answer, with 100,000 entities
    Restart,
    /// Edge and state node as processes on one Kafka broker, beside three bare hops through it
    Kafka,
    /// How long clients wait when a state node, a partition or a broker goes
    Failover(failover::Asked),
    /// All of them but `failover`, one after the other
    All,
}

fn main() -> Result<()> {
    let workload = Workload::parse();
    if let Workload::Failover(asked) = &workload {
        return failover::measure(asked);
    }
    figures::pin_to(figures::GENERATOR_CORE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(workload))
}

async fn measure(workload: Workload) -> Result<()> {
    use Workload::{All, Fanout, Kafka, Memory, Pipeline, Restart, Roundtrip};
    if matches!(workload, Roundtrip | All) {
        roundtrip::measure().await?;
    }
    if matches!(workload, Pipeline | All) {
        pipeline::measure().await?;
    }
    if matches!(workload, Fanout | All) {
        fanout::measure().await?;
    }
    if matches!(workload, Memory | All) {
        memory::measure().await?;
    }
    if matches!(workload, Restart | All) {
        restart::measure().await?;
    }
    if matches!(workload, Kafka | All) {
        kafka::measure().await?;
    }
    Ok(())
}
