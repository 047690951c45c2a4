//! A node of an installation as a process in the background: its pid file, its log, and what the log says of it.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xp_background::{PidFile, Process, Stopped, spawn, stop, wait_for};

const LINES_SHOWN: usize = 20;

/// One process of an installation, running or not.
pub(crate) struct Background {
    name: String,
    dir: PathBuf,
    pid_file: PidFile,
}

impl Background {
    /// Its pid file and its log are in this directory.
    pub(crate) fn named(name: &str, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            pid_file: PidFile::at(dir.join(format!("{name}.pid"))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    pub(crate) fn start(&self, command: &mut Command) -> Result<()> {
        let started = self.pid_file.start(|| {
            let log = File::create(self.log());
            let log = log.with_context(|| format!("cannot write {}", self.log().display()))?;
            spawn(command, log)
        });
        started
            .map(drop)
            .with_context(|| format!("cannot start {}", self.name))
    }

    pub(crate) fn running(&self) -> Option<Process> {
        self.pid_file.running()
    }

    /// Waits for a line of its log that contains this; when it ends first or is too late, the error shows its log.
    pub(crate) fn wait_for_line(&self, marker: &str, within: Duration) -> Result<String> {
        let seen = wait_for(within, || {
            // Looked at before the log: what it said last must not be missed.
            let runs = self.running().is_some();
            let line = self.line_with(marker);
            (line.is_some() || !runs).then_some(line)
        });
        match seen {
            Some(Some(line)) => Ok(line),
            Some(None) => bail!("{} ended while it started; {}", self.name, self.log_tail()),
            None => bail!(
                "{} was not ready within {within:?}; {}",
                self.name,
                self.log_tail()
            ),
        }
    }

    pub(crate) fn line_with(&self, marker: &str) -> Option<String> {
        let log = fs::read(self.log()).ok()?;
        let log = String::from_utf8_lossy(&log);
        log.lines()
            .find(|line| line.contains(marker))
            .map(str::to_owned)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
        format!("{} ends with\n{tail}", self.log().display())
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&self) -> Result<()> {
        self.must_run()?;
        self.pid_file.kill().map(drop)
    }

    /// Stops it where it is (SIGSTOP); it does not know it.
    pub(crate) fn pause(&self) -> Result<()> {
        self.must_run()?.pause()
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&self) -> Result<()> {
        self.must_run()?.resume()
    }

    fn must_run(&self) -> Result<Process> {
        let running = self.running();
        running.with_context(|| format!("{} does not run; `cargo xtask up` starts it", self.name))
    }

    /// Asks it to end (SIGTERM), which is a drain; kills it when the time is over.
    pub(crate) fn stop(&self, within: Duration) -> Result<Stopped> {
        let stopped = stop(&[&self.pid_file], within);
        let stopped = stopped.with_context(|| format!("cannot stop {}", self.name))?;
        Ok(stopped.first().copied().unwrap_or(Stopped::DidNotRun))
    }
}

#[cfg(test)]
mod tests;
