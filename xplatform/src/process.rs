//! Services that every long-running subcommand shares: signals, log lines, exit codes, advice.

pub(crate) mod progress;
pub(crate) mod files;
mod signals;
pub(crate) mod stderr;
mod fields;

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use tracing_subscriber::EnvFilter;
use xp_protocol::plain::plain_lines;
use xp_runtime::backend::BackendError;
use xp_runtime::config::secret_file;
use xp_runtime::{Config, Secret, StartError};

use crate::Domain;
use crate::configuration::Loaded;

pub(crate) use signals::{Asked, Signals};

/// What is logged unless `RUST_LOG` says otherwise: what an operator would want to know, and no library's chatter.
const LOGGED: &str = "info,sled=warn,ractor=warn";

/// The environment's word for a build that is to run without checks of its arithmetic: `allowed`.
const UNCHECKED: &str = "XP_UNCHECKED_ARITHMETIC";

/// Another process took this one's name. Who starts processes must not start this one again.
#[derive(Debug, thiserror::Error)]
#[error(
    "another process named {name:?} took this one's place on the same log; give each its own name ({key}), and stop one of the two"
)]
pub(crate) struct Replaced {
    pub(crate) name: String,
    pub(crate) key: &'static str,
}

/// Logs from now on, and waits for nobody who reads it.
pub(crate) fn log_to_stderr() -> Result<()> {
    let lines = stderr::lines().context("there is no thread to be had for the log")?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields::Plain)
        .with_writer(lines)
        .with_ansi(std::io::stderr().is_terminal());
    // A program that set up its own is left alone.
    if subscriber.try_init().is_ok() {
        stderr::tell_panics();
    }
    Ok(())
}

/// Nobody reads this command's output any more, as when `head` has seen enough: that is no error.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct Unread;

/// To stdout, at once. What a terminal would act on is shown by its number, whoever said it.
pub(crate) fn print(text: &str) -> Result<()> {
    print_to(&mut std::io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> Result<()> {
    let written = out.write_all(plain_lines(text).as_bytes());
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Unread.into()),
        written => Ok(written?),
    }
}

pub(crate) fn hosts_something(domain: &Domain) -> Result<()> {
    if domain.categories().is_empty() {
        bail!("this binary hosts nothing: add `.host::<YourEntity>()` to the Domain in main");
    }
    let allowed = std::env::var(UNCHECKED).is_ok_and(|word| word == "allowed");
    computes_as_tested(domain.is_unchecked(), allowed)
}

/// A domain whose arithmetic wraps in production and panics in its tests decides differently in the two.
fn computes_as_tested(is_unchecked: bool, allowed: bool) -> Result<()> {
    if is_unchecked && !allowed {
        bail!(
            "this build does not check its arithmetic: a sum that overflows would wrap silently, where the tests panic and the message becomes a fault. Add to the Cargo.toml of your workspace\n\n    [profile.release]\n    overflow-checks = true\n\nand build again; or set {UNCHECKED}=allowed, if it shall wrap"
        );
    }
    Ok(())
}

/// A process that is only a part needs a log that others can be on.
pub(crate) fn shares_its_log(loaded: &Loaded, role: &str) -> Result<()> {
    if loaded.config.kafka.is_none() {
        bail!(
            "`xp {role}` needs a log that processes share: add a section [kafka] with brokers = [\"host:9092\"] to the configuration (or set XP__KAFKA__BROKERS='[\"host:9092\"]') and make the topics with `xp topics create`; without Kafka, `xp dev` is the whole platform in one process"
        );
    }
    Ok(())
}

/// The development secret, made when it is missing; `None` when only other keys count.
pub(crate) fn development_secret(config: &Config) -> Result<Option<Secret>> {
    let file = secret_file(&config.data);
    let is_it = |key: &xp_edge::config::Key| key.secret_file.as_ref() == Some(&file);
    if !config.edge.tokens.keys.iter().any(is_it) {
        return Ok(None);
    }
    Ok(Some(Secret::load_or_make(&file)?))
}

/// Where the log is, for people.
pub(crate) fn log_place(config: &Config) -> String {
    match &config.kafka {
        Some(kafka) => format!("Kafka at {}", kafka.brokers.join(", ")),
        None => format!("the log in {}", config.log_dir().display()),
    }
}

/// Adds what to do where the error alone does not say it.
pub(crate) fn advise(error: StartError, loaded: &Loaded) -> anyhow::Error {
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
            "{} cannot be used: make sure that it can be written and that no other process uses it, or choose another directory with --data",
            loaded.config.data.display()
        ),
        StartError::Log(BackendError::Settings(problem)) => {
            format!("Kafka cannot be used ({})", said_by(loaded, &problem.key))
        }
        StartError::Log(BackendError::Connect(_) | BackendError::Topics(_)) => {
            format!(
                "Kafka cannot be used ({})",
                said_by(loaded, "kafka.brokers")
            )
        }
        _ => format!("there is no start on {}", log_place(&loaded.config)),
    };
    anyhow::Error::new(error).context(advice)
}

fn said_by(loaded: &Loaded, key: &str) -> String {
    format!("{key}, {}", loaded.place(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What takes so many bytes, and then its reader is gone.
    struct Head(usize);

    impl Write for Head {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            match taken {
                0 => Err(ErrorKind::BrokenPipe.into()),
                taken => Ok(taken),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_error() {
        assert!(print_to(&mut Head(100), "short").is_ok());
        let gone = print_to(&mut Head(3), "longer").expect_err("nobody reads");
        assert!(gone.is::<Unread>());
    }

    #[test]
    fn what_is_printed_moves_no_terminal() {
        let mut out = Vec::new();
        print_to(&mut out, "{\"id\": \"a\u{9b}2J\"}\n").unwrap();
        assert_eq!(out, b"{\"id\": \"a\\u009b2J\"}\n");
    }

    #[test]
    fn a_build_without_checks_is_refused_unless_it_is_allowed() {
        assert!(computes_as_tested(false, false).is_ok());
        assert!(computes_as_tested(true, true).is_ok());
        let refused = computes_as_tested(true, false).expect_err("it is not allowed");
        let refused = refused.to_string();
        assert!(
            refused.contains("[profile.release]\n    overflow-checks = true"),
            "{refused}"
        );
    }
}
