//! State for nodes that have none, in the topic `snapshots` of each lane.

use serde::{Deserialize, Serialize};
use xp_settings::{Span, settings};
use xp_state_node::pace::Pace;

settings! {
    /// What a mirror publishes of each partition on the lane's topic `snapshots`, so that a node with an empty disk need
    /// not replay all of `events`.
    pub struct Publishing {
        /// How often what changed is published. A node that has nothing is behind by so much, and reads the rest from
        /// `events`.
        interval: Span = Span::from_secs(10),
        /// How long a node must have been a partition's publisher before it begins: it publishes all of it anew, which
        /// a restart that passes over all nodes should not cause.
        settle: Span = Span::from_secs(30),
        /// The longest wait after publishing failed; it begins with `interval` and doubles.
        again_max: Span = Span::from_secs(300),
        /// Entities changed within an interval. Beyond it all are published anew, which costs no more.
        changes_max: usize = Pace::default().changes_max,
        /// From so many records of `events` on a node takes the published snapshot although it could replay them.
        replay_max: u64 = Pace::default().replay_max,
    }
}

impl Publishing {
    /// The same for a state node whose records have at most so many bytes.
    #[must_use]
    pub fn pace(&self, record_bytes_max: usize) -> Pace {
        let usual = Pace::default();
        Pace {
            interval_ms: self.interval.ms(),
            settle_ms: self.settle.ms(),
            again_ms_max: self.again_max.ms(),
            piece_bytes: usual.piece_bytes.min(record_bytes_max / 2),
            changes_max: self.changes_max,
            replay_max: self.replay_max,
            ..usual
        }
    }
}
