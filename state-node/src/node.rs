//! A state node: one supervised partition after the other, and its heartbeats to the cluster.

mod supervisor;
mod watchdog;
mod thread;
mod shell;
mod publishers;
mod cluster;
mod standing;
mod stuck;
mod suspension;
mod status;
mod errand;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xp_cluster::members::End;
use xp_cluster::{Duty, Members};
use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, Incarnation, LanePartition, Offset};
use xp_transport::{Clock, Log};

use crate::config::{Config, Settings};
use crate::lanes::Lanes;
use crate::limits::Limits;
use crate::published::Changes;
use crate::schedule::Phase;
use crate::sled_store::SledStores;
use crate::store::{MemoryStore, SnapshotStore, StoreError};
use cluster::{Joining, View};
use errand::Errands;
use publishers::Publishers;
use standing::Standing;
use supervisor::{Supervise, Supervisor};
use thread::Threads;

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
    if places.len() == 1 { "a partition was" } else { "partitions were" },
    names(places)
)]
pub struct Undone {
    /// The partitions that still had something to commit or to store.
    pub places: Vec<LanePartition>,
    /// How long they were waited for.
    pub waited: Duration,
}

fn names(places: &[LanePartition]) -> String {
    let names: Vec<_> = places.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// What all partitions of a node share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    limits: Arc<Limits>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) domain: Arc<Registry>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) incarnation: Incarnation,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) threads: Threads,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) publishers: Publishers,
    stores: Stores,
    pub(crate) states: watch::Sender<BTreeMap<LanePartition, PartitionState>>,
    pub(crate) progress: Progress,
    /// What each partition said of itself at its last tick.
    pub(crate) seen: Mutex<BTreeMap<LanePartition, Seen>>,
    pub(crate) errands: Errands,
}

/// What a partition says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Entities in memory.
    pub(crate) entities: usize,
    /// The next record of `events` for who follows.
    pub(crate) next: Option<Offset>,
    /// How many entities its build cannot read, of those that were touched.
    pub(crate) quarantined: usize,
    /// The first of them.
    pub(crate) named: Vec<Address>,
}

enum Stores {
    Sled(SledStores),
    Memory(Mutex<BTreeMap<LanePartition, Arc<MemoryStore>>>),
}

/// What a partition does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// Replays the log from its last snapshot, or waits for its claim.
    Replaying,
    /// Follows the owner, and could own at once.
    Mirroring,
    /// It is the owner, and decides.
    Owned,
    /// Given up; a person must look when there is a reason.
    Stopped(Option<String>),
}

impl PartitionState {
    /// Why it has stopped, when that is known.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::Stopped(reason) => reason.as_deref(),
            Self::Replaying | Self::Mirroring | Self::Owned => None,
        }
    }
}

impl From<Phase> for PartitionState {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Replaying => Self::Replaying,
            Phase::Mirroring => Self::Mirroring,
            Phase::Owning => Self::Owned,
        }
    }
}

/// How far replay is, in records of `events` over all partitions.
#[derive(Debug, Default)]
pub struct Progress {
    replayed: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Records replayed so far, and how many there are to replay.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        (
            self.replayed.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn replayed(&self, records: u64) {
        self.replayed.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn expect(&self, records: u64) {
        self.total.fetch_add(records, Ordering::Relaxed);
    }
}

type States = BTreeMap<LanePartition, PartitionState>;

impl Shared {
    /// The bounds and times of a lane's partitions.
    pub(crate) fn limits(&self, place: &LanePartition) -> Arc<Limits> {
        let lane = self.lanes.get(&place.lane);
        let limits = lane.and_then(|lane| lane.limits.clone());
        limits.unwrap_or_else(|| Arc::clone(&self.limits))
    }

    /// What is held while a snapshot of this partition is written or published, by whichever of its lives.
    pub(crate) fn writing(&self, place: &LanePartition) -> Arc<tokio::sync::Mutex<Changes>> {
        self.publishers.turn(place)
    }

    pub(crate) fn store(
        &self,
        place: &LanePartition,
    ) -> Result<Arc<dyn SnapshotStore>, StoreError> {
        match &self.stores {
            Stores::Sled(stores) => Ok(Arc::new(stores.partition(place)?)),
            Stores::Memory(stores) => {
                let mut stores = stores.lock().expect("no holder of this lock panics");
                let store = stores.entry(place.clone()).or_default();
                Ok(Arc::clone(store) as Arc<dyn SnapshotStore>)
            }
        }
    }

    pub(crate) fn set_seen(&self, place: &LanePartition, saw: Seen) {
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        seen.insert(place.clone(), saw);
    }

    pub(crate) fn seen(&self, place: &LanePartition) -> Option<Seen> {
        let seen = self.seen.lock().expect("no holder of this lock panics");
        seen.get(place).cloned()
    }

    /// Placement gives the partition to others.
    pub(crate) fn forget(&self, place: &LanePartition) {
        self.states.send_modify(|states| drop(states.remove(place)));
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        seen.remove(place);
    }

    /// Whether a partition was given up.
    pub(crate) fn has_stopped(&self, place: &LanePartition) -> bool {
        self.states.borrow().get(place).is_some_and(has_stopped)
    }

    pub(crate) fn set_state(&self, place: &LanePartition, state: PartitionState) {
        self.states.send_modify(|states| {
            states.insert(place.clone(), state);
        });
    }
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
    if let Some(category) = domain
        .categories()
        .find(|category| lanes.of(category).is_none())
    {
        return Err(StartError::NoLane(category));
    }
    let stores = match &config.snapshots {
        Some(dir) => Stores::Sled(SledStores::open(
            dir,
            config.settings.snapshot_cache.bytes() as u64,
            &boot_id(),
        )?),
        None => Stores::Memory(Mutex::default()),
    };
    let standing = Arc::new(Standing::new(Instant::now()));
    let joining = Joining {
        config: &config,
        lanes: lanes.definitions(config.lanes_version),
        log: &log,
        clock: &clock,
        incarnation,
        standing: &standing,
    };
    let (view, heartbeats) = joining.join().await?;
    let (stop, stopped) = watch::channel(false);
    let shared = Arc::new(Shared {
        limits: Arc::new(config.settings.limits.clone()),
        config,
        lanes: Arc::new(lanes),
        domain: Arc::new(domain),
        log,
        clock,
        incarnation,
        view: view.clone(),
        standing,
        threads: Threads::default(),
        stop: stopped,
        publishers: Publishers::default(),
        stores,
        states: watch::channel(BTreeMap::new()).0,
        progress: Progress::default(),
        seen: Mutex::default(),
        errands: Errands::default(),
    });
    let Settings {
        heartbeat,
        stuck,
        stop_wait,
        ..
    } = shared.config.settings;
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
        let stopped = |state: &PartitionState| matches!(state, PartitionState::Stopped(_));
        self.until(|states| self.serves(states) || states.values().any(stopped))
            .await;
        for (place, state) in self.states() {
            if let PartitionState::Stopped(reason) = state {
                let reason = reason.unwrap_or_else(|| "stopped".to_owned());
                return Err(format!("{place}: {reason}"));
            }
        }
        Ok(())
    }

    /// Waits until everything that placement gives this node is done or cannot be done, and says what each partition
    /// does then.
    pub async fn settled(&self) -> BTreeMap<LanePartition, PartitionState> {
        self.until(|states| self.has_settled(states)).await;
        self.states()
    }

    /// Resolves when every partition has stopped: this node serves nobody any more.
    pub async fn ended(&self) {
        self.until(|states| !states.is_empty() && states.values().all(has_stopped))
            .await;
    }

    /// Resolves when this node is a member no longer, and says why: its partitions decide nothing any more. When
    /// another process took its name (R17) the process should end; when it was silent for too long (R37) it may start
    /// anew as another incarnation.
    pub async fn evicted(&self) -> End {
        let mut view = self.shared.view.clone();
        // Without its sender it can change no more, and then the end is in it.
        drop(view.wait_for(|view| view.ended.is_some()).await);
        match self.eviction() {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }

    /// Why this node is a member no longer; none while it is one.
    #[must_use]
    pub fn eviction(&self) -> Option<End> {
        self.shared.view.borrow().ended
    }

    /// The cluster, as far as this node has folded it.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        Arc::clone(&self.shared.view.borrow().members)
    }

    /// Whether its heartbeats are read back in time, so that it may answer (R13).
    #[must_use]
    pub fn has_lease(&self) -> bool {
        let lease = self.shared.view.borrow().lease;
        lease.holds(self.shared.clock.running())
    }

    /// Whether it is about to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.shared.standing.is_leaving()
    }

    /// The incarnation under which this process joined.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.incarnation
    }

    async fn until(&self, holds: impl Fn(&States) -> bool) {
        let mut states = self.shared.states.subscribe();
        // The sender lives in `shared`, so waiting cannot fail.
        drop(states.wait_for(|states| holds(states)).await);
    }

    /// What each partition that placement gives this node does now.
    #[must_use]
    pub fn states(&self) -> BTreeMap<LanePartition, PartitionState> {
        self.shared.states.borrow().clone()
    }

    /// Whether the node does all that placement gives it now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.serves(&self.states())
    }

    fn serves(&self, states: &States) -> bool {
        self.all(states, |duty, state| match duty {
            Duty::Own => *state == PartitionState::Owned,
            Duty::Mirror => matches!(state, PartitionState::Owned | PartitionState::Mirroring),
        })
    }

    fn has_settled(&self, states: &States) -> bool {
        self.all(states, |duty, state| match duty {
            Duty::Own => matches!(state, PartitionState::Owned | PartitionState::Stopped(_)),
            Duty::Mirror => *state != PartitionState::Replaying,
        })
    }

    fn all(&self, states: &States, holds: impl Fn(Duty, &PartitionState) -> bool) -> bool {
        let view = self.shared.view.borrow();
        let duties = view.members.duties(self.shared.incarnation);
        let mut duties = duties.into_iter();
        view.members.definitions().is_some()
            && duties
                .all(|(place, duty)| states.get(&place).is_some_and(|state| holds(duty, state)))
    }

    /// Entities in memory, as of the partitions' last ticks.
    #[must_use]
    pub fn resident(&self) -> usize {
        let seen = self.shared.seen.lock();
        let seen = seen.expect("no holder of this lock panics");
        seen.values().map(|seen| seen.entities).sum()
    }

    /// Looks at this node without keeping it.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::new(Arc::downgrade(&self.shared))
    }

    /// How far replay is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Stops in order: other nodes take over what this one owns, or it is released; what was decided is committed and
    /// leaves, snapshots are written.
    ///
    /// # Errors
    /// What was not done in time, because the log does not answer; the node has ended all the same.
    pub async fn stop(self) -> Result<(), Undone> {
        let began = Instant::now();
        let owned = |state: &PartitionState| *state == PartitionState::Owned;
        self.shared.standing.leave();
        // A mirror that is not there yet is waited for, but not for ever.
        let handing_over = self.until(|states| !states.values().any(owned));
        drop(tokio::time::timeout(self.stop_wait / 2, handing_over).await);
        self.stop.send_replace(true);
        let rest = self.stop_wait.saturating_sub(began.elapsed());
        let closed = self.until(|states| states.values().all(has_stopped));
        let in_time = tokio::time::timeout(rest, closed).await;
        let places = self.states().into_iter();
        let places = places.filter(|(_, state)| !has_stopped(state));
        let places = places.map(|(place, _)| place).collect();
        // Saying goodbye only spares others a wait, so a log that is away need not hear it.
        let rest = self.stop_wait.saturating_sub(began.elapsed());
        let leaving = cluster::leave(&self.shared.log, self.shared.incarnation);
        drop(tokio::time::timeout(rest, leaving).await);
        if let Stores::Sled(stores) = &self.shared.stores
            && let Err(error) = stores.flush()
        {
            tracing::warn!(%error, "the snapshots were not flushed; the next start replays more");
        }
        let waited = self.stop_wait;
        self.kill().await;
        in_time.map_err(|_| Undone { places, waited })
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
            .ended(KILL_WAIT, |place| stuck.contains(place));
        ended.await;
        self.shared.publishers.ended(KILL_WAIT).await;
        drop(self.supervising.await);
    }
}

/// How long a partition that is in the middle of something is waited for.
const KILL_WAIT: Duration = Duration::from_secs(5);

fn has_stopped(state: &PartitionState) -> bool {
    matches!(state, PartitionState::Stopped(_))
}

/// Names this boot of the machine; unknown where the kernel does not tell, so that everything is verified.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_else(|_| "unknown".to_owned())
}
