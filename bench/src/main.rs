//! Benchmarks of the platform on this machine, in one process on the embedded log and as processes on Kafka, beside a
//! floor in the same run.
//!
//! `cargo run --profile dist -p xp-bench -- all --json FILE`. Server and generator are processes of their own; on two
//! cores they are pinned apart. Every workload prints the floor that it was measured beside, and whether it counts.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod peers;
mod failover;
mod kafka;
mod fanout;
mod memory;
mod pipeline;
mod restart;
mod roundtrip;
mod storm;
mod rounds;
mod load;
mod audience;
mod dialect;
mod client;
mod floor;
mod sockets;
mod http;
mod wire;
mod node;
mod pace;
mod poller;
mod frames;
mod page;
mod report;
mod verdict;
mod machine;
mod figures;
mod scale;
mod domain;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use report::{Report, Row};
use scale::Scale;

/// Measure the platform beside floors in the same run
#[derive(Clone, Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// What to measure
    #[arg(required = true)]
    workloads: Vec<Workload>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Only try that everything works, in a small way
    #[arg(long)]
    smoke: bool,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Roundtrips at 1,000, 5,000 and 10,000 a second
    W1,
    /// Durable commands, more and more on the way at once
    W2,
    /// Fan-out: one entity that many watch
    W3,
    /// Many small entities: what each weighs
    W4,
    /// The longest silence when a process dies: a restart, and a takeover on Kafka
    W5,
    /// The longest silence when state nodes are restarted one after the other, on Kafka
    W6,
    /// Clients that connect, drop and come back
    W7,
    /// W1 on Kafka: edge and state node as processes on one broker, beside three bare hops through it
    Kafka,
    /// All of them
    All,
}

#[derive(Clone, Debug, Subcommand)]
enum Other {
    /// How long clients wait when a state node, a partition or a broker goes
    Failover(failover::Asked),
    /// The platform beside servers of others, which `cargo xtask bench peers` installs
    Peers(peers::Asked),
    /// Make a page with plots from a file of figures
    Page {
        json: PathBuf,
        #[arg(long, default_value = "docs/performance")]
        into: PathBuf,
    },
    #[command(subcommand, hide = true)]
    Floor(floor::Floor),
}

fn main() -> Result<ExitCode> {
    if std::env::var_os(node::HOSTS).is_some() {
        return Ok(domain::run());
    }
    let options = Options::parse();
    match &options.other {
        Some(Other::Peers(asked)) => return beside_peers(asked),
        Some(Other::Failover(asked)) => failover::measure(asked)?,
        Some(Other::Floor(floor)) => floor.clone().run()?,
        Some(Other::Page { json, into }) => page::write(&Report::read(json)?, into)?,
        None => return measure(&options),
    }
    Ok(ExitCode::SUCCESS)
}

/// What peers lose is theirs, and shown; what the platform loses fails the run.
fn beside_peers(asked: &peers::Asked) -> Result<ExitCode> {
    get_ready();
    let mut report = Report::new(commit(), figures::seconds_since_1970(), asked.smoke);
    runtime()?.block_on(peers::measure(asked, &mut report))?;
    if let Some(path) = &asked.json {
        report.write(path)?;
    }
    let mut ours = report
        .rows
        .iter()
        .filter(|row| row.ours.name == peers::PLATFORM);
    Ok(match ours.all(Row::is_whole) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn get_ready() {
    figures::pin_to(figures::GENERATOR_CORE);
    node::allow_many_files();
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

fn measure(options: &Options) -> Result<ExitCode> {
    get_ready();
    let scale = match options.smoke {
        true => Scale::Smoke,
        false => Scale::Full,
    };
    let mut report = Report::new(commit(), figures::seconds_since_1970(), options.smoke);
    let all = options.workloads.contains(&Workload::All);
    for workload in Workload::value_variants() {
        if all || options.workloads.contains(workload) {
            for row in workload.measure(scale)? {
                println!("{row}");
                report.rows.push(row);
            }
        }
    }
    if let Some(path) = &options.json {
        report.write(path)?;
    }
    Ok(match report.is_whole() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Workload {
    fn measure(self, scale: Scale) -> Result<Vec<Row>> {
        let runtime = runtime()?;
        match self {
            Self::W1 => runtime.block_on(roundtrip::measure(scale)),
            Self::W2 => runtime.block_on(pipeline::measure(scale)),
            Self::W3 => runtime.block_on(fanout::measure(scale)),
            Self::W4 => runtime.block_on(memory::measure(scale)),
            Self::W5 => {
                let mut rows = runtime.block_on(restart::measure(scale))?;
                rows.extend(failover::takeover(scale)?);
                Ok(rows)
            }
            Self::W6 => failover::rolling(scale),
            Self::W7 => runtime.block_on(storm::measure(scale)),
            Self::Kafka => {
                let rows = runtime.block_on(kafka::measure(scale));
                figures::pin_to(figures::GENERATOR_CORE);
                rows
            }
            Self::All => Ok(Vec::new()),
        }
    }
}

/// What was checked out, if that is known here.
fn commit() -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    let git = git.ok().filter(|git| git.status.success());
    let name = git.map(|git| String::from_utf8_lossy(&git.stdout).trim().to_owned());
    name.unwrap_or_else(|| "unknown".to_owned())
}
