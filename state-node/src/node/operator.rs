//! The requests of operators about one entity: to describe it, and to try again to read it. A partition looks for its
//! requests with every tick.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;
use xp_protocol::{Address, LanePartition};

use crate::partition::Description;

/// The description, none when there is no such entity; or why nobody can say.
pub(crate) type OperatorReply = Result<Option<Description>, String>;

/// How many requests may wait for one partition; more are refused.
const WAITING_MAX: usize = 64;

/// A request about one entity, and where its reply goes.
pub(crate) struct OperatorRequest {
    pub(crate) address: Address,
    /// Whether to try again to read it, if it is in quarantine.
    pub(crate) retry: bool,
    pub(crate) reply: oneshot::Sender<OperatorReply>,
}

/// All requests that wait, by partition.
#[derive(Default)]
pub(crate) struct OperatorRequests(Mutex<BTreeMap<LanePartition, Vec<OperatorRequest>>>);

impl OperatorRequests {
    /// Queues a request; `false` when too many wait.
    pub(crate) fn push(&self, partition: &LanePartition, request: OperatorRequest) -> bool {
        let mut waiting = self.waiting();
        let waiting = waiting.entry(partition.clone()).or_default();
        let has_room = waiting.len() < WAITING_MAX;
        if has_room {
            waiting.push(request);
        }
        has_room
    }

    /// Those of a partition.
    pub(crate) fn take(&self, partition: &LanePartition) -> Vec<OperatorRequest> {
        self.waiting().remove(partition).unwrap_or_default()
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<LanePartition, Vec<OperatorRequest>>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}
