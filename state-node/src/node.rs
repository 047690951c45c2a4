//! A state node: one supervised partition after the other, and its heartbeats to the cluster.

mod supervisor;
mod watchdog;
mod thread;
mod shell;
mod status;
mod publishers;
mod hosting;
mod stores;
mod membership;
mod cluster;
mod standing;
mod stuck;
mod suspension;
mod reports;
mod operator;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xp_cluster::Members;
use xp_cluster::members::End;
use xp_domain_sdk::host::Registry;
use xp_protocol::{Incarnation, LanePartition};
use xp_transport::{Clock, Log};

use crate::config::{Config, Settings};
use crate::lanes::Lanes;
use crate::store::StoreError;
use cluster::Joining;
use hosting::Hosting;
use membership::Membership;
use operator::OperatorRequests;
use publishers::Publishers;
use reports::Reports;
use standing::Standing;
use stores::Stores;
use supervisor::{Supervise, Supervisor};
use thread::Threads;

pub use reports::{PartitionState, Progress};
pub use status::{Observer, Status};

pub use cluster::JoinError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The snapshot store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A hosted category that no lane serves.
    #[error("no lane serves the category {0:?}: add it to a lane in the configuration")]
    NoLane(&'static str),
    /// The `cluster` log.
    #[error("the node cannot join: {0}")]
    Join(#[from] JoinError),
    /// Its actor could not be started.
    #[error("the node's supervisor did not start: {0}")]
    Supervisor(String),
}

/// What a stop in order left undone. Nothing acknowledged is lost by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} not released within {waited:?}: {}; the log holds all that was acknowledged, and the next owner goes on from there",
    if partitions.len() == 1 { "a partition was" } else { "partitions were" },
    names(partitions)
)]
pub struct Undone {
    /// The partitions that still had something to commit or to store.
    pub partitions: Vec<LanePartition>,
    /// How long they were waited for.
    pub waited: Duration,
}

fn names(partitions: &[LanePartition]) -> String {
    let names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// What all partitions of a node share.
pub(crate) struct Shared {
    pub(crate) hosting: Hosting,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) membership: Membership,
    pub(crate) standing: Arc<Standing>,
    pub(crate) threads: Threads,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) stores: Stores,
    pub(crate) publishers: Publishers,
    pub(crate) reports: Reports,
    pub(crate) operator_requests: OperatorRequests,
}

/// A running state node.
pub struct Handle {
    shared: Arc<Shared>,
    stop_wait: Duration,
    stop: watch::Sender<bool>,
    supervisor: ActorRef<Supervise>,
    supervising: JoinHandle<()>,
    heartbeats: JoinHandle<()>,
    watching: JoinHandle<()>,
}

/// Starts a node that owns and mirrors what placement gives it.
///
/// # Errors
/// [`StartError`] when a category has no lane, the snapshots cannot be opened, or the cluster refuses the node.
pub async fn start(
    config: Config,
    lanes: Lanes,
    domain: Registry,
    log: Arc<dyn Log>,
    clock: Clock,
    incarnation: Incarnation,
) -> Result<Handle, StartError> {
    let limits = config.settings.limits.clone();
    let explains = config.settings.explains;
    let hosting = Hosting::new(lanes, domain, limits, config.takeover_wait.ms(), explains)?;
    let cache_bytes = config.settings.snapshot_cache.bytes() as u64;
    let stores = Stores::open(config.snapshots.as_deref(), cache_bytes)?;
    let standing = Arc::new(Standing::new(Instant::now()));
    let joining = Joining {
        config: &config,
        lanes: hosting.lanes().definitions(config.lanes_version),
        log: &log,
        clock: &clock,
        incarnation,
        standing: &standing,
    };
    let (view, heartbeats) = joining.join().await?;
    let (stop, stopped) = watch::channel(false);
    let shared = Arc::new(Shared {
        hosting,
        log,
        clock,
        membership: Membership::new(incarnation, view.clone()),
        standing,
        threads: Threads::default(),
        stop: stopped,
        stores,
        publishers: Publishers::default(),
        reports: Reports::default(),
        operator_requests: OperatorRequests::default(),
    });
    let Settings {
        heartbeat,
        stuck,
        stop_wait,
        ..
    } = config.settings;
    watchdog::start(&shared, heartbeat.0, stuck.0)
        .map_err(|error| StartError::Supervisor(error.to_string()))?;
    let (supervisor, supervising) = Actor::spawn(None, Supervisor, Arc::clone(&shared))
        .await
        .map_err(|error| StartError::Supervisor(error.to_string()))?;
    let watching = tokio::spawn(supervisor::watch(supervisor.clone(), view));
    Ok(Handle {
        shared,
        stop_wait: stop_wait.0,
        stop,
        supervisor,
        supervising,
        heartbeats,
        watching,
    })
}

impl Handle {
    /// Waits until the node does all that placement gives it: it decides for what it should own, and could own what it
    /// mirrors.
    ///
    /// # Errors
    /// The reason of the first partition that stopped.
    pub async fn ready(&self) -> Result<(), String> {
        let (membership, reports) = (&self.shared.membership, &self.shared.reports);
        let stopped = PartitionState::has_stopped;
        reports
            .until(|states| membership.serves(states) || states.values().any(stopped))
            .await;
        for (partition, state) in self.states() {
            if let PartitionState::Stopped(reason) = state {
                let reason = reason.unwrap_or_else(|| "stopped".to_owned());
                return Err(format!("{partition}: {reason}"));
            }
        }
        Ok(())
    }

    /// Waits until everything that placement gives this node is done or cannot be done, and says what each partition
    /// does then.
    pub async fn settled(&self) -> BTreeMap<LanePartition, PartitionState> {
        let (membership, reports) = (&self.shared.membership, &self.shared.reports);
        reports.until(|states| membership.has_settled(states)).await;
        self.states()
    }

    /// Resolves when every partition has stopped: this node serves nobody any more.
    pub async fn ended(&self) {
        let stopped = PartitionState::has_stopped;
        self.shared
            .reports
            .until(|states| !states.is_empty() && states.values().all(stopped))
            .await;
    }

    /// Resolves when this node is a member no longer, and says why: its partitions decide nothing any more. When
    /// another process took its name (R17) the process should end; when it was silent for too long (R37) it may start
    /// anew as another incarnation.
    pub async fn evicted(&self) -> End {
        self.shared.membership.ended().await
    }

    /// Why this node is a member no longer; none while it is one.
    #[must_use]
    pub fn eviction(&self) -> Option<End> {
        self.shared.membership.end()
    }

    /// The cluster, as far as this node has folded it.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.shared.membership.members()
    }

    /// Whether its heartbeats are read back in time, so that it may answer (R13).
    #[must_use]
    pub fn has_lease(&self) -> bool {
        let running = self.shared.clock.running();
        self.shared.membership.has_lease(running)
    }

    /// Whether it is about to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.shared.standing.is_leaving()
    }

    /// The incarnation under which this process joined.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.membership.incarnation()
    }

    /// What each partition that placement gives this node does now.
    #[must_use]
    pub fn states(&self) -> BTreeMap<LanePartition, PartitionState> {
        self.shared.reports.states()
    }

    /// Whether the node does all that placement gives it now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.membership.serves(&self.states())
    }

    /// Entities in memory, as of the partitions' last ticks.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.shared.reports.resident()
    }

    /// Looks at this node without keeping it.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::downgrade(&self.shared))
    }

    /// How far replay is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        self.shared.reports.replay()
    }

    /// Stops in order: other nodes take over what this one owns, or it is released; what was decided is committed and
    /// leaves, snapshots are written.
    ///
    /// # Errors
    /// What was not done in time, because the log does not answer; the node has ended all the same.
    pub async fn stop(self) -> Result<(), Undone> {
        let began = Instant::now();
        let reports = &self.shared.reports;
        let owned = |state: &PartitionState| *state == PartitionState::Owned;
        self.shared.standing.leave();
        // A mirror that is not there yet is waited for, but not for ever.
        let handing_over = reports.until(|states| !states.values().any(owned));
        drop(tokio::time::timeout(self.stop_wait / 2, handing_over).await);
        self.stop.send_replace(true);
        let rest = self.stop_wait.saturating_sub(began.elapsed());
        let closed = reports.until(|states| states.values().all(PartitionState::has_stopped));
        let in_time = tokio::time::timeout(rest, closed).await;
        let partitions = self.states().into_iter();
        let partitions = partitions.filter(|(_, state)| !state.has_stopped());
        let partitions = partitions.map(|(partition, _)| partition).collect();
        // Saying goodbye only spares others a wait, so a log that is away need not hear it.
        let rest = self.stop_wait.saturating_sub(began.elapsed());
        let leaving = cluster::leave(&self.shared.log, self.incarnation());
        drop(tokio::time::timeout(rest, leaving).await);
        self.shared.stores.flush();
        let waited = self.stop_wait;
        self.kill().await;
        in_time.map_err(|_| Undone { partitions, waited })
    }

    /// Ends at once, as a crash would: nothing is committed, released or stored any more.
    pub async fn kill(self) {
        self.watching.abort();
        self.heartbeats.abort();
        let children = self.supervisor.get_children();
        self.supervisor.kill();
        for child in children {
            child.kill();
            drop(child.wait(Some(KILL_WAIT)).await);
        }
        // Domain code that does not return cannot be ended; its partition has lost its place all the same.
        let stuck = self.shared.standing.given_up();
        let ended = self
            .shared
            .threads
            .ended(KILL_WAIT, |partition| stuck.contains(partition));
        ended.await;
        self.shared.publishers.ended(KILL_WAIT).await;
        drop(self.supervising.await);
    }
}

/// How long a partition that is in the middle of something is waited for.
const KILL_WAIT: Duration = Duration::from_secs(5);
