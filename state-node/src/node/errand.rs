//! Errands, the questions of people about one entity: how it is, and to try again to read it. Partitions look for
//! errands with every tick.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;
use xp_protocol::{Address, LanePartition};

use crate::partition::Description;

/// What came of an errand.
pub(crate) type Told = Result<Option<Description>, String>;

/// How many errands may wait for one partition; more are refused.
const WAITING_MAX: usize = 64;

/// A question about one entity, and where its answer goes.
pub(crate) struct Errand {
    pub(crate) address: Address,
    /// Whether to try again to read it, if it is in quarantine.
    pub(crate) retry: bool,
    pub(crate) answer: oneshot::Sender<Told>,
}

/// All errands that wait, by partition.
#[derive(Default)]
pub(crate) struct Errands(Mutex<BTreeMap<LanePartition, Vec<Errand>>>);

impl Errands {
    /// Leaves an errand; `false` when too many wait.
    pub(crate) fn leave(&self, partition: &LanePartition, errand: Errand) -> bool {
        let mut waiting = self.waiting();
        let waiting = waiting.entry(partition.clone()).or_default();
        let has_room = waiting.len() < WAITING_MAX;
        if has_room {
            waiting.push(errand);
        }
        has_room
    }

    /// Those of a partition.
    pub(crate) fn take(&self, partition: &LanePartition) -> Vec<Errand> {
        self.waiting().remove(partition).unwrap_or_default()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<LanePartition, Vec<Errand>>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}
