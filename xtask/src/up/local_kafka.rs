//! The Kafka of an installation: the one of `cargo xtask kafka`, which may run for other reasons already.

use crate::kafka;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The local Kafka as the installation sees it.
pub(super) struct LocalKafka {
    root: PathBuf,
    /// There while the installation is the reason that Kafka runs.
    ours: PathBuf,
}

/// What others must know of a Kafka that runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// A line of the configuration's section `kafka`.
    pub(super) brokers: String,
    /// Where it keeps its logs: who keeps what belongs to them keeps it there too.
    pub(super) storage: PathBuf,
}

impl LocalKafka {
    pub(super) fn of(root: &Path, dir: &Path) -> Self {
        Self {
            root: root.to_owned(),
            ours: dir.join("kafka-is-ours"),
        }
    }

    /// `None` when none runs.
    pub(super) fn find(&self) -> Result<Option<Found>> {
        let status = kafka::command(&self.root, &["status"]).output();
        let status = status.context("cannot start cargo")?;
        match status.status.code() {
            Some(0) => parse(&String::from_utf8_lossy(&status.stdout)).map(Some),
            Some(kafka::NOTHING_RUNS) => Ok(None),
            _ => bail!(
                "`cargo xtask kafka status` does not work:\n{}",
                String::from_utf8_lossy(&status.stderr)
            ),
        }
    }

    /// Starts one broker, unless a Kafka runs; whether it did.
    pub(super) fn start(&self) -> Result<bool> {
        let runs = self.find()?.is_some();
        if runs && !self.is_ours() {
            return Ok(false);
        }
        // Before the start: an interrupted one leaves a Kafka that is ours.
        fs::write(&self.ours, "")?;
        // One that runs but does not answer yet is waited for.
        println!("starting Kafka …");
        // What it prints is for who uses it without an installation.
        let output = kafka::command(&self.root, &["start"]).output();
        let output = output.context("cannot start cargo")?;
        if !output.status.success() {
            bail!(
                "Kafka does not start:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(!runs)
    }

    fn is_ours(&self) -> bool {
        self.ours.exists()
    }

    /// Stops it, unless it ran before the installation did; whether it did.
    pub(super) fn stop_if_ours(&self) -> Result<bool> {
        let ours = self.is_ours();
        if ours {
            kafka::run(&self.root, &["stop"])?;
            fs::remove_file(&self.ours)?;
        }
        Ok(ours)
    }
}

fn parse(status: &str) -> Result<Found> {
    let line = |start: &str| {
        let line = status.lines().find(|line| line.starts_with(start));
        line.with_context(|| format!("`kafka status` printed no line with `{start}`:\n{status}"))
    };
    let storage = line("storage: ")?.trim_start_matches("storage: ");
    Ok(Found {
        brokers: line("brokers = ")?.to_owned(),
        storage: PathBuf::from(storage),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_and_storage_are_read_from_what_status_prints() {
        let status = "broker 1: 127.0.0.1:9, pid 7, answers, log x\nbootstrap: 127.0.0.1:9\nstorage: target/kafka/local-1\n\
                      configuration:\n[kafka]\nbrokers = [\"127.0.0.1:9\"]\n";
        let found = parse(status).unwrap();
        assert_eq!(found.brokers, "brokers = [\"127.0.0.1:9\"]");
        assert_eq!(found.storage, Path::new("target/kafka/local-1"));
        assert!(parse("storage: x\n").is_err());
    }
}
