//! Lanes: which topics and partitions serve a category.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::PartitionId;

/// The topic of heartbeats and membership; one partition.
pub const CLUSTER_TOPIC: &str = "cluster";

/// One partition of a lane: the source or target of tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LanePartition {
    /// The lane's name.
    pub lane: Box<str>,
    /// The partition of its `inbound` and `events`.
    pub partition: PartitionId,
}

impl fmt::Display for LanePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.lane, self.partition)
    }
}

/// The topic through which a lane's partitions hear.
#[must_use]
pub fn inbound_topic(lane: &str) -> String {
    format!("{lane}.inbound")
}

/// The topic that holds a lane's truth.
#[must_use]
pub fn events_topic(lane: &str) -> String {
    format!("{lane}.events")
}

/// The topic through which a lane speaks to edges.
#[must_use]
pub fn outbound_topic(lane: &str) -> String {
    format!("{lane}.outbound")
}

/// The topic through which a lane's state reaches nodes that have none of it; compacted by key.
#[must_use]
pub fn snapshots_topic(lane: &str) -> String {
    format!("{lane}.snapshots")
}
