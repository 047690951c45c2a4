//! A process that is no child of ours, known by its number and by when it started: numbers are used again, and the
//! command line is no name, for a script that ends in `exec` changes it.

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// One process, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    /// Empty for one that was gone before it could be looked at.
    started: String,
}

impl Process {
    /// The one that has this number now.
    pub(crate) fn numbered(number: u32) -> Result<Self> {
        let pid = pid(number).with_context(|| format!("{number} is no process id"))?;
        let started = look_at(pid).map(|seen| seen.started).unwrap_or_default();
        Ok(Self { pid, started })
    }

    /// As it was written down.
    pub(crate) fn recorded(text: &str) -> Option<Self> {
        let (number, started) = text.trim_end().split_once('\n')?;
        Some(Self {
            pid: pid(number.parse().ok()?)?,
            started: started.to_owned(),
        })
    }

    /// The number first, for who reads it with `head -1`.
    pub(crate) fn record(&self) -> String {
        format!("{}\n{}\n", self.pid(), self.started)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether it runs. One that ended does not, even while nobody has waited for it; nor does another process that got
    /// its number.
    #[must_use]
    pub fn runs(&self) -> bool {
        let now = look_at(self.pid);
        now.is_some_and(|now| !now.has_ended && now.started == self.started)
    }

    /// Stops it where it is (SIGSTOP); it does not know it.
    pub fn pause(&self) -> Result<()> {
        self.must_run()?;
        self.send(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.must_run()?;
        self.send(Signal::CONT)
    }

    /// Ends it at once (SIGKILL); it may take a moment to be gone. Nothing happens to one that does not run.
    pub fn kill(&self) -> Result<()> {
        match self.runs() {
            true => self.send(Signal::KILL),
            false => Ok(()),
        }
    }

    /// Asks it to end (SIGTERM). One that was stopped where it is hears it when it goes on, which it does now.
    pub fn ask_to_end(&self) -> Result<()> {
        if !self.runs() {
            return Ok(());
        }
        self.send(Signal::TERM)?;
        self.send(Signal::CONT)
    }

    fn must_run(&self) -> Result<()> {
        if !self.runs() {
            bail!("process {} does not run", self.pid());
        }
        Ok(())
    }

    /// One that ended meanwhile needs no signal.
    fn send(&self, signal: Signal) -> Result<()> {
        match kill_process(self.pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot send {signal:?} to {}", self.pid()))
            }
        }
    }
}

/// Starts a process that does not end with us: without our stdin, with what it prints in `log`, and in a process group
/// of its own, because Ctrl-C in this terminal is not meant for it.
pub fn spawn(command: &mut Command, log: File) -> Result<u32> {
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        .process_group(0)
        .spawn();
    let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
    Ok(child.id())
}

/// To a signal, numbers below one mean a group of processes, or all.
fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// What the system says of a number.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Nobody has waited for it yet.
    has_ended: bool,
    started: String,
}

fn look_at(pid: Pid) -> Option<Seen> {
    let number = pid.as_raw_nonzero().to_string();
    // Ticks since the start of the machine: no clock that is set changes them.
    let Ok(boot) = fs::read_to_string("/proc/sys/kernel/random/boot_id") else {
        return ps(&number);
    };
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (has_ended, ticks) = read_stat(&stat)?;
    let started = format!("{} ticks after boot {}", ticks, boot.trim_end());
    Some(Seen { has_ended, started })
}

/// State and start, the fields 3 and 22 of proc_pid_stat(5). The name before them, in brackets, may contain anything.
fn read_stat(stat: &str) -> Option<(bool, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    Some((matches!(state, "Z" | "X"), ticks))
}

/// Systems without those files have `ps`.
fn ps(number: &str) -> Option<Seen> {
    let ps = Command::new("ps")
        .env("LC_ALL", "C")
        .args(["-o", "stat=,lstart=", "-p", number])
        .output();
    read_ps(&String::from_utf8_lossy(&ps.ok()?.stdout))
}

/// `Ss   Sat Nov 28 17:03:53 2026`
fn read_ps(line: &str) -> Option<Seen> {
    let (state, started) = line.trim().split_once(' ')?;
    Some(Seen {
        has_ended: state.starts_with('Z'),
        started: started.trim_start().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_hides_nothing() {
        let fields = "S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 8812 0 0";
        let stat = format!("7 (a) Z (b) {fields}");
        assert_eq!(read_stat(&stat), Some((false, 8812)));
        let ended = stat.replace(") S", ") Z");
        assert_eq!(read_stat(&ended), Some((true, 8812)));
        assert_eq!(read_stat("7 (a"), None);
    }

    #[test]
    fn systems_with_ps_alone_say_the_same() {
        let seen = read_ps("Ss   Sat Nov 28 17:03:53 2026\n").unwrap();
        assert_eq!(seen.started, "Sat Nov 28 17:03:53 2026");
        assert!(!seen.has_ended);
        assert!(read_ps("Z    Sat Nov 28 17:03:53 2026").unwrap().has_ended);
        assert_eq!(read_ps(""), None);
    }

    #[test]
    fn this_process_runs_and_is_read_back_as_it_was_written_down() {
        let own = Process::numbered(std::process::id()).unwrap();
        assert!(own.runs());
        assert_eq!(Process::recorded(&own.record()), Some(own));
    }
}
