//! Ctrl-C, SIGTERM and SIGHUP.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end in order; when it comes once more, at once.
    Stop,
    /// To read certificates and keys again.
    Reread,
}

/// The requests, one after the other.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    /// What SIGHUP means to this process.
    #[cfg(unix)]
    on_hangup: Asked,
    /// It was asked for while nobody could do it.
    owed: bool,
}

impl Signals {
    /// From now on the process does not end by itself.
    #[cfg(unix)]
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // Asked first: whoever listens to a signal ignores it no longer.
        let on_hangup = meaning(has_terminal(), is_ignored());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_hangup,
            owed: false,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { owed: false })
    }

    /// Waits for the next one, of whatever kind.
    pub(crate) async fn next(&mut self) -> Asked {
        match std::mem::take(&mut self.owed) {
            true => Asked::Reread,
            false => self.receive().await,
        }
    }

    /// Waits for the next one to stop. Another one is kept for [`Self::next`].
    pub(crate) async fn stop(&mut self) {
        while self.receive().await == Asked::Reread {
            self.owed = true;
        }
    }

    #[cfg(unix)]
    async fn receive(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => self.on_hangup,
        }
    }

    #[cfg(not(unix))]
    async fn receive(&mut self) -> Asked {
        // Without a way to hear of it, the process ends by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Asked::Stop
    }
}

/// A process that was started at a terminal hears by SIGHUP that the terminal is gone, and ends, unless whoever started
/// it wanted it to go on (`nohup`). To any other one a person says that files have changed.
#[cfg(unix)]
fn meaning(has_terminal: bool, is_ignored: bool) -> Asked {
    match has_terminal && !is_ignored {
        true => Asked::Stop,
        false => Asked::Reread,
    }
}

/// Whether this process has a controlling terminal: no other process can open this name.
#[cfg(unix)]
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether SIGHUP was ignored when this process was started, as `nohup` has it. Only Linux tells.
#[cfg(unix)]
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

/// SIGHUP is the first of the signals, so it is the lowest bit.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_is_gone_ends_a_process_unless_it_was_to_go_on() {
        assert_eq!(meaning(true, false), Asked::Stop);
        assert_eq!(meaning(true, true), Asked::Reread);
        assert_eq!(meaning(false, false), Asked::Reread);
        assert_eq!(meaning(false, true), Asked::Reread);
    }

    #[test]
    fn who_was_started_by_nohup_ignores_the_end_of_its_terminal() {
        let status = |mask: &str| format!("Name:\txp\nSigBlk:\t0\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup("Name:\txp\n") && !ignores_hangup(""));
    }
}
