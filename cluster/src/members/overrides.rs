//! Overrides of placement: what people ask for by hand. They hold until they are taken back, whoever comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xp_protocol::LanePartition;

/// By names, and not by incarnations: a node that comes back under its name is meant too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overrides {
    /// Nodes that a person has drained.
    drained: BTreeSet<Box<str>>,
    /// Partitions that a person has moved, and to which name.
    moves: BTreeMap<LanePartition, Box<str>>,
}

impl Overrides {
    pub(super) fn drained(&self) -> &BTreeSet<Box<str>> {
        &self.drained
    }

    pub(super) fn moves(&self) -> &BTreeMap<LanePartition, Box<str>> {
        &self.moves
    }

    /// A node is drained, or no longer; says whether that is news.
    pub(super) fn drain(&mut self, name: &str, drained: bool) -> bool {
        match drained {
            true => self.drained.insert(name.into()),
            false => self.drained.remove(name),
        }
    }

    /// A partition is moved, or goes where placement puts it again; says whether that is news.
    pub(super) fn move_to(&mut self, partition: &LanePartition, to: Option<&str>) -> bool {
        match to {
            Some(name) => {
                self.moves.insert(partition.clone(), name.into()).as_deref() != Some(name)
            }
            None => self.moves.remove(partition).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    #[test]
    fn what_is_asked_for_twice_is_news_once() {
        let mut overrides = Overrides::default();
        let partition = LanePartition {
            lane: "main".into(),
            partition: PartitionId(0),
        };
        let moves = [Some("a"), Some("a"), Some("b"), None, None];
        let news = moves.map(|to| overrides.move_to(&partition, to));
        assert_eq!(news, [true, false, true, true, false]);
        let news = [true, true, false, false].map(|drained| overrides.drain("a", drained));
        assert_eq!(news, [true, false, true, false]);
    }
}
