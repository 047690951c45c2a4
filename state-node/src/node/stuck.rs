//! Partitions that make no progress, as the heartbeats see them: first a node leaves them to who is warm (R46), and at
//! last, when nobody is, it says no longer that it lives.

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::LanePartition;

/// For how many heartbeats a partition must have been seen to make no progress: after the whole process stood still, its
/// partitions go on within some.
const STUCK_BEATS: u32 = 5;
/// After how many heartbeats more a node falls silent, when such a partition is its own still.
const YIELD_BEATS: u32 = 20;

/// For how many heartbeats in a row each partition has made no progress.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    beats: BTreeMap<LanePartition, u32>,
}

impl Stuck {
    /// What makes no progress at this heartbeat.
    pub(super) fn see(&mut self, stuck: BTreeSet<LanePartition>) {
        let before = std::mem::take(&mut self.beats);
        let more = |partition: LanePartition| {
            let beats = before.get(&partition).copied().unwrap_or(0);
            (partition, beats.saturating_add(1))
        };
        self.beats = stuck.into_iter().map(more).collect();
    }

    /// What is left to others.
    pub(super) fn left(&self) -> BTreeSet<LanePartition> {
        self.since(STUCK_BEATS).cloned().collect()
    }

    /// What nobody has taken, so that it keeps the node from saying that it lives.
    pub(super) fn silences(&self, owns: impl Fn(&LanePartition) -> bool) -> Option<&LanePartition> {
        self.since(STUCK_BEATS + YIELD_BEATS)
            .find(|partition| owns(partition))
    }

    fn since(&self, beats: u32) -> impl Iterator<Item = &LanePartition> {
        let long = self.beats.iter().filter(move |(_, seen)| **seen >= beats);
        long.map(|(partition, _)| partition)
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    fn partitions(partitions: &[u32]) -> BTreeSet<LanePartition> {
        let partition = |partition: &u32| LanePartition {
            lane: "main".into(),
            partition: PartitionId(*partition),
        };
        partitions.iter().map(partition).collect()
    }

    fn after(beats: u32, stuck: &mut Stuck) {
        (0..beats).for_each(|_| stuck.see(partitions(&[1, 2])));
    }

    #[test]
    fn what_makes_no_progress_is_left_to_others_alone_and_the_node_lives() {
        let mut stuck = Stuck::default();
        after(4, &mut stuck);
        assert_eq!(stuck.left(), partitions(&[]));
        stuck.see(partitions(&[1]));
        assert_eq!(stuck.left(), partitions(&[1]));
        after(100, &mut stuck);
        assert_eq!(stuck.silences(|_| false), None, "others have taken it");
        stuck.see(partitions(&[]));
        assert_eq!(stuck.left(), partitions(&[]));
    }

    #[test]
    fn what_nobody_takes_silences_the_node_at_last() {
        let mut stuck = Stuck::default();
        after(24, &mut stuck);
        assert_eq!(stuck.silences(|_| true), None);
        after(1, &mut stuck);
        assert!(stuck.silences(|_| true).is_some());
    }
}
