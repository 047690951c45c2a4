//! The number of files that the process may open: sockets are files, and so is the log.

use tracing::{info, warn};
use xp_edge::config::Limits;

/// What a process has open beside sockets, generously: segments of the log, snapshots, connections to brokers.
const OTHERS: u64 = 512;

/// Raises the limit to what the system lets this process have, and says so when that is less than an edge may need, if
/// it is one. It serves all the same: sockets beyond are refused, and the log keeps its own.
pub(crate) fn raise(edge: Option<&Limits>) {
    let Some((before, max)) = raised() else {
        return;
    };
    if max > before {
        info!(target: "xp::files", before, now = max, "this process may open more files now");
    }
    let Some(limits) = edge else { return };
    let wanted = wanted(limits);
    if max < wanted {
        warn!(
            target: "xp::files",
            may_open = max,
            wanted,
            connections = max.saturating_sub(wanted - u64::from(limits.connections.max)),
            "this process may open fewer files than edge.limits allow sockets: the hard limit (`ulimit -Hn`, LimitNOFILE in systemd) should be `wanted`, or edge.limits.connections.max not above `connections`; sockets beyond are refused"
        );
    }
}

fn wanted(limits: &Limits) -> u64 {
    let bounds = &limits.connections;
    let sockets = u64::from(bounds.max) + u64::from(bounds.arrivals_max);
    sockets + u64::from(bounds.files_kept) + OTHERS
}

/// What the limit was, and what it is.
#[cfg(unix)]
fn raised() -> Option<(u64, u64)> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current?;
    // Without a hard limit there is no number that every system takes.
    let max = limit.maximum.unwrap_or(before).max(before);
    let wanted = Rlimit {
        current: Some(max),
        maximum: limit.maximum,
    };
    // Who may not raise it goes on with what there is.
    let _ = setrlimit(Resource::Nofile, wanted);
    let now = getrlimit(Resource::Nofile).current.unwrap_or(max);
    Some((before, now))
}

#[cfg(not(unix))]
fn raised() -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_covers_clients_those_who_come_in_and_the_log() {
        let mut limits = Limits::default();
        limits.connections.max = 1_000;
        limits.connections.arrivals_max = 100;
        limits.connections.files_kept = 32;
        assert_eq!(wanted(&limits), 1_132 + OTHERS);
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_what_it_was_or_more() {
        let (before, now) = raised().unwrap();
        assert!(now >= before, "{now} {before}");
    }
}
