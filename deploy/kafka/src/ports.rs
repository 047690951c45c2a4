//! Ports for brokers: below those that the system gives to outgoing connections. A port from among these could be
//! taken, while its broker is down, by one of the clients that are trying to reach it.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// Where a Linux system without this file starts to give ports.
const OUTGOING_FROM: u16 = 32768;

const LOWEST: u16 = 12000;

const TRIES: u32 = 1000;

/// As many different ports, each free a moment ago.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let end = outgoing_from().max(LOWEST + 1000);
    let mut free = BTreeSet::new();
    for _ in 0..TRIES {
        if free.len() == count {
            break;
        }
        let port = LOWEST + u16::try_from(random() % u64::from(end - LOWEST))?;
        if is_free(port) {
            free.insert(port);
        }
    }
    let enough = (free.len() == count).then(|| free.into_iter().collect());
    enough.with_context(|| format!("there are no {count} free ports from {LOWEST} to {end}"))
}

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A number that differs between processes and calls: the standard library seeds its hashes so.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn outgoing_from() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| {
        let first = range.split_whitespace().next()?;
        first.parse().ok()
    });
    first.unwrap_or(OUTGOING_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_not_those_of_outgoing_connections() {
        let ports = free(7).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 7);
        let outgoing = outgoing_from().max(LOWEST + 1000);
        assert!(ports.iter().all(|port| (LOWEST..outgoing).contains(port)));
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
