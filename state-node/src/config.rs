//! What a state node is configured with.

use std::path::PathBuf;

use xp_cluster::lease::LEASE_MS;

use crate::limits::Limits;

/// One state node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's stable name: a new process of that name replaces the old one (R17).
    pub name: String,
    /// Where snapshots are kept; `None` keeps them in memory only, so that every start replays the log.
    pub snapshots: Option<PathBuf>,
    /// Memory for sled's page cache, in bytes.
    pub snapshot_cache_bytes: u64,
    /// How often the node says that it is alive, in milliseconds; a third of the lease or less (R13).
    pub heartbeat_ms: u64,
    /// How long the log may take to answer when the node joins, in milliseconds. Then it does not start.
    pub start_wait_ms: u64,
    /// How long stopping in order may take, in milliseconds. Then the rest is left to the next owner.
    pub stop_wait_ms: u64,
    /// How long the first claims of a process that replaced a living one of its name wait, in milliseconds: one
    /// lease, so that what the other still answers is not stale (R17). Nothing, where the log admits one process at
    /// a time anyway.
    pub takeover_wait_ms: u64,
    /// Bounds and times of its partitions.
    pub limits: Limits,
}

impl Config {
    /// A node of this name with the usual bounds and no snapshots.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            snapshots: None,
            snapshot_cache_bytes: 64 << 20,
            heartbeat_ms: 80,
            start_wait_ms: 30_000,
            stop_wait_ms: 10_000,
            takeover_wait_ms: LEASE_MS,
            limits: Limits::default(),
        }
    }
}
