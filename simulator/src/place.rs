//! A partition of one of the lanes, by a name that is cheap to copy.

use std::fmt;

use xp_protocol::{Address, LanePartition, PartitionId};

use super::plan::{LANES, Lane};

/// A partition of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The lane's name.
    pub lane: &'static str,
    /// Its number in the lane, from 0.
    pub partition: PartitionId,
}

impl Place {
    /// All partitions that hold entities.
    pub fn all() -> impl Iterator<Item = Self> {
        LANES.iter().flat_map(|lane| lane.places(lane.partitions))
    }

    /// All partitions through which edges hear.
    pub fn all_outbound() -> impl Iterator<Item = Self> {
        let heard = |lane: &'static Lane| lane.places(lane.outbound_partitions);
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
    pub fn known(place: &LanePartition) -> Self {
        let mut lanes = LANES.iter();
        let lane = lanes.find(|lane| lane.name == &*place.lane);
        Self {
            lane: lane.expect("there are no other lanes").name,
            partition: place.partition,
        }
    }
}

impl Lane {
    fn places(&'static self, count: u32) -> impl Iterator<Item = Place> {
        let place = |partition| Place {
            lane: self.name,
            partition: PartitionId(partition),
        };
        (0..count).map(place)
    }
}

impl From<Place> for LanePartition {
    fn from(place: Place) -> Self {
        Self {
            lane: place.lane.into(),
            partition: place.partition,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartitionId(partition) = self.partition;
        write!(f, "{}-{partition}", self.lane)
    }
}
