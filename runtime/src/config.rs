//! The configuration of a process, be it an edge, a state node or the whole platform.

pub mod kafka;
pub mod lane;
pub mod publishing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xp_edge::config::{Key, Tokens};
use xp_settings::{Size, Span, settings};
use xp_state_node::Limits;
use xp_transport::embedded;

use kafka::{Age, KafkaProblem};
use lane::Class;

pub use kafka::Kafka;
pub use lane::Lane;
pub use publishing::Publishing;

/// What `xp dev`, `xp edge` and `xp state-node` read alike, each what concerns it. Lanes must be the same everywhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    pub state_node: StateNode,
    /// The part that holds sockets.
    pub edge: xp_edge::Config,
}

/// The embedded log: append-only segment files in `data`/log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Log {
    /// `fsync`: what was acknowledged survives `kill -9` and power loss. `memory`: nothing survives the
    /// process; for tests.
    pub durability: Durability,
    /// A segment file of this size is sealed and the next one begun. Retention removes whole files.
    pub segment_size: Size,
    /// The newest bytes of each partition of `inbound` and `outbound` that are kept, in memory. An edge that falls
    /// further behind starts over: its clients resume from `events`. Edges let no more than half of it wait for a
    /// partition (`edge.limits.partition-behind-max`); should it fall further behind all the same, the clients send
    /// again what was dropped.
    pub transient_size: Size,
    /// How long records of `cluster` are kept. Whoever joins needs the last few seconds only.
    pub cluster_age: Span,
    /// How long `events` are kept in any case: `forever`, or a duration. Older ones go in whole segments, once the
    /// published snapshots of their partition hold what they came to (R36): with this or `events-size` each lane has a
    /// topic `snapshots`. What was deleted cannot be shown or replayed any more.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

settings! {
    /// The part that holds entities: its name, its bounds, and what happens at each.
    pub struct StateNode {
        /// Its stable name. A second process of the same name replaces the first.
        name: String = "state-1".to_owned(),
        /// What tells it apart from others, as in `{ region = "eu" }`: lanes choose their nodes by it
        /// (`lanes.<name>.placement.labels`).
        labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Its share of the partitions, relative to that of the other state nodes: one with 200 serves twice as many as
        /// one with 100, and one with 0 what no other can.
        weight: u16 = 100,
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
        heartbeat: Span = Span::from_millis(100),
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
        snapshot_cache: Size = Size(64 << 20),
        /// Answers kept per session, and how far a client may run ahead of its oldest unanswered command (B of
        /// R30). At least `edge.limits.window`.
        answers_per_session: usize = 64,
        /// How long a session without a socket may come back. Then it is over, and the entity is told.
        grace: Span = Span::from_secs(30),
        /// How long an ended session is remembered. Later resumes are closed `session-expired`.
        memory: Span = Span::from_secs(600),
        /// Sessions of one subject that an entity remembers, ended ones included. One more is closed
        /// `too-many-connections` until some are forgotten.
        sessions_per_subject: usize = 2_000,
        /// Sessions that an entity remembers, ended ones included. One more is closed `too-many-connections` until some
        /// are forgotten. Each takes room in the entity's snapshot.
        sessions_per_entity: usize = 100_000,
        /// Entities of one partition that one subject may be the first to enter within a minute. Beyond: closed
        /// `too-fast`.
        entities_per_subject: usize = 2_000,
        /// How long a deferred answer may stay open. Then who waits for it gets `fault unanswered`.
        ticket: Span = Span::from_secs(30),
        /// The largest record, its header counted as the text that it is on Kafka: three bytes take four. A decision that
        /// needs a larger one is a `fault too-large`.
        record_bytes_max: Size = Size(1 << 20),
        /// A welcome, an answer or a portion of a resume that is larger goes out in pieces of this size (R41). Half of
        /// `record-bytes-max` if that is less.
        piece_bytes_max: Size = Size(256 << 10),
        /// The largest welcome, and the largest answer to a query. What is larger is a `fault too-large`: such an entity
        /// cannot be entered. No more than `edge.limits.whole-bytes-max`.
        whole_bytes_max: Size = Size(32 << 20),
        /// Bytes of what goes out in pieces that wait per partition. Beyond, welcomes and resumes wait before they are made,
        /// and answers to queries are dropped: the client asks again.
        large_bytes_max: Size = Size(16 << 20),
        /// Bytes of it under way at once per partition, and within 20 ms. The rest waits.
        large_flight_bytes_max: Size = Size(4 << 20),
        /// Bytes of it that wait for one subject. Beyond, its further welcomes and resumes wait.
        subject_bytes_max: Size = Size(8 << 20),
        /// Welcomes and resumes of a partition that wait to be made. Beyond, the socket is closed `come-back`.
        waiting_max: usize = 4_096,
        /// Records of a partition that were appended and are not yet committed. At the bound it reads no further.
        uncommitted_max: usize = 4_096,
        /// Records of a partition that are under way to `outbound`. At the bound what is committed is held back, and it
        /// reads no further until some have arrived; after a failure few leave at first.
        outbound_records_max: usize = 4_096,
        /// The same in bytes. One record may be larger.
        outbound_bytes_max: Size = Size(16 << 20),
        /// Commits kept in memory per watched entity, so that clients resume at once. Older ones are read from
        /// the log.
        recent_commits_max: usize = 1_024,
        /// Bytes of outputs kept in memory per watched entity. Older ones are read from the log.
        recent_bytes_max: Size = Size(1 << 20),
        /// Bytes of `inbound` that a mirror keeps of each partition, so that it can go on with them at once. Beyond,
        /// the oldest are dropped, and a takeover reads them anew.
        ahead_bytes_max: Size = Size(8 << 20),
        /// How much of the log one resume may read. Beyond, the client starts over.
        resume_scan_bytes_max: Size = Size(64 << 20),
        /// Words of other entities that wait for one that this build cannot read (R44). At the bound the next one waits
        /// at its source, with all that its partition tells this partition.
        parked_max: usize = 4_096,
        /// Bytes of these words. As for their count.
        parked_bytes_max: Size = Size(4 << 20),
        /// Bytes of events kept for an entity that this build cannot read. Beyond, the log alone has them, and no snapshot
        /// of the entity's partition is cut on this node.
        unapplied_bytes_max: Size = Size(16 << 20),
        /// How often a partition's positions are recorded when nothing else was (R15).
        checkpoint: Span = Span::from_secs(1),
        /// How often they are recorded and stored although nothing happens. Well below `kafka.events-age`, which would
        /// overtake the snapshot of a quiet partition otherwise.
        quiet: Span = Span::from_secs(600),
        /// After how long a word to another entity is repeated when it was not confirmed (R34).
        tell_retry: Span = Span::from_secs(2),
        /// Words for one partition that it has not confirmed. At the bound a command that tells it is not taken, so that its client sends it again, and a timer that tells it fires later; at four times the bound a word that leads to another for it is not taken, so that its source repeats it.
        tells_outstanding_max: usize = 16_384,
        /// How far a message's time may differ from this node's clock. Beyond, it is moved to this distance.
        clock_skew: Span = Span::from_secs(1),
        /// How far this machine's clock may be set at once and be believed. Beyond, it is doubted (R48).
        clock_step: Span = Span::from_secs(1),
        /// For how long a clock that was set is doubted. Then it is believed, and a log line says so (R48).
        clock_doubt: Span = Span::from_secs(10),
        /// How far an entity's time may be ahead of this node's clock. So long it stands still; beyond, it is set back,
        /// and a log line says so (R48).
        entity_ahead: Span = Span::from_secs(30),
        /// How long an unwatched entity stays in memory without being used.
        passivate: Span = Span::from_secs(60),
        /// Entities of a partition that stay in memory in any case.
        resident_min: usize = 10_000,
        /// State for nodes that have none.
        publishing: Publishing = Publishing::default(),
    }
}

impl StateNode {
    /// The bounds of lanes that have none of their own.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            explains: self.explains,
            answers_per_session: self.answers_per_session,
            grace_ms: self.grace.ms(),
            memory_ms: self.memory.ms(),
            sessions_per_subject: self.sessions_per_subject,
            sessions_per_entity: self.sessions_per_entity,
            entities_per_subject: self.entities_per_subject,
            ticket_ms: self.ticket.ms(),
            record_bytes_max: self.record_bytes_max.0,
            piece_bytes_max: self.piece_bytes_max.0,
            whole_bytes_max: self.whole_bytes_max.0,
            large_bytes_max: self.large_bytes_max.0,
            large_flight_bytes_max: self.large_flight_bytes_max.0,
            subject_bytes_max: self.subject_bytes_max.0,
            waiting_max: self.waiting_max,
            uncommitted_max: self.uncommitted_max,
            outbound_records_max: self.outbound_records_max,
            outbound_bytes_max: self.outbound_bytes_max.0,
            recent_commits_max: self.recent_commits_max,
            recent_bytes_max: self.recent_bytes_max.0,
            resume_scan_bytes_max: self.resume_scan_bytes_max.0,
            parked_max: self.parked_max,
            parked_bytes_max: self.parked_bytes_max.0,
            unapplied_bytes_max: self.unapplied_bytes_max.0,
            checkpoint_ms: self.checkpoint.ms(),
            tell_retry_ms: self.tell_retry.ms(),
            tells_outstanding_max: self.tells_outstanding_max,
            clock_skew_ms: self.clock_skew.ms(),
            clock_step_ms: self.clock_step.ms(),
            clock_doubt_ms: self.clock_doubt.ms(),
            entity_ahead_ms: self.entity_ahead.ms(),
            passivate_ms: self.passivate.ms(),
            resident_min: self.resident_min,
            ahead_bytes_max: self.ahead_bytes_max.0,
            quiet_ms: self.quiet.ms(),
            publishing: self.publishing.pace(self.record_bytes_max.0),
            ..Limits::default()
        }
    }
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
            let behind_max = &mut edge.limits.partition_behind_max;
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
            state_node: StateNode::default(),
            edge: edge(secret_file(data)),
        }
    }

    /// What the state node is started with.
    #[must_use]
    pub fn for_state_node(&self) -> xp_state_node::Config {
        let node = &self.state_node;
        let listens = node.listen.map(|listen| listen.to_string());
        let usual = xp_state_node::Config::named(&node.name);
        xp_state_node::Config {
            snapshots: Some(self.snapshots_dir()),
            snapshot_cache_bytes: node.snapshot_cache.0 as u64,
            heartbeat_ms: node.heartbeat.ms(),
            start_wait_ms: node.start_wait.ms(),
            stop_wait_ms: node.stop_wait.ms(),
            stuck_ms: node.stuck.ms(),
            address: node.address.clone().or(listens).unwrap_or_default(),
            weight: node.weight,
            labels: node.labels.clone(),
            lanes_version: self.lanes_version,
            generation: self.cluster_generation(),
            limits: node.limits(),
            ..usual
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
        let own = self.lanes.values().map(|lane| lane.limits.record_bytes_max);
        let sizes = own.map(|own| own.unwrap_or(self.state_node.record_bytes_max).0);
        sizes.max().unwrap_or(self.state_node.record_bytes_max.0)
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
    fn what_is_built_in_here_is_what_is_built_in_there() {
        let ours = xp_state_node::Config {
            snapshots: None,
            ..Config::development(Path::new("data")).for_state_node()
        };
        let theirs = xp_state_node::Config::named("state-1");
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn a_client_that_repeats_its_window_when_told_to_is_not_too_fast() {
        let limits = Config::development(Path::new("data")).edge.limits;
        let repeated = u64::from(limits.window) * 2 * 1_000 / limits.busy_retry.ms();
        assert!(repeated < u64::from(limits.frames_per_second));
    }

    #[test]
    fn a_client_may_not_run_further_ahead_than_answers_are_kept() {
        let config = Config::development(Path::new("data"));
        assert!(config.edge.limits.window as usize <= config.state_node.answers_per_session);
    }
}
