//! A state node: one supervised partition after the other, and word to the cluster that it lives.

mod supervisor;
mod shell;
mod cluster;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xp_domain_sdk::host::Registry;
use xp_protocol::{Incarnation, LanePartition};
use xp_transport::{Clock, Log};

use crate::config::Config;
use crate::lanes::Lanes;
use crate::sled_store::SledStores;
use crate::store::{MemoryStore, SnapshotStore, StoreError};
use cluster::View;
use supervisor::{Supervise, Supervisor};

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
    Join(String),
    /// The supervisor.
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
    pub(crate) limits: Arc<crate::limits::Limits>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) domain: Arc<Registry>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) incarnation: Incarnation,
    pub(crate) view: watch::Receiver<View>,
    /// Nothing is claimed before (R17).
    pub(crate) claims_from: Instant,
    pub(crate) stop: watch::Receiver<bool>,
    stores: Stores,
    writing: Mutex<BTreeMap<LanePartition, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) states: watch::Sender<BTreeMap<LanePartition, PartitionState>>,
    pub(crate) progress: Progress,
    pub(crate) resident: Mutex<BTreeMap<LanePartition, usize>>,
}

enum Stores {
    Sled(SledStores),
    Memory(Mutex<BTreeMap<LanePartition, Arc<MemoryStore>>>),
}

/// What a partition does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// Replays the log from its last snapshot.
    Replaying,
    /// Decides.
    Owned,
    /// Released, or given up; a person must look when there is a reason.
    Stopped(Option<String>),
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

impl Shared {
    /// What is held while a snapshot of this partition is written, by whichever of its lives.
    pub(crate) fn writing(&self, place: &LanePartition) -> Arc<tokio::sync::Mutex<()>> {
        let mut writing = self.writing.lock().expect("no holder of this lock panics");
        Arc::clone(writing.entry(place.clone()).or_default())
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

    pub(crate) fn set_resident(&self, place: &LanePartition, entities: usize) {
        let mut resident = self.resident.lock().expect("no holder of this lock panics");
        resident.insert(place.clone(), entities);
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
}

/// Starts a node that owns every partition of every lane.
///
/// # Errors
/// [`StartError`] when a category has no lane, the snapshots cannot be opened, or the `cluster` log refuses.
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
            config.snapshot_cache_bytes,
            &boot_id(),
        )?),
        None => Stores::Memory(Mutex::default()),
    };
    let (view, heartbeats) = cluster::join(&config, &log, &clock, incarnation)
        .await
        .map_err(StartError::Join)?;
    let replaced = view.borrow().replaced;
    let wait_ms = if replaced { config.takeover_wait_ms } else { 0 };
    let (stop, stopped) = watch::channel(false);
    let places: Vec<_> = lanes.iter().flat_map(crate::lanes::Lane::all).collect();
    let states = places
        .iter()
        .map(|place| (place.clone(), PartitionState::Replaying))
        .collect();
    let shared = Arc::new(Shared {
        limits: Arc::new(config.limits.clone()),
        lanes: Arc::new(lanes),
        domain: Arc::new(domain),
        log,
        clock,
        incarnation,
        view,
        claims_from: Instant::now() + Duration::from_millis(wait_ms),
        stop: stopped,
        stores,
        writing: Mutex::default(),
        states: watch::channel(states).0,
        progress: Progress::default(),
        resident: Mutex::default(),
    });
    let (supervisor, supervising) = Actor::spawn(None, Supervisor, (Arc::clone(&shared), places))
        .await
        .map_err(|error| StartError::Supervisor(error.to_string()))?;
    Ok(Handle {
        shared,
        stop_wait: Duration::from_millis(config.stop_wait_ms),
        stop,
        supervisor,
        supervising,
        heartbeats,
    })
}

impl Handle {
    /// Waits until every partition is owned, or one has stopped.
    ///
    /// # Errors
    /// The reason of the first partition that stopped.
    pub async fn ready(&self) -> Result<(), String> {
        let mut states = self.shared.states.subscribe();
        let settled = states
            .wait_for(|states| {
                let stopped = states
                    .values()
                    .any(|state| matches!(state, PartitionState::Stopped(_)));
                stopped || states.values().all(|state| *state == PartitionState::Owned)
            })
            .await
            .map_err(|_| "the node is gone".to_owned())?;
        for (place, state) in settled.iter() {
            if let PartitionState::Stopped(reason) = state {
                return Err(format!(
                    "{place}: {}",
                    reason.as_deref().unwrap_or("stopped")
                ));
            }
        }
        Ok(())
    }

    /// Waits until every partition is owned or has stopped, and says what each does then.
    pub async fn settled(&self) -> BTreeMap<LanePartition, PartitionState> {
        let replays = |state: &PartitionState| *state == PartitionState::Replaying;
        self.until(|states| !states.values().any(replays)).await;
        self.states()
    }

    /// Resolves when every partition has stopped: this node serves nobody any more.
    pub async fn ended(&self) {
        self.until(|states| states.values().all(has_stopped)).await;
    }

    /// Resolves when another process of the same name took this one's place (R17): its partitions decide nothing
    /// any more, and the process should end.
    pub async fn evicted(&self) {
        let mut view = self.shared.view.clone();
        // Without its sender it can change no more, and then an eviction is in it.
        drop(view.wait_for(|view| view.evicted).await);
        if !self.is_evicted() {
            std::future::pending().await
        }
    }

    /// Whether another process of the same name took this one's place.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.shared.view.borrow().evicted
    }

    async fn until(&self, holds: impl Fn(&BTreeMap<LanePartition, PartitionState>) -> bool) {
        let mut states = self.shared.states.subscribe();
        // The sender lives in `shared`, so waiting cannot fail.
        drop(states.wait_for(|states| holds(states)).await);
    }

    /// What each partition does now.
    #[must_use]
    pub fn states(&self) -> BTreeMap<LanePartition, PartitionState> {
        self.shared.states.borrow().clone()
    }

    /// Whether every partition is owned now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared
            .states
            .borrow()
            .values()
            .all(|state| *state == PartitionState::Owned)
    }

    /// Entities in memory, as of the partitions' last ticks.
    #[must_use]
    pub fn resident(&self) -> usize {
        let resident = self
            .shared
            .resident
            .lock()
            .expect("no holder of this lock panics");
        resident.values().sum()
    }

    /// How far replay is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Stops in order: what was decided is committed and leaves, the partitions are released, snapshots are
    /// written.
    ///
    /// # Errors
    /// What was not done in time, because the log does not answer; the node has ended all the same.
    pub async fn stop(self) -> Result<(), Undone> {
        self.stop.send_replace(true);
        let began = Instant::now();
        let in_time = tokio::time::timeout(self.stop_wait, self.ended()).await;
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
        self.heartbeats.abort();
        let children = self.supervisor.get_children();
        self.supervisor.kill();
        for child in children {
            child.kill();
            drop(child.wait(None).await);
        }
        drop(self.supervising.await);
    }
}

fn has_stopped(state: &PartitionState) -> bool {
    matches!(state, PartitionState::Stopped(_))
}

/// Names this boot of the machine; unknown where the kernel does not tell, so that everything is verified.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_else(|_| "unknown".to_owned())
}
