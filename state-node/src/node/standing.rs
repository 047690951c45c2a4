//! The standing of a node in its heartbeats: what it could own at once, and whether it leaves. What makes no progress
//! or has failed lately it could not own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use xp_protocol::LanePartition;

use crate::deciding::Deciding;

/// Shared by the partitions and the heartbeats.
#[derive(Debug)]
pub(crate) struct Standing {
    began: Instant,
    leaving: AtomicBool,
    warm: Mutex<BTreeSet<LanePartition>>,
    /// The partitions that must go on.
    lives: Mutex<BTreeMap<LanePartition, Life>>,
    /// Partitions that make no progress, and are left to others.
    stuck: Mutex<BTreeSet<LanePartition>>,
    /// Partitions that have failed here, and until when they are rather left to others.
    doubted: Mutex<BTreeMap<LanePartition, Instant>>,
    silent: AtomicBool,
    /// When the whole process stood still last, and for how long.
    stood_still: Mutex<Option<(Instant, Duration)>>,
    changed: Notify,
}

#[derive(Debug)]
struct Life {
    shown: Arc<Shown>,
    deciding: Deciding,
}

/// What a partition shows of itself, and what is thought of it.
#[derive(Debug, Default)]
struct Shown {
    /// When it went on last, in milliseconds since the node began.
    seen: AtomicU64,
    /// Whether it was given up for making no progress.
    given_up: AtomicBool,
}

/// The sign of one partition that it goes on.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    shown: Arc<Shown>,
}

impl Progress {
    /// The partition goes on. Whether it had been given up.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        let shown = &self.shown;
        shown.seen.store(since(self.began, now), Ordering::Relaxed);
        shown.given_up.load(Ordering::Relaxed) && shown.given_up.swap(false, Ordering::Relaxed)
    }
}

fn since(began: Instant, now: Instant) -> u64 {
    let passed = now.saturating_duration_since(began).as_millis();
    u64::try_from(passed).unwrap_or(u64::MAX)
}

fn open<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().expect("no holder of this lock panics")
}

impl Standing {
    /// A node that begins.
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            leaving: AtomicBool::new(false),
            warm: Mutex::default(),
            lives: Mutex::default(),
            stuck: Mutex::default(),
            doubted: Mutex::default(),
            silent: AtomicBool::new(false),
            stood_still: Mutex::default(),
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
    pub(crate) fn set_warm(&self, partition: &LanePartition, is_warm: bool) {
        let mut warm = open(&self.warm);
        let news = match is_warm {
            true => warm.insert(partition.clone()),
            false => warm.remove(partition),
        };
        if news {
            self.changed.notify_one();
        }
    }

    /// What could be owned here at once: an owner yields what is missing (R46).
    pub(crate) fn warm(&self, now: Instant) -> Vec<LanePartition> {
        let warm = open(&self.warm);
        let (stuck, mut doubted) = (open(&self.stuck), open(&self.doubted));
        doubted.retain(|_, until| *until > now);
        let able = |partition: &&LanePartition| {
            !stuck.contains(*partition) && !doubted.contains_key(*partition)
        };
        warm.iter().filter(able).cloned().collect()
    }

    /// A partition has failed here: for a while others are asked first, lest it goes to and fro between one node where
    /// it works and one where it does not.
    pub(crate) fn doubt(&self, partition: &LanePartition, until: Instant) {
        open(&self.doubted).insert(partition.clone(), until);
    }

    /// It is owned here again and decides: what is said of it is true, whatever was before.
    pub(crate) fn trust(&self, partition: &LanePartition) {
        open(&self.doubted).remove(partition);
    }

    /// These partitions, and no others, make no progress and are left to who is warm.
    pub(crate) fn leave_to_others(&self, stuck: BTreeSet<LanePartition>) {
        *open(&self.stuck) = stuck;
    }

    /// What makes no progress here and is left to others.
    pub(crate) fn left_to_others(&self) -> BTreeSet<LanePartition> {
        open(&self.stuck).clone()
    }

    /// Whether the node says nothing any more; returns whether that is news.
    pub(crate) fn set_silent(&self, silent: bool) -> bool {
        self.silent.swap(silent, Ordering::Relaxed) != silent
    }

    /// The whole process went on only now, after so long.
    pub(crate) fn stood_still(&self, now: Instant, lasted: Duration) {
        *open(&self.stood_still) = Some((now, lasted));
    }

    /// For how long the process stood still, if it has gone on only since `since`.
    pub(crate) fn has_stood_still(&self, since: Instant) -> Option<Duration> {
        let (at, lasted) = (*open(&self.stood_still))?;
        (at >= since).then_some(lasted)
    }

    /// A partition begins, and must go on from now on.
    pub(crate) fn begins(
        &self,
        partition: &LanePartition,
        deciding: Deciding,
        now: Instant,
    ) -> Progress {
        let progress = Progress {
            began: self.began,
            shown: Arc::default(),
        };
        progress.goes_on(now);
        let shown = Arc::clone(&progress.shown);
        open(&self.lives).insert(partition.clone(), Life { shown, deciding });
        progress
    }

    /// A partition has ended, and need not go on.
    pub(crate) fn ended(&self, partition: &LanePartition) {
        self.set_warm(partition, false);
        open(&self.lives).remove(partition);
    }

    /// The partitions that have made no progress for so long.
    pub(crate) fn stuck(&self, now: Instant, longest: Duration) -> BTreeSet<LanePartition> {
        self.idle(now, longest).into_keys().collect()
    }

    /// The same, and for how long they have not.
    pub(crate) fn idle(
        &self,
        now: Instant,
        longest: Duration,
    ) -> BTreeMap<LanePartition, Duration> {
        let now_ms = since(self.began, now);
        let lives = open(&self.lives);
        let idle = lives.iter().map(|(partition, life)| {
            let seen_ms = life.shown.seen.load(Ordering::Relaxed);
            (
                partition,
                Duration::from_millis(now_ms.saturating_sub(seen_ms)),
            )
        });
        let idle = idle.filter(|(_, idle)| *idle > longest);
        idle.map(|(partition, idle)| (partition.clone(), idle))
            .collect()
    }

    /// What a partition is deciding.
    pub(crate) fn deciding(&self, partition: &LanePartition) -> Option<String> {
        open(&self.lives).get(partition)?.deciding.get()
    }

    /// A partition is given up until it goes on.
    pub(crate) fn give_up(&self, partition: &LanePartition) {
        if let Some(life) = open(&self.lives).get(partition) {
            life.shown.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// The partitions that were given up, and have not gone on.
    pub(crate) fn given_up(&self) -> BTreeSet<LanePartition> {
        let lives = open(&self.lives);
        let given_up = |life: &Life| life.shown.given_up.load(Ordering::Relaxed);
        let partitions = lives.iter().filter(|(_, life)| given_up(life));
        partitions.map(|(partition, _)| partition.clone()).collect()
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

    fn partition() -> LanePartition {
        LanePartition {
            lane: "main".into(),
            partition: PartitionId(1),
        }
    }

    #[test]
    fn a_partition_that_does_not_go_on_is_stuck_until_it_ends() {
        let began = Instant::now();
        let (standing, partition) = (Standing::new(began), partition());
        let second = Duration::from_secs(1);
        let progress = standing.begins(&partition, Deciding::default(), began);
        let nothing = BTreeSet::new();
        assert_eq!(standing.stuck(began + second, second), nothing);
        let stuck = standing.stuck(began + 2 * second, second);
        assert_eq!(stuck, BTreeSet::from([partition.clone()]));
        standing.give_up(&partition);
        assert_eq!(standing.given_up(), stuck);
        assert!(progress.goes_on(began + 2 * second), "it had been given up");
        assert!(standing.given_up().is_empty() && !progress.goes_on(began + 2 * second));
        assert_eq!(standing.stuck(began + 3 * second, second), nothing);
        standing.ended(&partition);
        assert_eq!(standing.stuck(began + 9 * second, second), nothing);
    }

    #[test]
    fn what_is_stuck_or_has_failed_lately_could_not_be_owned_at_once() {
        let began = Instant::now();
        let (standing, partition) = (Standing::new(began), partition());
        let second = Duration::from_secs(1);
        standing.set_warm(&partition, true);
        assert_eq!(standing.warm(began), std::slice::from_ref(&partition));
        standing.leave_to_others(BTreeSet::from([partition.clone()]));
        assert_eq!(standing.warm(began), []);
        standing.leave_to_others(BTreeSet::new());
        standing.doubt(&partition, began + second);
        assert_eq!(standing.warm(began), []);
        assert_eq!(
            standing.warm(began + second),
            std::slice::from_ref(&partition)
        );
        standing.doubt(&partition, began + second);
        standing.trust(&partition);
        assert_eq!(standing.warm(began), [partition], "it is served");
    }
}
