//! `xp dev`: everything in one process, until it is interrupted.

mod greeting;

use std::io::Write;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;
use xp_cluster::members::End;
use xp_runtime::{Platform, StartError, Starting};
use xp_transport::Clock;

use crate::Domain;
use crate::command_line::Dev;
use crate::configuration::{self, Loaded, Overrides};
use crate::process::stderr::say;
use crate::process::{self, Asked, Replaced, Signals, advise, progress};
use crate::status_server::StatusServer;
use greeting::Greeting;

/// Runs until the first Ctrl-C or SIGTERM, drains, and ends; the second one ends at once.
pub(crate) async fn run(asked: Dev, domain: &Domain, program: String) -> Result<()> {
    let began = Instant::now();
    process::log_to_stderr()?;
    let overrides = Overrides {
        listen: asked.listen,
        ..Overrides::default()
    };
    let mut loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    // Whoever develops is told what an attacker would like to know.
    loaded.config.state_node.explains = true;
    loaded.config.edge.explains = true;
    process::files::raise(Some(&loaded.config.edge.limits));
    process::hosts_something(domain)?;
    let secret = process::development_secret(&loaded.config)?;
    let mut signals = Signals::listen()?;
    let status_server = StatusServer::of(&mut loaded.config).await?;
    let Some(platform) = start(&loaded, domain, &mut signals).await? else {
        return Ok(());
    };
    let greeting = Greeting {
        program: &program,
        asked: &asked,
        config: &loaded.config,
        addr: platform.addr(),
        categories: domain.categories(),
        token: secret.map(|secret| greeting::token(&secret, Clock::system().now())),
        took: began.elapsed(),
    };
    writeln!(std::io::stdout(), "{greeting}").context("the greeting cannot be printed")?;
    live(platform, &loaded, &status_server, &mut signals).await
}

/// Through as many incarnations as it takes.
async fn live(
    mut platform: Platform,
    loaded: &Loaded,
    status_server: &Option<StatusServer>,
    signals: &mut Signals,
) -> Result<()> {
    loop {
        if let Some(status_server) = status_server {
            status_server.show(platform.observer());
        }
        let evicted = tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return drain(platform, signals).await,
                Asked::Reread => {
                    platform.reread();
                    continue;
                }
            },
            evicted = platform.evicted() => evicted,
        };
        if evicted == End::Replaced {
            platform.kill().await;
            return Err(replaced(loaded));
        }
        say("one half of this process had not heard of the other for too long; it joins again");
        platform = tokio::select! {
            () = signals.stop() => return Ok(()),
            platform = platform.rejoin() => match platform {
                Err(StartError::Taken(_)) => return Err(replaced(loaded)),
                platform => platform.map_err(|error| advise(error, loaded))?,
            },
        };
    }
}

fn replaced(loaded: &Loaded) -> anyhow::Error {
    let name = loaded.config.state_node.name.clone();
    let key = "state-node.name and edge.name";
    Replaced { name, key }.into()
}

async fn drain(platform: Platform, signals: &mut Signals) -> Result<()> {
    say("draining; interrupt again to stop at once");
    tokio::select! {
        stopped = platform.stop() => Ok(stopped?),
        () = signals.stop() => bail!("stopped before everything was drained; the log holds all that was acknowledged"),
    }
}

/// `None` when it was interrupted before it was up.
async fn start(
    loaded: &Loaded,
    domain: &Domain,
    signals: &mut Signals,
) -> Result<Option<Platform>> {
    let config = loaded.config.clone();
    let starting = Starting::open(config, domain.registry().clone(), Clock::system());
    let starting = tokio::select! {
        starting = starting => starting.map_err(|error| advise(error, loaded))?,
        () = signals.stop() => return Ok(None),
    };
    let interrupted = tokio::select! {
        replayed = progress::show(starting.node(), starting.node().replayed()) => {
            replayed.map_err(|error| advise(error, loaded))?;
            false
        }
        () = signals.stop() => true,
    };
    if interrupted {
        starting.stop().await?;
        return Ok(None);
    }
    let platform = starting
        .serve()
        .await
        .map_err(|error| advise(error, loaded))?;
    Ok(Some(platform))
}
