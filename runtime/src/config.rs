//! The configuration of a process, be it an edge, a state node or the whole platform.

pub mod kafka;
pub mod lane;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_edge::config::{Key, Tokens};
use xp_settings::{Size, Span};
use xp_state_node::Settings;
use xp_transport::embedded;

use kafka::{Age, KafkaProblem};
use lane::Class;

pub use kafka::Kafka;
pub use lane::Lane;

/// What `xp dev`, `xp edge` and `xp state-node` read alike, each what concerns it. Lanes must be the same everywhere.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where everything lives that outlasts the process: the embedded log, the snapshots, the development secret.
    /// One state node at a time; made when missing. A relative path starts where the process was started.
    pub data: PathBuf,
    /// The embedded log, unless there is a section `kafka`.
    #[serde(default)]
    pub log: Log,
    /// Kafka as the log.
    #[serde(default)]
    pub kafka: Option<Kafka>,
    /// The version of the sections `lanes`: the highest in the cluster holds, and whoever has the same version and other
    /// lanes is refused. Add 1 with every change.
    #[serde(default = "first_version")]
    pub lanes_version: u32,
    /// The lanes by name: which topics and partitions serve which categories.
    pub lanes: BTreeMap<String, Lane>,
    /// The part that holds entities.
    #[serde(default)]
    pub state_node: xp_state_node::Settings,
    /// The part that holds sockets.
    pub edge: xp_edge::Config,
}

/// The embedded log: append-only segment files in `data`/log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Log {
    /// `fsync`: what was acknowledged survives `kill -9` and power loss. `memory`: nothing survives the
    /// process; for tests.
    pub durability: Durability,
    /// A segment file of this size is sealed and the next one begun. Retention removes whole files.
    pub segment_size: Size,
    /// The bytes of each partition of `inbound` and `outbound` that may wait, in memory. An edge that falls
    /// further behind starts over: its clients resume from `events`. Edges let no more than half of it wait for a
    /// partition (`edge.limits.partition.behind-max`); should it fall further behind all the same, the clients send
    /// again what was dropped.
    pub transient_size: Size,
    /// How long records of `cluster` are kept. Whoever joins needs the last few seconds only.
    pub cluster_age: Span,
    /// How long `events` are kept in any case: `forever`, or a duration. Older ones go in whole segments, once the
    /// published snapshots of their partition hold what they came to (R36): with this or `events-size` each lane has a
    /// topic `snapshots`. What was deleted cannot be shown or replayed any more.
    #[schemars(with = "String")]
    pub events_age: Age,
    /// Bytes of `events` of each lane that are kept in any case; beyond it the oldest go, as with `events-age`, whichever
    /// is reached first. At least two segments. Left out: any number.
    pub events_size: Option<Size>,
}

impl Log {
    /// Whether anything of `events` is ever deleted.
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.events_age != Age::Forever || self.events_size.is_some()
    }
}

/// Whether an acknowledged record outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// After an fdatasync that is shared by all that arrived during the last one.
    Fsync,
    /// In memory, acknowledged at once.
    Memory,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_size: Size(64 << 20),
            transient_size: Size(64 << 20),
            cluster_age: Span::from_secs(3_600),
            events_age: Age::Forever,
            events_size: None,
        }
    }
}

impl From<Durability> for embedded::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Fsync => Self::Fsync,
            Durability::Memory => Self::Memory,
        }
    }
}

fn first_version() -> u32 {
    1
}

/// The address that `xp dev` listens on unless told otherwise.
pub const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7400);

impl Config {
    /// The edge, which must not let more wait for an owner than half of what the embedded log keeps in memory.
    #[must_use]
    pub fn edge_of_the_log(&self) -> xp_edge::Config {
        let mut edge = self.edge.clone();
        if self.kafka.is_none() {
            let behind_max = &mut edge.limits.partition.behind_max;
            *behind_max = (*behind_max).min(Size(self.log.transient_size.0 / 2));
        }
        edge
    }

    /// What `xp dev` starts from: one lane for all categories, local sockets only, tokens signed with the
    /// development secret in `data`.
    #[must_use]
    pub fn development(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            log: Log::default(),
            kafka: None,
            lanes_version: first_version(),
            lanes: BTreeMap::from([("main".to_owned(), Lane::default())]),
            state_node: Settings::default(),
            edge: edge(secret_file(data)),
        }
    }

    /// What the state node is started with.
    #[must_use]
    pub fn for_state_node(&self) -> xp_state_node::Config {
        xp_state_node::Config {
            snapshots: Some(self.snapshots_dir()),
            lanes_version: self.lanes_version,
            generation: self.cluster_generation(),
            ..xp_state_node::Config::new(self.state_node.clone())
        }
    }

    /// Which life of the `cluster` log this is.
    #[must_use]
    pub fn cluster_generation(&self) -> u64 {
        let kafka = self.kafka.as_ref();
        kafka.map_or(1, |kafka| kafka.cluster_generation)
    }

    /// What the Kafka backend is told, with passwords from the process's environment and from files.
    ///
    /// # Errors
    /// [`KafkaProblem`] with the key that cannot be used.
    pub fn kafka_settings(
        &self,
        kafka: &Kafka,
        client_id: &str,
    ) -> Result<xp_transport::kafka::Config, KafkaProblem> {
        let variable = |name: &str| std::env::var(name).ok();
        kafka.judge_names(self.lanes.keys())?;
        let settings = kafka.resolved(client_id, self.record_bytes_max(), &variable)?;
        Ok(xp_transport::kafka::Config {
            bulk_lanes: self.bulk_lanes(),
            ..settings
        })
    }

    /// The largest record of any lane.
    fn record_bytes_max(&self) -> usize {
        let node = &self.state_node.limits;
        let lanes = self.lanes.values().map(|lane| lane.limits.over(node));
        let sizes = lanes.map(|limits| limits.records.bytes_max);
        sizes.max().unwrap_or(node.records.bytes_max).bytes()
    }

    fn bulk_lanes(&self) -> BTreeSet<String> {
        let bulk = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.class == Class::Bulk);
        bulk.map(|(name, _)| name.clone()).collect()
    }

    /// Where the log's segments are.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        log_dir(&self.data)
    }

    /// Where the snapshots are. They hold only what the log can rebuild.
    #[must_use]
    pub fn snapshots_dir(&self) -> PathBuf {
        self.data.join("snapshots")
    }
}

/// Where the log's segments are, below a data directory.
#[must_use]
pub fn log_dir(data: &Path) -> PathBuf {
    data.join("log")
}

/// Where the development secret is, below a data directory.
#[must_use]
pub fn secret_file(data: &Path) -> PathBuf {
    data.join("development-secret")
}

fn edge(secret: PathBuf) -> xp_edge::Config {
    xp_edge::Config {
        name: "edge-1".to_owned(),
        listen: LISTEN,
        outbound_partition: None,
        tls: None,
        tokens: Tokens {
            keys: vec![Key::secret_file(secret)],
            issuers: Vec::new(),
            audiences: Vec::new(),
            required: Vec::new(),
            leeway: Span::from_secs(5),
        },
        origins: Vec::new(),
        explains: false,
        proxies: xp_edge::config::Proxies::default(),
        limits: xp_edge::config::Limits::default(),
        timing: xp_edge::config::Timing::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_repeats_its_window_when_told_to_is_not_too_fast() {
        let limits = Config::development(Path::new("data")).edge.limits;
        let repeated = u64::from(limits.window) * 2 * 1_000 / limits.busy_retry.ms();
        assert!(repeated < u64::from(limits.rates.frames_per_second));
    }

    #[test]
    fn a_client_may_not_run_further_ahead_than_answers_are_kept() {
        let config = Config::development(Path::new("data"));
        assert!(config.edge.limits.window as usize <= config.state_node.limits.sessions.answers);
    }
}
