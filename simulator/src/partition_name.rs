//! A partition of one of the lanes, by a name that is cheap to copy.

use std::fmt;

use xp_protocol::{Address, LanePartition, PartitionId};

use super::plan::{LANES, Lane};

/// A partition of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionName {
    /// The lane's name.
    pub lane: &'static str,
    /// Its number in the lane, from 0.
    pub partition: PartitionId,
}

impl PartitionName {
    /// All partitions that hold entities.
    pub fn all() -> impl Iterator<Item = Self> {
        LANES.iter().flat_map(|lane| lane.names(lane.partitions))
    }

    /// All partitions through which edges hear.
    pub fn all_outbound() -> impl Iterator<Item = Self> {
        let heard = |lane: &'static Lane| lane.names(lane.outbound_partitions);
        LANES.iter().flat_map(heard)
    }

    /// Where an entity lives.
    ///
    /// # Panics
    /// When no lane serves its category.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        let mut lanes = LANES.iter();
        let lane = lanes.find(|lane| lane.categories.contains(&address.category()));
        let lane = lane.expect("every category has its lane");
        Self {
            lane: lane.name,
            partition: address.partition(lane.partitions),
        }
    }

    /// The same by the platform's own name.
    ///
    /// # Panics
    /// When there is no such lane.
    #[must_use]
    pub fn known(partition: &LanePartition) -> Self {
        let mut lanes = LANES.iter();
        let lane = lanes.find(|lane| lane.name == &*partition.lane);
        Self {
            lane: lane.expect("there are no other lanes").name,
            partition: partition.partition,
        }
    }
}

impl Lane {
    fn names(&'static self, count: u32) -> impl Iterator<Item = PartitionName> {
        let partition = |partition| PartitionName {
            lane: self.name,
            partition: PartitionId(partition),
        };
        (0..count).map(partition)
    }
}

impl From<PartitionName> for LanePartition {
    fn from(partition: PartitionName) -> Self {
        Self {
            lane: partition.lane.into(),
            partition: partition.partition,
        }
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartitionId(partition) = self.partition;
        write!(f, "{}-{partition}", self.lane)
    }
}
