//! The failover benchmark, how long clients wait when something fails: three state nodes and two edges on Kafka, one
//! command after the other to every entity, and for each fault the longest wait of each entity that it concerned.
//!
//! Where Kafka itself is away, a bare client of it waits in the same run: what is beyond its wait is ours.
//!
//! A wait counts from the moment at which a command was due, not from when it could be sent.

mod rows;
mod stage;
mod report;
mod fault;
mod load;
mod bare;
mod ready;
mod owners;
mod cluster;

use anyhow::Result;
use clap::Parser;

use crate::figures::unpin;
use cluster::{Brokers, Cluster};
use fault::Fault;
use report::Report;
pub(crate) use rows::{rolling, takeover};
use stage::Stage;

/// What is measured, and how often.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Asked {
    /// How often each fault happens
    #[arg(long, default_value_t = 20)]
    trials: u32,
    /// Entities with a client each; a command is due every --every-ms on each
    #[arg(long, default_value_t = 24)]
    entities: u32,
    /// Milliseconds between two commands to one entity: the finest pause that is seen
    #[arg(long, default_value_t = 25)]
    every_ms: u64,
    /// After so many minutes a fault's remaining trials are left out
    #[arg(long, default_value_t = 12)]
    row_minutes: u64,
    /// Only these faults; all of them otherwise
    #[arg(long, value_enum)]
    only: Vec<Fault>,
    /// So many more entities of 200 bytes that nobody uses, and one of 4 MiB
    #[arg(long, default_value_t = 0)]
    cells: u32,
}

/// Prints a Markdown document: for each fault the waits, a histogram, and what was lost.
pub(crate) fn measure(asked: &Asked) -> Result<()> {
    unpin();
    let mut report = Report::of(asked);
    for brokers in [Brokers::One, Brokers::Three] {
        let wanted = |fault: &Fault| asked.only.is_empty() || asked.only.contains(fault);
        let faults: Vec<_> = Fault::on(brokers).filter(wanted).collect();
        if faults.is_empty() {
            continue;
        }
        let mut stage = Stage::set(Cluster::start(brokers)?, asked)?;
        for fault in faults {
            eprintln!("{fault:?}: {} trials", asked.trials);
            report.add(stage.trials(fault, asked.trials)?);
        }
    }
    println!("{report}");
    Ok(())
}
