//! The configuration of one state node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_cluster::lease::LEASE_MS;
use xp_cluster::timing::STATE_NODE_HEARTBEAT_MS;
use xp_protocol::cluster::WEIGHT;
use xp_settings::{Size, Span, settings};

use crate::limits::Limits;

settings! {
    /// The part that holds entities: its name, its bounds, and what happens at each.
    pub struct Settings {
        /// Its stable name. A second process of the same name replaces the first (R17).
        name: String = "state-1".to_owned(),
        /// What tells it apart from others, as in `{ region = "eu" }`: lanes choose their nodes by it
        /// (`lanes.<name>.placement.labels`).
        labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Its share of the partitions, relative to that of the other state nodes: one with 200 serves twice as many as
        /// one with 100, and one with 0 what no other can.
        weight: u16 = WEIGHT,
        /// Where people find it, as `xp cluster members` prints it. Left out: where it listens, if it does.
        address: Option<String> = None,
        /// Where it answers `/live`, `/ready` and `/status` over HTTP: readiness for whoever rolls the nodes, and what
        /// it does, as JSON. Nobody is asked for a token, so let it be an address that only operators reach. Port 0
        /// takes a free one. Left out: nowhere.
        listen: Option<SocketAddr> = None,
        /// Whether a client hears why its message faulted, beside the code; `xp dev` always tells. Elsewhere it hears a
        /// reference, which the log line has too.
        explains: bool = false,
        /// How often it says that it is alive. At most half of the lease, which is 250 ms (R13).
        heartbeat: Span = Span::from_millis(STATE_NODE_HEARTBEAT_MS),
        /// How long the log may take to answer when the node starts. Then it does not start.
        start_wait: Span = Span::from_secs(30),
        /// How long stopping in order may take. Then the process ends all the same, and says what was left undone;
        /// nothing acknowledged is lost.
        stop_wait: Span = Span::from_secs(10),
        /// How long a partition may make no progress, as when domain code does not return. Then a
        /// log line names entity and message, and a mirror takes the partition over; where there is none, the node says
        /// no longer that it lives (R47).
        stuck: Span = Span::from_secs(2),
        /// Memory for the pages of the snapshot store.
        snapshot_cache: Size = Size::from_mib(64),
        /// Bounds and times of its partitions. A lane may have others (`lanes.<name>.limits`).
        limits: Limits = Limits::default(),
    }
}

/// One state node: its settings, and what follows from where it is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// What its configuration says.
    pub settings: Settings,
    /// Where snapshots are kept; `None` keeps them in memory only, so that every start replays the log.
    pub snapshots: Option<PathBuf>,
    /// How long a claim waits where the former owner may live and not know: one lease, so that what the other still
    /// answers is not stale (R17). Nothing, where the log admits one process at a time anyway.
    pub takeover_wait: Span,
    /// The version of the lane definitions; the highest one in the cluster holds, and who has another is refused.
    pub lanes_version: u32,
    /// Rises when the `cluster` log is made anew.
    pub generation: u64,
}

impl Settings {
    /// Where people find the node, as host and port; may be empty.
    #[must_use]
    pub fn found_at(&self) -> String {
        let listens = || self.listen.map(|listen| listen.to_string());
        self.address.clone().or_else(listens).unwrap_or_default()
    }
}

impl Config {
    /// A node with these settings and no snapshots.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            snapshots: None,
            takeover_wait: Span::from_millis(LEASE_MS),
            lanes_version: 1,
            generation: 1,
        }
    }

    /// A node of this name with the usual bounds and no snapshots.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let usual = Settings::default();
        let name = name.to_owned();
        Self::new(Settings { name, ..usual })
    }
}
