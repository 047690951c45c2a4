//! The hosting of a node: the lanes and their topics, the domain's entities, and the bounds and times of each partition.

use std::sync::Arc;

use xp_domain_sdk::host::Registry;
use xp_protocol::rules::AllRules;
use xp_protocol::{Address, Incarnation, LanePartition};
use xp_transport::TopicPartition;

use super::StartError;
use crate::deciding::Deciding;
use crate::lanes::Lanes;
use crate::limits::Limits;
use crate::partition::{Faulted, Setting};
use crate::store::SnapshotStore;

/// The same for all partitions of a node, and for as long as it runs.
pub(crate) struct Hosting {
    lanes: Arc<Lanes>,
    domain: Arc<Registry>,
    /// For the lanes that have none of their own.
    limits: Arc<Limits>,
    lease_ms: u64,
    explains: bool,
}

/// A partition on each topic of its lane.
#[derive(Clone)]
pub(crate) struct Topics {
    pub(crate) events: TopicPartition,
    pub(crate) inbound: TopicPartition,
    pub(crate) snapshots: TopicPartition,
    /// All partitions of the topic through which it speaks.
    pub(crate) outbound: Arc<str>,
}

impl Hosting {
    /// A domain on its lanes.
    ///
    /// # Errors
    /// [`StartError::NoLane`] for a category that no lane serves.
    pub(crate) fn new(
        lanes: Lanes,
        domain: Registry,
        limits: Limits,
        lease_ms: u64,
        explains: bool,
    ) -> Result<Self, StartError> {
        let unserved = |category: &&'static str| lanes.of(category).is_none();
        if let Some(category) = domain.categories().find(unserved) {
            return Err(StartError::NoLane(category));
        }
        Ok(Self {
            lanes: Arc::new(lanes),
            domain: Arc::new(domain),
            limits: Arc::new(limits),
            lease_ms,
            explains,
        })
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    pub(crate) fn domain(&self) -> &Arc<Registry> {
        &self.domain
    }

    /// Where an entity lives.
    pub(crate) fn locate(&self, address: &Address) -> Option<LanePartition> {
        self.lanes.locate(address)
    }

    /// The bounds and times of a lane's partitions: its own, or else the node's.
    pub(crate) fn limits(&self, partition: &LanePartition) -> Arc<Limits> {
        let lane = self.lanes.get(&partition.lane);
        let limits = lane.and_then(|lane| lane.limits.clone());
        limits.unwrap_or_else(|| Arc::clone(&self.limits))
    }

    /// The topics of a partition; none when its lane is not one of these.
    pub(crate) fn topics(&self, partition: &LanePartition) -> Option<Topics> {
        let lane = self.lanes.get(&partition.lane)?;
        Some(Topics {
            events: at(&lane.events, partition),
            inbound: at(&lane.inbound, partition),
            snapshots: at(&lane.snapshots, partition),
            outbound: Arc::clone(&lane.outbound),
        })
    }

    /// Where a partition hears, also one of another node; none when its lane is not one of these.
    pub(crate) fn inbound(&self, partition: &LanePartition) -> Option<TopicPartition> {
        let lane = self.lanes.get(&partition.lane)?;
        Some(at(&lane.inbound, partition))
    }

    /// What a partition is opened with.
    pub(crate) fn setting(
        &self,
        partition: &LanePartition,
        incarnation: Incarnation,
        store: Arc<dyn SnapshotStore>,
        faulted: Faulted,
        deciding: Deciding,
    ) -> Setting {
        Setting {
            partition: partition.clone(),
            incarnation,
            lanes: Arc::clone(&self.lanes),
            domain: Arc::clone(&self.domain),
            limits: self.limits(partition),
            lease_ms: self.lease_ms,
            explains: self.explains,
            store,
            rules: &AllRules,
            faulted,
            deciding,
        }
    }
}

fn at(topic: &Arc<str>, partition: &LanePartition) -> TopicPartition {
    TopicPartition {
        topic: Arc::clone(topic),
        partition: partition.partition,
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;
    use crate::lanes::Lane;

    fn partition(lane: &str) -> LanePartition {
        LanePartition {
            lane: lane.into(),
            partition: PartitionId(1),
        }
    }

    #[test]
    fn a_partition_has_the_limits_of_its_lane_or_else_of_the_node() {
        let own = Arc::new(Limits::default());
        let busy = Lane {
            limits: Some(Arc::clone(&own)),
            ..Lane::new("busy", 2, 1)
        };
        let lanes = Lanes::default().with(busy, ["match"]);
        let lanes = lanes.with(Lane::new("main", 2, 1), ["board"]);
        let hosting = Hosting::new(lanes, Registry::default(), Limits::default(), 0, false);
        let hosting = hosting.expect("no category lacks a lane");
        assert!(Arc::ptr_eq(&hosting.limits(&partition("busy")), &own));
        assert!(Arc::ptr_eq(
            &hosting.limits(&partition("main")),
            &hosting.limits
        ));
        assert!(hosting.topics(&partition("gone")).is_none());
        let topics = hosting.topics(&partition("busy")).expect("it is served");
        assert_eq!(topics.events, at(&"busy.events".into(), &partition("busy")));
        assert_eq!(Some(topics.inbound), hosting.inbound(&partition("busy")));
    }
}
