//! The configuration of one state node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xp_cluster::lease::LEASE_MS;
use xp_cluster::timing::STATE_NODE_HEARTBEAT_MS;
use xp_protocol::cluster::WEIGHT;

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
    /// How often the node says that it is alive, in milliseconds; at most half of the lease (R13).
    pub heartbeat_ms: u64,
    /// How long the log may take to answer when the node joins, in milliseconds. Then it does not start.
    pub start_wait_ms: u64,
    /// How long stopping in order may take, in milliseconds. Then the rest is left to the next owner.
    pub stop_wait_ms: u64,
    /// How long a claim waits where the former owner may live and not know, in milliseconds: one lease, so that what
    /// the other still answers is not stale (R17). Nothing, where the log admits one process at a time anyway.
    pub takeover_wait_ms: u64,
    /// How long a partition may make no progress, in milliseconds. Then a mirror takes it over; where there is
    /// none, the node says no longer that it lives (R47).
    pub stuck_ms: u64,
    /// Where people find the node, as host and port; may be empty.
    pub address: String,
    /// Its share of the partitions, beside the weights of the others.
    pub weight: u16,
    /// What placement may ask for, such as `region = "eu"`.
    pub labels: BTreeMap<String, String>,
    /// The version of the lane definitions; the highest one in the cluster holds, and who has another is refused.
    pub lanes_version: u32,
    /// Rises when the `cluster` log is made anew.
    pub generation: u64,
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
            heartbeat_ms: STATE_NODE_HEARTBEAT_MS,
            start_wait_ms: 30_000,
            stop_wait_ms: 10_000,
            takeover_wait_ms: LEASE_MS,
            stuck_ms: 2_000,
            address: String::new(),
            weight: WEIGHT,
            labels: BTreeMap::new(),
            lanes_version: 1,
            generation: 1,
            limits: Limits::default(),
        }
    }
}
