//! The tells of a partition: the numbers of those that it has taken and given, and those that are not confirmed (R34).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_protocol::LanePartition;
use xp_protocol::events::Tell;

use crate::outstanding::Outstanding;

/// Numbers are dense for each source and each target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tells {
    taken: BTreeMap<LanePartition, u64>,
    given: BTreeMap<LanePartition, u64>,
    outstanding: Outstanding,
}

impl Tells {
    /// The last number taken from each source and the last given to each target, and the tells that are not confirmed,
    /// oldest first.
    #[must_use]
    pub fn new(
        taken: BTreeMap<LanePartition, u64>,
        given: BTreeMap<LanePartition, u64>,
        outstanding: Outstanding,
    ) -> Self {
        Self {
            taken,
            given,
            outstanding,
        }
    }

    /// The last tell taken from a source; 0 before the first.
    #[must_use]
    pub fn last_taken(&self, source: &LanePartition) -> u64 {
        self.taken.get(source).copied().unwrap_or_default()
    }

    /// The last tell taken from each source.
    #[must_use]
    pub fn taken(&self) -> &BTreeMap<LanePartition, u64> {
        &self.taken
    }

    /// The last tell numbered for a target; 0 before the first.
    #[must_use]
    pub fn last_given(&self, target: &LanePartition) -> u64 {
        self.given.get(target).copied().unwrap_or_default()
    }

    /// Tells that their target has not confirmed.
    #[must_use]
    pub fn outstanding(&self) -> &Outstanding {
        &self.outstanding
    }

    pub(super) fn take(&mut self, source: &LanePartition, number: u64) {
        self.taken.insert(source.clone(), number);
    }

    pub(super) fn give(&mut self, tell: &Tell) {
        self.given.insert(tell.target.clone(), tell.number);
        self.outstanding.push(tell.clone());
    }

    /// `target` has taken those up to `number`.
    pub fn confirm(&mut self, target: &LanePartition, number: u64) {
        self.outstanding.confirm(target, number);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::PartitionId;
    use xp_protocol::inbound::TellContent;

    use super::*;

    #[test]
    fn a_tell_that_is_confirmed_keeps_its_number() {
        let target = LanePartition {
            lane: "main".into(),
            partition: PartitionId(3),
        };
        let mut tells = Tells::default();
        for number in [1, 2] {
            tells.give(&Tell {
                target: target.clone(),
                number,
                from: "auction/7".parse().expect("a category and an id"),
                to: "wallet/ana".parse().expect("a category and an id"),
                what: TellContent::Signal { conversation: None },
                payload: Bytes::new(),
            });
        }
        tells.confirm(&target, 1);
        let counts = |tells: &Tells| {
            (
                tells.outstanding().count(&target),
                tells.last_given(&target),
            )
        };
        assert_eq!(counts(&tells), (1, 2));
        tells.confirm(&target, 2);
        assert_eq!(counts(&tells), (0, 2));
        assert_eq!(tells.last_taken(&target), 0, "that is the other way");
    }
}
