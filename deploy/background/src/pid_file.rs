//! A pid file: what is written down of a process, so that a later command finds it. It is never removed, only emptied,
//! because who starts a process locks it meanwhile.

use crate::patience::wait_for;
use crate::process::Process;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(10);

/// The file of one process, which may be there or not.
#[derive(Clone, Debug)]
pub struct PidFile {
    path: PathBuf,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// There was none.
    DidNotRun,
    /// It ended after it had been asked.
    InOrder,
    /// It did not end when it was asked, and was killed.
    Killed,
}

impl PidFile {
    /// This file; its directory must be there when something is started.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process that was started last, if it runs.
    #[must_use]
    pub fn running(&self) -> Option<Process> {
        let file = File::open(&self.path).ok()?;
        // Who writes it has not finished.
        file.lock_shared().ok()?;
        read(&file)
    }

    /// Starts a process, by whatever returns its number, and writes it down. Of two who start at once one finds that it runs already, which is an error.
    pub fn start(&self, spawn: impl FnOnce() -> Result<u32>) -> Result<Process> {
        let mut file = self.locked()?;
        if let Some(running) = read(&file) {
            bail!(
                "process {} runs already, as {} says",
                running.pid(),
                self.path.display()
            );
        }
        let process = Process::numbered(spawn()?)?;
        let written = overwrite(&mut file, &process.record());
        if written.is_err() {
            // Nobody would find it again.
            let _ = process.kill();
        }
        written.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(process)
    }

    /// Ends it at once (SIGKILL), and returns when it is gone; false if none ran.
    pub fn kill(&self) -> Result<bool> {
        let Some(process) = self.running() else {
            return Ok(false);
        };
        process.kill()?;
        if !have_ended_within(KILLED, std::slice::from_ref(&process)) {
            bail!(
                "process {} does not end although it was killed",
                process.pid()
            );
        }
        self.forget()?;
        Ok(true)
    }

    /// Unless a new one was started meanwhile.
    fn forget(&self) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let mut file = self.locked()?;
        match read(&file) {
            Some(_) => Ok(()),
            None => overwrite(&mut file, ""),
        }
    }

    /// The lock goes with the file.
    fn locked(&self) -> Result<File> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path);
        let file = file.with_context(|| format!("cannot write {}", self.path.display()))?;
        file.lock()
            .with_context(|| format!("cannot lock {}", self.path.display()))?;
        Ok(file)
    }
}

/// Ends them all together: asks each (SIGTERM), and kills those that run when the time is over.
pub fn stop(files: &[&PidFile], within: Duration) -> Result<Vec<Stopped>> {
    let found: Vec<Option<Process>> = files.iter().map(|file| file.running()).collect();
    let running: Vec<Process> = found.iter().flatten().cloned().collect();
    running.iter().try_for_each(Process::ask_to_end)?;
    have_ended_within(within, &running);
    let late: Vec<Process> = running.into_iter().filter(Process::runs).collect();
    late.iter().try_for_each(Process::kill)?;
    if !have_ended_within(KILLED, &late) {
        let pids: Vec<String> = late.iter().map(|one| one.pid().to_string()).collect();
        bail!(
            "process {} does not end although it was killed",
            pids.join(", ")
        );
    }
    files.iter().try_for_each(|file| file.forget())?;
    let how = |process: Option<Process>| match process {
        None => Stopped::DidNotRun,
        Some(process) if late.contains(&process) => Stopped::Killed,
        Some(_) => Stopped::InOrder,
    };
    Ok(found.into_iter().map(how).collect())
}

fn have_ended_within(within: Duration, processes: &[Process]) -> bool {
    let ended = || !processes.iter().any(Process::runs);
    wait_for(within, || ended().then_some(())).is_some()
}

fn read(mut file: &File) -> Option<Process> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    Process::recorded(&text).filter(Process::runs)
}

fn overwrite(file: &mut File, text: &str) -> Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
