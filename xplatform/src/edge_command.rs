//! `xp edge`: one edge, until it is interrupted.

use std::io::Write;

use anyhow::{Context, Result, bail};
use xp_cluster::members::End;
use xp_runtime::{Config, Edge, StartError};
use xp_transport::Clock;

use crate::Domain;
use crate::command_line::EdgeOnly;
use crate::configuration::{self, Overrides};
use crate::process::stderr::say;
use crate::process::{self, Asked, Replaced, Signals, advise, log_place};

/// Runs until the first Ctrl-C or SIGTERM, drains, and ends; the second one ends at once.
pub(crate) async fn run(asked: EdgeOnly, domain: &Domain) -> Result<()> {
    process::log_to_stderr()?;
    let overrides = Overrides {
        listen: asked.listen,
        edge_name: asked.name,
        ..Overrides::default()
    };
    let loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    process::files::raise(Some(&loaded.config.edge.limits));
    process::hosts_something(domain)?;
    process::shares_its_log(&loaded, "edge")?;
    process::development_secret(&loaded.config)?;
    let mut signals = Signals::listen()?;
    let config = loaded.config.clone();
    let starting = Edge::start(config, domain.registry(), Clock::system());
    let edge = tokio::select! {
        edge = starting => edge.map_err(|error| advise(error, &loaded))?,
        () = signals.stop() => return Ok(()),
    };
    let config = &loaded.config;
    writeln!(std::io::stdout(), "{}", ready(config, &edge)).context("stdout cannot be written")?;
    live(edge, config, &mut signals).await
}

/// Through as many incarnations as it takes.
async fn live(mut edge: Edge, config: &Config, signals: &mut Signals) -> Result<()> {
    loop {
        let evicted = tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return drain(edge, signals).await,
                Asked::Reread => {
                    edge.reread();
                    continue;
                }
            },
            evicted = edge.evicted() => evicted,
        };
        if evicted == End::Replaced {
            edge.kill().await;
            return Err(replaced(config));
        }
        say("the cluster had not heard of this edge for too long; it joins again");
        edge = tokio::select! {
            // Its sockets are closed, and it is no member: there is nobody to say goodbye to.
            () = signals.stop() => return Ok(()),
            edge = edge.rejoin() => match edge {
                Err(StartError::Taken(_)) => return Err(replaced(config)),
                edge => edge?,
            },
        };
        say(&ready(config, &edge));
    }
}

fn replaced(config: &Config) -> anyhow::Error {
    let (name, key) = (config.edge.name.clone(), "edge.name");
    Replaced { name, key }.into()
}

fn ready(config: &Config, edge: &Edge) -> String {
    let scheme = if config.edge.tls.is_some() {
        "wss"
    } else {
        "ws"
    };
    format!(
        "edge {} listening on {scheme}://{} (outbound partition {}; {})",
        config.edge.name,
        edge.addr(),
        edge.outbound(),
        log_place(config)
    )
}

async fn drain(edge: Edge, signals: &mut Signals) -> Result<()> {
    say("draining; interrupt again to stop at once");
    tokio::select! {
        () = edge.stop() => Ok(()),
        () = signals.stop() => bail!("stopped before everybody was sent away; clients come back elsewhere with what they were doing"),
    }
}
