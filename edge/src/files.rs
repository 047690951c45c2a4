//! Open files of the process, of which sockets leave some to the log: one that cannot open its next segment stops
//! everybody.

use tokio::net::TcpStream;

/// What health checks may still use when no client is taken any more.
const FOR_HEALTH: u64 = 8;

/// How many files the process may open, and how many of them sockets leave alone.
pub(crate) struct Files {
    max: Option<u64>,
    kept: u64,
}

impl Files {
    #[cfg(unix)]
    pub(crate) fn of_process(kept: u32) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            max: limit.current,
            kept: kept.into(),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of_process(kept: u32) -> Self {
        let (max, kept) = (None, kept.into());
        Self { max, kept }
    }

    /// Whether a socket may be looked at at all.
    pub(crate) fn take(&self, socket: &TcpStream) -> bool {
        self.is_low(number(socket), self.kept)
    }

    /// Whether it may stay as a client's.
    pub(crate) fn keep(&self, number: Option<u64>) -> bool {
        self.is_low(number, self.kept + FOR_HEALTH)
    }

    /// A file gets the lowest number that is free: a low one says that there are many left.
    fn is_low(&self, number: Option<u64>, kept: u64) -> bool {
        match (self.max, number) {
            (Some(max), Some(number)) => number + kept < max,
            _ => true,
        }
    }
}

/// The number under which the process knows a socket.
#[cfg(unix)]
pub(crate) fn number(socket: &TcpStream) -> Option<u64> {
    use std::os::fd::AsRawFd;
    u64::try_from(socket.as_raw_fd()).ok()
}

#[cfg(not(unix))]
pub(crate) fn number(_: &TcpStream) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_files_are_left_to_the_log_and_some_before_them_to_health_checks() {
        let files = Files {
            max: Some(100),
            kept: 20,
        };
        assert!(files.is_low(Some(79), files.kept) && !files.is_low(Some(80), files.kept));
        assert!(files.keep(Some(71)) && !files.keep(Some(72)));
        let unlimited = Files {
            max: None,
            kept: 20,
        };
        assert!(unlimited.keep(Some(1 << 30)));
    }
}
