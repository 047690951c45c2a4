//! Routes: which partition hears about an entity, and what of a token its entities are told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xp_protocol::{Address, PartitionId};

use crate::config::{self, Lanes};
use crate::lane::{Bounds, Lane, Partition};

/// Every partition that an edge writes to, and by which category it is found.
pub(crate) struct Routes {
    /// From category to lane.
    lanes: HashMap<String, Arc<Lane>>,
    /// From category to the claims that its entities are told.
    claims: BTreeMap<String, Vec<String>>,
    /// Once each, however many categories a lane serves.
    partitions: Vec<Arc<Partition>>,
    /// How many edges there were when it was last looked.
    edges: AtomicU64,
}

impl Routes {
    /// Those to all lanes that serve a category.
    pub(crate) fn new(lanes: Lanes, bounds: Bounds) -> Self {
        let defined: BTreeSet<_> = lanes.by_category.values().collect();
        let open = |lane: &&config::Lane| (lane.name.clone(), Arc::new(Lane::new(lane, bounds)));
        let open: BTreeMap<_, _> = defined.iter().map(open).collect();
        let partitions = open.values().flat_map(|lane| lane.partitions().to_vec());
        let by_category = lanes.by_category.iter();
        let by_category =
            by_category.map(|(category, lane)| (category.clone(), Arc::clone(&open[&lane.name])));
        Self {
            partitions: partitions.collect(),
            lanes: by_category.collect(),
            claims: lanes.claims,
            edges: AtomicU64::new(1),
        }
    }

    /// The partition that hears about `address`; none when nobody hosts its category.
    pub(crate) fn partition(&self, address: &Address) -> Option<&Arc<Partition>> {
        let lane = self.lanes.get(address.category())?;
        Some(lane.partition(address))
    }

    /// Every partition, once.
    pub(crate) fn partitions(&self) -> &[Arc<Partition>] {
        &self.partitions
    }

    /// The partition that a lane's `outbound` speaks of.
    pub(crate) fn of_outbound(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Option<&Arc<Partition>> {
        let mut partitions = self.partitions.iter();
        partitions.find(|candidate| candidate.speaks_on(topic) && candidate.index() == partition)
    }

    /// The claims of a token that the entities of a category are told.
    pub(crate) fn claims(&self, category: &str) -> &[String] {
        self.claims.get(category).map_or(&[], Vec::as_slice)
    }

    /// So many edges share what may wait for the partitions' owners.
    pub(crate) fn share_with(&self, edges: u64) {
        if self.edges.swap(edges, Ordering::Relaxed) != edges {
            self.partitions
                .iter()
                .for_each(|partition| partition.share_with(edges));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let lane = |name: &str| config::Lane {
            name: name.to_owned(),
            partitions: 3,
            outbound_partitions: 1,
        };
        let (main, busy) = (lane("main"), lane("busy"));
        let by_category = [("board", &main), ("room", &main), ("match", &busy)];
        let by_category = by_category.map(|(category, lane)| (category.to_owned(), lane.clone()));
        let bounds = Bounds {
            unanswered_max: 10,
            bytes_max: 1_000,
            behind_max: 1_000,
        };
        let lanes = Lanes {
            by_category: by_category.into(),
            claims: BTreeMap::from([("room".to_owned(), vec!["name".to_owned()])]),
        };
        Routes::new(lanes, bounds)
    }

    fn address(text: &str) -> Address {
        text.parse().expect("a category and an id")
    }

    #[test]
    fn categories_of_one_lane_share_its_partitions() {
        let routes = routes();
        assert_eq!(routes.partitions().len(), 6, "three of each lane");
        let partition = |text| routes.partition(&address(text)).expect("it is hosted");
        let (board, busy) = (partition("board/7"), partition("match/7"));
        let of_outbound = |topic| routes.of_outbound(topic, board.index());
        assert!(Arc::ptr_eq(
            board,
            of_outbound("main.outbound").expect("it is there")
        ));
        assert!(!Arc::ptr_eq(board, busy));
        assert!(routes.partition(&address("ghost/7")).is_none());
        assert!(
            routes
                .of_outbound("ghost.outbound", board.index())
                .is_none()
        );
    }

    #[test]
    fn entities_are_told_no_claim_that_nobody_named() {
        let routes = routes();
        assert_eq!(routes.claims("room"), ["name"]);
        assert!(routes.claims("board").is_empty());
    }
}
