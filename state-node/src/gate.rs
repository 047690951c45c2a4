//! The output gate: nothing leaves before every earlier record is committed (R11), and effects are repeated
//! until they and all before them are acknowledged (R14).

use std::collections::VecDeque;

use xp_protocol::events::Tell;
use xp_protocol::rules::Rules;
use xp_protocol::{LanePartition, Offset, PartitionId, Seq};
use xp_transport::Record;

use crate::large::Cut;

/// One thing that leaves the partition.
#[derive(Clone, Debug)]
pub enum Output {
    /// A record of an entity's chain, or a question to an edge: repeated until acknowledged.
    Chain(PartitionId, Record),
    /// An output that is not logged and may be lost (R22).
    Plain(PartitionId, Record),
    /// The same, large or one of many: it leaves at a pace (R41).
    Large(Box<Cut>),
    /// The answer to a query: it leaves only within the lease (R13).
    Leased(PartitionId, Record),
    /// A tell: repeated until its target confirms it (R34).
    Tell(Tell),
    /// Word to a source that its tells were taken.
    Confirm(LanePartition, Record),
    /// Nothing. When it leaves, so has all before it.
    Mark,
}

/// Outputs in the order decided, each behind the record it follows.
#[derive(Debug, Default)]
pub struct Gate {
    waiting: VecDeque<(Seq, Output)>,
}

impl Gate {
    /// Puts an output behind the record `after`.
    pub fn push(&mut self, after: Seq, output: Output) {
        self.waiting.push_back((after, output));
    }

    /// The next output that may leave once `committed` is committed, and the record it follows.
    pub fn pop(&mut self, committed: Seq) -> Option<(Seq, Output)> {
        let (after, _) = self.waiting.front()?;
        if *after > committed {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// One chain record on its way.
#[derive(Clone, Debug)]
pub struct Emission {
    /// Names it for the acknowledgement.
    pub id: u64,
    /// The commit's offset.
    pub commit: Offset,
    /// Where it goes.
    pub partition: PartitionId,
    /// The record.
    pub record: Record,
    acknowledged: bool,
}

/// Chain records that have left and are not all acknowledged (R14).
#[derive(Debug)]
pub struct Emitter {
    flying: VecDeque<Emission>,
    next_id: u64,
    /// How many have ever left.
    emitted: u64,
    repeat: bool,
    rules: Rules,
}

impl Emitter {
    /// Nothing has left.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            flying: VecDeque::new(),
            next_id: 0,
            emitted: 0,
            repeat: false,
            rules,
        }
    }

    /// Notes that a record leaves, and returns it.
    pub fn emit(&mut self, commit: Offset, partition: PartitionId, record: Record) -> &Emission {
        let id = self.next_id;
        self.next_id += 1;
        self.emitted += 1;
        self.flying.push_back(Emission {
            id,
            commit,
            partition,
            record,
            acknowledged: false,
        });
        self.flying.back().expect("one was just pushed")
    }

    /// R14: done when it and all before it are acknowledged; a failure repeats it and all later ones.
    pub fn acknowledged(&mut self, id: u64, arrived: bool) {
        let Some(first) = self.flying.front().map(|emission| emission.id) else {
            return;
        };
        let Some(index) = id
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        let Some(emission) = self.flying.get_mut(index) else {
            return;
        };
        emission.acknowledged = arrived;
        if !self.rules.prefix {
            self.flying.drain(..=index);
            return;
        }
        self.repeat |= !arrived;
        while !self.repeat
            && self
                .flying
                .front()
                .is_some_and(|emission| emission.acknowledged)
        {
            self.flying.pop_front();
        }
    }

    /// Everything from the first failure on, to be sent again under new names; empty without a failure.
    pub fn again(&mut self) -> Vec<Emission> {
        if !std::mem::take(&mut self.repeat) {
            return Vec::new();
        }
        while self
            .flying
            .front()
            .is_some_and(|emission| emission.acknowledged)
        {
            self.flying.pop_front();
        }
        for (id, emission) in (self.next_id..).zip(&mut self.flying) {
            emission.id = id;
            emission.acknowledged = false;
        }
        self.next_id += self.flying.len() as u64;
        self.flying.iter().cloned().collect()
    }

    /// All effects of records before this offset have gone out, when everything before `committed` has left
    /// the gate.
    #[must_use]
    pub fn sent(&self, committed: Offset) -> Offset {
        self.flying
            .front()
            .map_or(committed, |emission| emission.commit)
    }

    /// How many records have left.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// How many of them, the first ones, are acknowledged.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.emitted - self.flying.len() as u64
    }

    /// Whether everything is acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitter(commits: &[u64]) -> (Emitter, Vec<u64>) {
        let mut emitter = Emitter::new(Rules::default());
        let emit = |commit: &u64| {
            emitter
                .emit(Offset(*commit), PartitionId(0), Record::default())
                .id
        };
        let ids = commits.iter().map(emit).collect();
        (emitter, ids)
    }

    #[test]
    fn sent_moves_only_past_a_prefix_that_is_acknowledged() {
        let (mut emitter, ids) = emitter(&[4, 7, 9]);
        emitter.acknowledged(ids[1], true);
        assert_eq!(emitter.sent(Offset(12)), Offset(4));
        emitter.acknowledged(ids[0], true);
        assert_eq!(emitter.sent(Offset(12)), Offset(9));
        emitter.acknowledged(ids[2], true);
        assert_eq!(emitter.sent(Offset(12)), Offset(12));
    }

    #[test]
    fn a_failure_repeats_itself_and_all_later_ones_acknowledged_or_not() {
        let (mut emitter, ids) = emitter(&[4, 7, 9]);
        emitter.acknowledged(ids[0], true);
        emitter.acknowledged(ids[1], false);
        emitter.acknowledged(ids[2], true);
        let again: Vec<_> = emitter
            .again()
            .iter()
            .map(|emission| emission.commit.0)
            .collect();
        assert_eq!((again, emitter.sent(Offset(12))), (vec![7, 9], Offset(7)));
        emitter.acknowledged(ids[2], true);
        assert_eq!(
            emitter.sent(Offset(12)),
            Offset(7),
            "late word of the first round counts no more"
        );
    }

    #[test]
    fn the_gate_opens_only_up_to_what_is_committed() {
        let mut gate = Gate::default();
        gate.push(Seq(1), Output::Plain(PartitionId(0), Record::default()));
        gate.push(Seq(2), Output::Plain(PartitionId(1), Record::default()));
        assert!(gate.pop(Seq(0)).is_none());
        assert!(gate.pop(Seq(1)).is_some() && gate.pop(Seq(1)).is_none());
    }
}
