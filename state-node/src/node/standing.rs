//! What a node's heartbeats say of it beside that it lives: what it could own at once, and whether it leaves. One whose
//! partitions make no progress says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use xp_protocol::LanePartition;

/// Shared by the partitions and the heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    leaving: AtomicBool,
    warm: Mutex<BTreeSet<LanePartition>>,
    /// When each partition was seen to go on.
    seen: Mutex<BTreeMap<LanePartition, Instant>>,
    changed: Notify,
}

impl Standing {
    /// From now on the node hands over what it owns.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether the partition could be owned here at once. News is told without waiting for the next heartbeat.
    pub(crate) fn set_warm(&self, place: &LanePartition, is_warm: bool) {
        let mut warm = self.warm.lock().expect("no holder of this lock panics");
        let news = match is_warm {
            true => warm.insert(place.clone()),
            false => warm.remove(place),
        };
        if news {
            self.changed.notify_one();
        }
    }

    pub(crate) fn warm(&self) -> Vec<LanePartition> {
        let warm = self.warm.lock().expect("no holder of this lock panics");
        warm.iter().cloned().collect()
    }

    /// A partition goes on.
    pub(crate) fn goes_on(&self, place: &LanePartition, now: Instant) {
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        match seen.get_mut(place) {
            Some(at) => *at = now,
            None => drop(seen.insert(place.clone(), now)),
        }
    }

    /// A partition has ended, and need not go on.
    pub(crate) fn ended(&self, place: &LanePartition) {
        self.set_warm(place, false);
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        seen.remove(place);
    }

    /// A partition that has made no progress for so long.
    pub(crate) fn stuck(&self, now: Instant, longest: Duration) -> Option<LanePartition> {
        let seen = self.seen.lock().expect("no holder of this lock panics");
        let mut stuck = seen
            .iter()
            .filter(|(_, at)| now.saturating_duration_since(**at) > longest);
        stuck.next().map(|(place, _)| place.clone())
    }

    /// Resolves when there is news for the next heartbeat.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    #[test]
    fn a_partition_that_does_not_go_on_is_stuck_until_it_ends() {
        let standing = Standing::default();
        let place = LanePartition {
            lane: "main".into(),
            partition: PartitionId(1),
        };
        let began = Instant::now();
        let second = Duration::from_secs(1);
        standing.goes_on(&place, began);
        assert_eq!(standing.stuck(began + second, second), None);
        assert_eq!(
            standing.stuck(began + 2 * second, second),
            Some(place.clone())
        );
        standing.goes_on(&place, began + 2 * second);
        assert_eq!(standing.stuck(began + 3 * second, second), None);
        standing.ended(&place);
        assert_eq!(standing.stuck(began + 9 * second, second), None);
    }
}
