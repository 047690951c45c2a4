//! A process that goes on when the command that started it has ended, found again by what was written down of it.

use crate::patience::wait_for;
use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LINES_SHOWN: usize = 20;

/// How long a started process may take to be shown with its command line.
const SHOWN: Duration = Duration::from_secs(10);

/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(10);

/// One process of an installation, running or not.
pub(crate) struct Background {
    name: String,
    dir: PathBuf,
}

/// How a process came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    DidNotRun,
    InOrder,
    Killed,
}

impl Background {
    /// Its pid file and its log are in this directory.
    pub(crate) fn named(name: &str, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    fn record(&self) -> PathBuf {
        self.dir.join(format!("{}.pid", self.name))
    }

    /// Starts it in a process group of its own: Ctrl-C in this terminal is not meant for it.
    pub(crate) fn start(&self, command: &mut Command) -> Result<()> {
        let log = File::create(self.log());
        let log = log.with_context(|| format!("cannot write {}", self.log().display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        let words: Vec<String> = [command.get_program()]
            .into_iter()
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let record = format!("{}\n{}\n", child.id(), words.join(" "));
        fs::write(self.record(), record)?;
        self.wait_shown(&mut child).inspect_err(|_| {
            let _ = child.kill();
        })
    }

    /// A new process has its command line a moment after its number.
    fn wait_shown(&self, child: &mut Child) -> Result<()> {
        let shown = wait_for(SHOWN, || {
            let ended = child.try_wait().is_ok_and(|ended| ended.is_some());
            (ended || self.running().is_some()).then_some(())
        });
        shown.with_context(|| {
            format!(
                "{} runs under another command line than it was given; is it a script?",
                self.name
            )
        })
    }

    /// Its process id, if it runs. A process that got the same number later has another command line.
    pub(crate) fn running(&self) -> Option<Pid> {
        let record = fs::read_to_string(self.record()).ok()?;
        let (pid, words) = record.trim_end().split_once('\n')?;
        let pid = Pid::from_raw(pid.parse().ok()?)?;
        (command_line(pid)? == words).then_some(pid)
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
        let pid = self.must_run()?;
        signal(pid, Signal::KILL)?;
        if wait_for(KILLED, || self.running().is_none().then_some(())).is_none() {
            bail!("{} does not end although it was killed", self.name);
        }
        let _ = fs::remove_file(self.record());
        Ok(())
    }

    /// Stops it where it is (SIGSTOP); it does not know it.
    pub(crate) fn pause(&self) -> Result<()> {
        signal(self.must_run()?, Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&self) -> Result<()> {
        signal(self.must_run()?, Signal::CONT)
    }

    fn must_run(&self) -> Result<Pid> {
        let running = self.running();
        running.with_context(|| format!("{} does not run; `cargo xtask up` starts it", self.name))
    }

    /// Asks it to end (SIGTERM), which is a drain; kills it when the time is over.
    pub(crate) fn stop(&self, within: Duration) -> Result<Stopped> {
        let Some(pid) = self.running() else {
            let _ = fs::remove_file(self.record());
            return Ok(Stopped::DidNotRun);
        };
        signal(pid, Signal::TERM)?;
        // One that was stopped where it is hears it when it goes on.
        signal(pid, Signal::CONT)?;
        let ended = |within| wait_for(within, || self.running().is_none().then_some(())).is_some();
        let in_order = ended(within);
        if !in_order {
            signal(pid, Signal::KILL)?;
            if !ended(KILLED) {
                bail!(
                    "{} (process {}) does not end although it was killed",
                    self.name,
                    pid.as_raw_nonzero()
                );
            }
        }
        let _ = fs::remove_file(self.record());
        Ok(if in_order {
            Stopped::InOrder
        } else {
            Stopped::Killed
        })
    }
}

fn signal(pid: Pid, signal: Signal) -> Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error)
            .with_context(|| format!("cannot send {signal:?} to process {}", pid.as_raw_nonzero())),
    }
}

/// Its words with spaces between; none for a process that ended, even if nobody waited for it.
fn command_line(pid: Pid) -> Option<String> {
    let number = pid.as_raw_nonzero().to_string();
    let line = match fs::read(format!("/proc/{number}/cmdline")) {
        Ok(line) => line,
        // Systems without that directory have `ps`.
        Err(_) => ps(&number)?,
    };
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    Some(line.trim_end().to_owned())
}

fn ps(number: &str) -> Option<Vec<u8>> {
    let ps = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", number])
        .output();
    Some(ps.ok()?.stdout)
}

#[cfg(test)]
mod tests;
