//! `xp dev`: everything in one process, until it is interrupted.

mod greeting;
mod progress;
mod signals;

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use xp_sandbox::config::secret_file;
use xp_sandbox::{Config, Secret, StartError, Starting};
use xp_transport::Clock;

use crate::Domain;
use crate::command_line::Dev;
use crate::configuration::{self, Loaded, Overrides};
use greeting::Greeting;
use signals::Signals;

/// What is logged unless `RUST_LOG` says otherwise: what an operator would want to know, and no library's chatter.
const LOGGED: &str = "info,sled=warn,ractor=warn";

/// Runs until the first Ctrl-C or SIGTERM, drains, and ends; the second one ends at once.
pub(crate) async fn run(asked: Dev, domain: &Domain, program: String) -> Result<()> {
    let began = Instant::now();
    log_to_stderr();
    let overrides = Overrides {
        listen: asked.listen,
    };
    let loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    if domain.categories().is_empty() {
        bail!("this binary hosts nothing: add `.host::<YourEntity>()` to the Domain in main");
    }
    let secret = Secret::load_or_make(&secret_file(&loaded.config.data))?;
    let mut signals = Signals::listen()?;
    let Some(platform) = start(&loaded, domain, &mut signals).await? else {
        return Ok(());
    };
    let greeting = Greeting {
        program: &program,
        asked: &asked,
        config: &loaded.config,
        addr: platform.addr(),
        categories: domain.categories(),
        token: greeting::token(&loaded.config, &secret, Clock::system().now()),
        took: began.elapsed(),
    };
    writeln!(std::io::stdout(), "{greeting}").context("the greeting cannot be printed")?;
    tokio::select! {
        () = signals.next() => {}
        () = platform.evicted() => {
            platform.kill().await;
            bail!("another process took this one's place on the same log; stop one of the two");
        }
    }
    eprintln!("draining; interrupt again to stop at once");
    tokio::select! {
        () = platform.stop() => Ok(()),
        () = signals.next() => bail!("stopped before everything was drained; the log holds all that was acknowledged"),
    }
}

/// `None` when it was interrupted before it was up.
async fn start(
    loaded: &Loaded,
    domain: &Domain,
    signals: &mut Signals,
) -> Result<Option<xp_sandbox::Platform>> {
    let config = loaded.config.clone();
    let starting = Starting::open(config, domain.registry().clone(), Clock::system());
    let starting = starting.await.map_err(|error| advise(error, loaded))?;
    let interrupted = tokio::select! {
        replayed = progress::show(&starting) => {
            replayed.map_err(|error| advise(error, loaded))?;
            false
        }
        () = signals.next() => true,
    };
    if interrupted {
        starting.stop().await;
        return Ok(None);
    }
    let platform = starting
        .serve()
        .await
        .map_err(|error| advise(error, loaded))?;
    Ok(Some(platform))
}

/// Adds what to do where the error alone does not say it.
fn advise(error: StartError, loaded: &Loaded) -> anyhow::Error {
    let advice = match &error {
        StartError::Edge(xp_edge::StartError::Listen { addr, source })
            if source.kind() == ErrorKind::AddrInUse =>
        {
            format!(
                "{addr} is taken, maybe by another `xp dev`: stop that one, or choose another address with --listen 127.0.0.1:0"
            )
        }
        StartError::Edge(xp_edge::StartError::Listen { .. }) => {
            format!(
                "choose an address of this machine, as in --listen 127.0.0.1:0 ({})",
                said_by(loaded, "edge.listen")
            )
        }
        StartError::Lanes(_) => format!("the lanes do not fit ({})", said_by(loaded, "lanes")),
        StartError::StateNode(xp_state_node::StartError::Store(_)) => format!(
            "{} cannot be used: make sure that it can be written, or choose another directory with --data",
            loaded.config.data.display()
        ),
        _ => format!(
            "the platform does not start on {}",
            loaded.config.data.display()
        ),
    };
    anyhow::Error::new(error).context(advice)
}

fn said_by(loaded: &Loaded, key: &str) -> String {
    format!("{key}, {}", loaded.place(key))
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A program that set up its own is left alone.
    let _ = subscriber.try_init();
}

/// Whether the development secret is among the keys whose tokens count.
fn accepts_development_tokens(config: &Config) -> bool {
    let file = secret_file(&config.data);
    let is_it = |key: &xp_edge::config::Key| matches!(key, xp_edge::config::Key::SecretFile(path) if *path == file);
    config.edge.tokens.keys.iter().any(is_it)
}
