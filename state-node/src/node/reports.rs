//! Reports: what a node's partitions say of themselves, for whoever waits for them or asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;
use xp_protocol::{Address, LanePartition, Offset};

use crate::schedule::Phase;

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
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Stopped(reason) => reason.as_deref(),
            Self::Replaying | Self::Mirroring | Self::Owned => None,
        }
    }

    pub(crate) fn has_stopped(&self) -> bool {
        matches!(self, Self::Stopped(_))
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

/// What each partition does.
pub(crate) type States = BTreeMap<LanePartition, PartitionState>;

/// What a partition says of itself with every tick.
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

/// What all partitions of a node have said last.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    states: watch::Sender<States>,
    seen: Mutex<BTreeMap<LanePartition, Seen>>,
    replay: Progress,
}

impl Reports {
    /// How far replay is.
    pub(crate) fn replay(&self) -> &Progress {
        &self.replay
    }

    /// What each partition does now.
    pub(crate) fn states(&self) -> States {
        self.states.borrow().clone()
    }

    pub(crate) fn set_state(&self, partition: &LanePartition, state: PartitionState) {
        self.states.send_modify(|states| {
            states.insert(partition.clone(), state);
        });
    }

    /// Waits until what the partitions do is so.
    pub(crate) async fn until(&self, holds: impl Fn(&States) -> bool) {
        let mut states = self.states.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        drop(states.wait_for(|states| holds(states)).await);
    }

    /// Whether this node has anything to say of a partition.
    pub(crate) fn knows(&self, partition: &LanePartition) -> bool {
        self.states.borrow().contains_key(partition)
    }

    /// Whether a partition was given up.
    pub(crate) fn has_stopped(&self, partition: &LanePartition) -> bool {
        let states = self.states.borrow();
        states
            .get(partition)
            .is_some_and(PartitionState::has_stopped)
    }

    pub(crate) fn set_seen(&self, partition: &LanePartition, seen: Seen) {
        self.all_seen().insert(partition.clone(), seen);
    }

    pub(crate) fn seen(&self, partition: &LanePartition) -> Option<Seen> {
        self.all_seen().get(partition).cloned()
    }

    /// Entities in memory, as of the partitions' last ticks.
    pub(crate) fn resident(&self) -> usize {
        self.all_seen().values().map(|seen| seen.entities).sum()
    }

    /// Placement gives the partition to others.
    pub(crate) fn forget(&self, partition: &LanePartition) {
        self.states
            .send_modify(|states| drop(states.remove(partition)));
        self.all_seen().remove(partition);
    }

    fn all_seen(&self) -> MutexGuard<'_, BTreeMap<LanePartition, Seen>> {
        self.seen.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    #[test]
    fn a_partition_that_is_forgotten_is_neither_known_nor_counted() {
        let reports = Reports::default();
        let [kept, gone] = [0, 1].map(|partition| LanePartition {
            lane: "main".into(),
            partition: PartitionId(partition),
        });
        for partition in [&kept, &gone] {
            reports.set_state(partition, PartitionState::Stopped(None));
            let seen = Seen {
                entities: 3,
                ..Seen::default()
            };
            reports.set_seen(partition, seen);
        }
        assert_eq!(reports.resident(), 6);
        assert!(reports.has_stopped(&gone));
        reports.forget(&gone);
        assert!(!reports.knows(&gone) && !reports.has_stopped(&gone));
        assert!(reports.seen(&gone).is_none());
        assert_eq!((reports.knows(&kept), reports.resident()), (true, 3));
    }
}
