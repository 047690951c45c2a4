//! A state node: one supervised partition after the other, and word to the cluster that it lives.

mod supervisor;
mod shell;
mod cluster;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;
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

/// What all partitions of a node share.
pub(crate) struct Shared {
    pub(crate) limits: Arc<crate::limits::Limits>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) domain: Arc<Registry>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) clock: Clock,
    pub(crate) incarnation: Incarnation,
    pub(crate) view: watch::Receiver<View>,
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
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut states = self.shared.states.subscribe();
        let stopped = states.wait_for(|states| {
            states
                .values()
                .all(|state| matches!(state, PartitionState::Stopped(_)))
        });
        // The sender lives in `shared`, so waiting cannot fail.
        drop(stopped.await);
        cluster::leave(&self.shared.log, self.shared.incarnation).await;
        if let Stores::Sled(stores) = &self.shared.stores
            && let Err(error) = stores.flush()
        {
            tracing::warn!(%error, "the snapshots were not flushed; the next start replays more");
        }
        self.kill().await;
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

/// Names this boot of the machine; unknown where the kernel does not tell, so that everything is verified.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_else(|_| "unknown".to_owned())
}
