//! The lanes of a state node: which lane serves a category, and how many partitions it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_protocol::cluster::{Definition, Definitions, Placement};
use xp_protocol::lane::{events_topic, inbound_topic, outbound_topic, snapshots_topic};
use xp_protocol::{Address, LanePartition, PartitionId};

use crate::limits::Limits;

/// A lane as state nodes need it: its name and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name, the prefix of its topics.
    pub name: Box<str>,
    /// Partitions of `inbound` and `events`; never changed in place.
    pub partitions: u32,
    /// Partitions of `outbound`.
    pub outbound_partitions: u32,
    /// The topic through which its partitions hear.
    pub inbound: Arc<str>,
    /// The topic that holds its truth.
    pub events: Arc<str>,
    /// The topic through which it speaks to edges.
    pub outbound: Arc<str>,
    /// The topic of its published snapshots; need not exist.
    pub snapshots: Arc<str>,
    /// Where its partitions live.
    pub placement: Placement,
    /// Bounds and times of its partitions, where they are not the node's.
    pub limits: Option<Arc<Limits>>,
}

impl Lane {
    /// A lane and the names of its topics.
    #[must_use]
    pub fn new(name: &str, partitions: u32, outbound_partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            outbound_partitions,
            inbound: inbound_topic(name).into(),
            events: events_topic(name).into(),
            outbound: outbound_topic(name).into(),
            snapshots: snapshots_topic(name).into(),
            placement: Placement::default(),
            limits: None,
        }
    }

    /// All partitions of the lane.
    pub fn all(&self) -> impl Iterator<Item = LanePartition> + '_ {
        (0..self.partitions).map(|partition| LanePartition {
            lane: self.name.clone(),
            partition: PartitionId(partition),
        })
    }
}

/// All lanes, and which category each serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    lanes: BTreeMap<Box<str>, Lane>,
    categories: BTreeMap<Box<str>, Box<str>>,
}

impl Lanes {
    /// Adds a lane that serves `categories`.
    #[must_use]
    pub fn with<'a>(mut self, lane: Lane, categories: impl IntoIterator<Item = &'a str>) -> Self {
        for category in categories {
            self.categories.insert(category.into(), lane.name.clone());
        }
        self.lanes.insert(lane.name.clone(), lane);
        self
    }

    /// The lane that serves a category.
    #[must_use]
    pub fn of(&self, category: &str) -> Option<&Lane> {
        self.lanes.get(self.categories.get(category)?)
    }

    /// A lane by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Lane> {
        self.lanes.get(name)
    }

    /// Where an entity lives.
    #[must_use]
    pub fn locate(&self, address: &Address) -> Option<LanePartition> {
        let lane = self.of(address.category())?;
        Some(LanePartition {
            lane: lane.name.clone(),
            partition: address.partition(lane.partitions),
        })
    }

    /// What all nodes must agree on, as a version of it.
    #[must_use]
    pub fn definitions(&self, version: u32) -> Definitions {
        let lanes = self.iter();
        let lanes = lanes.map(|lane| (lane.name.clone(), self.definition(lane)));
        Definitions {
            version,
            lanes: lanes.collect(),
        }
    }

    fn definition(&self, lane: &Lane) -> Definition {
        let served = self.categories.iter().filter(|(_, by)| **by == lane.name);
        Definition {
            partitions: lane.partitions,
            outbound_partitions: lane.outbound_partitions,
            categories: served.map(|(category, _)| category.clone()).collect(),
            placement: lane.placement.clone(),
        }
    }

    /// All lanes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values()
    }
}
