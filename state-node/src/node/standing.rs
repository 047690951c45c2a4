//! What a node's heartbeats say of it beside that it lives: what it could own at once, and whether it leaves. One whose
//! partitions make no progress says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use xp_protocol::LanePartition;

/// Shared by the partitions and the heartbeats.
#[derive(Debug)]
pub(crate) struct Standing {
    began: Instant,
    leaving: AtomicBool,
    warm: Mutex<BTreeSet<LanePartition>>,
    /// When each partition went on last, in milliseconds since `began`.
    seen: Mutex<BTreeMap<LanePartition, Arc<AtomicU64>>>,
    changed: Notify,
}

/// One partition's word that it goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    seen: Arc<AtomicU64>,
}

impl Progress {
    /// The partition goes on.
    pub(crate) fn goes_on(&self, now: Instant) {
        self.seen.store(since(self.began, now), Ordering::Relaxed);
    }
}

fn since(began: Instant, now: Instant) -> u64 {
    let passed = now.saturating_duration_since(began).as_millis();
    u64::try_from(passed).unwrap_or(u64::MAX)
}

impl Standing {
    /// A node that begins.
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            leaving: AtomicBool::new(false),
            warm: Mutex::default(),
            seen: Mutex::default(),
            changed: Notify::new(),
        }
    }

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

    /// A partition begins, and must go on from now on.
    pub(crate) fn begins(&self, place: &LanePartition, now: Instant) -> Progress {
        let progress = Progress {
            began: self.began,
            seen: Arc::default(),
        };
        progress.goes_on(now);
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        seen.insert(place.clone(), Arc::clone(&progress.seen));
        progress
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
        let now_ms = since(self.began, now);
        let longest_ms = longest.as_millis();
        let mut stuck = seen.iter().filter(|(_, at)| {
            let idle_ms = now_ms.saturating_sub(at.load(Ordering::Relaxed));
            u128::from(idle_ms) > longest_ms
        });
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
        let began = Instant::now();
        let standing = Standing::new(began);
        let place = LanePartition {
            lane: "main".into(),
            partition: PartitionId(1),
        };
        let second = Duration::from_secs(1);
        let progress = standing.begins(&place, began);
        assert_eq!(standing.stuck(began + second, second), None);
        assert_eq!(
            standing.stuck(began + 2 * second, second),
            Some(place.clone())
        );
        progress.goes_on(began + 2 * second);
        assert_eq!(standing.stuck(began + 3 * second, second), None);
        standing.ended(&place);
        assert_eq!(standing.stuck(began + 9 * second, second), None);
    }
}
