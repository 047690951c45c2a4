//! `xp state-node`: one state node, until it is interrupted.

use std::io::Write;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;
use xp_cluster::members::End;
use xp_runtime::{Config, StartError, StateNode};
use xp_state_node::PartitionState;
use xp_transport::Clock;

use crate::Domain;
use crate::command_line::StateNodeOnly;
use crate::configuration::{self, Overrides};
use crate::process::stderr::say;
use crate::process::{self, Asked, Replaced, Signals, advise, log_place, progress};
use crate::status_server::StatusServer;

/// Runs until the first Ctrl-C or SIGTERM, stops in order, and ends; the second one ends at once.
pub(crate) async fn run(asked: StateNodeOnly, domain: &Domain) -> Result<()> {
    let began = Instant::now();
    process::log_to_stderr()?;
    let overrides = Overrides {
        state_node_name: asked.name,
        ..Overrides::default()
    };
    let mut loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    process::files::raise(None);
    process::hosts_something(domain)?;
    process::shares_its_log(&loaded, "state-node")?;
    let mut signals = Signals::listen()?;
    let status_server = StatusServer::of(&mut loaded.config).await?;
    let opening = StateNode::open(&loaded.config, domain.registry().clone(), Clock::system());
    let node = tokio::select! {
        node = opening => node.map_err(|error| advise(error, &loaded))?,
        () = signals.stop() => return Ok(()),
    };
    live(node, &loaded.config, (began, &status_server), &mut signals).await
}

/// Through as many incarnations as it takes.
async fn live(
    mut node: StateNode,
    config: &Config,
    (began, status_server): (Instant, &Option<StatusServer>),
    signals: &mut Signals,
) -> Result<()> {
    loop {
        if let Some(status_server) = status_server {
            status_server.show(node.observer());
        }
        let ended = tokio::select! {
            ended = serve(&node, config, began) => ended,
            () = stops(signals) => return stop(node, signals).await,
            _ = node.evicted() => Ok(()),
        };
        // An evicted node's partitions stop as well, and that may be noticed first.
        let Some(end) = node.eviction() else {
            node.kill().await;
            return ended;
        };
        if end == End::Replaced {
            node.kill().await;
            return Err(replaced(config));
        }
        say("the cluster had not heard of this state node for too long; it joins again");
        node = tokio::select! {
            // It is no member: there is nothing to hand over and nobody to say goodbye to.
            () = signals.stop() => return Ok(()),
            node = node.rejoin() => match node {
                Err(StartError::Taken(_)) => return Err(replaced(config)),
                node => node?,
            },
        };
    }
}

/// Waits for the request to stop. A state node has no doors.
async fn stops(signals: &mut Signals) {
    while signals.next().await == Asked::Reread {
        say(
            "SIGHUP: a state node has no files that are read again; certificates and passwords for Kafka, and the configuration, are read when it starts",
        );
    }
}

fn replaced(config: &Config) -> anyhow::Error {
    let (name, key) = (config.state_node.name.clone(), "state-node.name");
    Replaced { name, key }.into()
}

/// Says when it is ready. Ends when there is nothing left to serve.
async fn serve(node: &StateNode, config: &Config, began: Instant) -> Result<()> {
    let states = progress::show(node, node.settled()).await;
    let count = |wanted| states.values().filter(|state| **state == wanted).count();
    let (owned, mirrored) = (
        count(PartitionState::Owned),
        count(PartitionState::Mirroring),
    );
    // Who may own nothing for now waits for others to go.
    if owned + mirrored > 0 || states.is_empty() {
        let line = format!(
            "state-node {} owns {owned} {} of {} {} and mirrors {mirrored} ({} records replayed in {:.1} s; {})",
            config.state_node.name,
            plural(owned, "partition"),
            config.lanes.len(),
            plural(config.lanes.len(), "lane"),
            node.progress().0,
            began.elapsed().as_secs_f64(),
            log_place(config),
        );
        writeln!(std::io::stdout(), "{line}").context("stdout cannot be written")?;
    }
    node.ended().await;
    bail!("no partition can go on: {}", reasons(node).await)
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

/// Each reason once, with the first partition that has it.
async fn reasons(node: &StateNode) -> String {
    let mut reasons: Vec<(String, String)> = Vec::new();
    for (partition, state) in node.settled().await {
        let PartitionState::Stopped(Some(reason)) = state else {
            continue;
        };
        if !reasons.iter().any(|(_, known)| *known == reason) {
            reasons.push((partition.to_string(), reason));
        }
    }
    let reasons = reasons
        .iter()
        .map(|(partition, reason)| format!("{partition}: {reason}"));
    reasons.collect::<Vec<_>>().join("; ")
}

async fn stop(node: StateNode, signals: &mut Signals) -> Result<()> {
    say("stopping; interrupt again to stop at once");
    tokio::select! {
        stopped = node.stop() => Ok(stopped?),
        () = signals.stop() => bail!("stopped before everything was stored; the log holds all that was acknowledged"),
    }
}
