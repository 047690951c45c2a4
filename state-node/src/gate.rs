//! The output gate: nothing leaves before every earlier record is committed (R11), and effects are repeated
//! until they and all before them are acknowledged (R14). Where `outbound` is away, what is committed is held here: no
//! more is under way at once than a bound, and less after a failure, so that little is sent twice.

use std::collections::{HashSet, VecDeque};

use xp_protocol::events::Tell;
use xp_protocol::rules::{Rule, Rules};
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
    /// Tells a source that its tells were taken.
    Confirm(LanePartition, Record),
    /// Nothing. When it leaves, so has all before it.
    Mark,
}

/// Outputs in the order decided, each behind the record it follows.
#[derive(Debug, Default)]
pub struct Gate {
    waiting: VecDeque<(Seq, Output)>,
    /// Behind records that are committed, at these offsets: they leave when there is room.
    open: VecDeque<(Offset, Output)>,
    opened: Seq,
}

impl Gate {
    /// Puts an output behind the record `after`.
    pub fn push(&mut self, after: Seq, output: Output) {
        self.waiting.push_back((after, output));
    }

    /// Everything up to `committed` may leave. The records are at `base` and what follows it now, and may lie elsewhere
    /// when others are committed.
    pub fn open(&mut self, committed: Seq, base: u64) {
        self.opened = committed;
        while let Some((after, output)) =
            self.waiting.pop_front_if(|(after, _)| *after <= committed)
        {
            self.open.push_back((Offset(base + after.0), output));
        }
    }

    /// Up to which record it was opened.
    #[must_use]
    pub fn opened(&self) -> Seq {
        self.opened
    }

    /// Puts an output behind a record that is committed already.
    pub fn push_open(&mut self, commit: Offset, output: Output) {
        self.open.push_back((commit, output));
    }

    /// The next output that may leave, and the offset of the record it follows. Without `room` no chain record does,
    /// nor what is behind one.
    pub fn pop(&mut self, room: bool) -> Option<(Offset, Output)> {
        let chained = |output: &Output| matches!(output, Output::Chain(..));
        self.open
            .pop_front_if(|(_, output)| room || !chained(output))
    }

    /// Chain records that had left, and are to leave again before all that is here.
    pub fn take_back(&mut self, emissions: impl DoubleEndedIterator<Item = Emission>) {
        for emission in emissions.rev() {
            let output = Output::Chain(emission.partition, emission.record);
            self.open.push_front((emission.commit, output));
        }
    }

    /// The first record that is committed and has not let out all that follows it.
    #[must_use]
    pub fn held(&self) -> Option<Offset> {
        self.open.front().map(|(commit, _)| *commit)
    }

    /// Whether a chain record of this key waits.
    #[must_use]
    pub fn speaks_of(&self, key: &[u8]) -> bool {
        let of = |output: &Output| matches!(output, Output::Chain(_, record) if record.key == key);
        let mut waiting = self.waiting.iter().map(|(_, output)| output);
        waiting.any(of) || self.open.iter().any(|(_, output)| of(output))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
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
    /// The record; it is sent again unchanged when its append fails.
    pub record: Record,
    acknowledged: bool,
    /// The log has said yes or no.
    answered: bool,
}

impl Emission {
    fn bytes(&self) -> usize {
        self.record.value.len() + self.record.header.len()
    }
}

/// Chain records that have left and are not all acknowledged (R14).
#[derive(Debug)]
pub struct Emitter {
    flying: VecDeque<Emission>,
    /// Former copies of what left again, of which the log has said nothing yet: they are under way as well.
    former: HashSet<u64>,
    bytes: usize,
    /// How many may fly now: fewer after a failure, and more again with each that arrives.
    window: usize,
    bound: Bound,
    next_id: u64,
    /// How many have ever left.
    emitted: u64,
    repeat: bool,
    rules: &'static dyn Rules,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The most records.
    pub records: usize,
    /// Bytes; one record may be larger.
    pub bytes: usize,
}

/// How many records are tried first after a failure.
const FIRST: usize = 16;

impl Emitter {
    /// Nothing has left.
    #[must_use]
    pub fn new(rules: &'static dyn Rules, bound: Bound) -> Self {
        Self {
            flying: VecDeque::new(),
            former: HashSet::new(),
            bytes: 0,
            window: bound.records,
            bound,
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
        self.bytes += record.value.len() + record.header.len();
        self.flying.push_back(Emission {
            id,
            commit,
            partition,
            record,
            acknowledged: false,
            answered: false,
        });
        self.flying.back().expect("one was just pushed")
    }

    /// Whether one more may leave. After a failure none may, until those that failed leave again.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let under_way = self.flying.len() + self.former.len();
        let room = under_way < self.window && self.bytes < self.bound.bytes;
        (room || self.flying.is_empty() || !self.rules.holds(Rule::Bounded)) && !self.repeat
    }

    /// R14: done when it and all before it are acknowledged; a failure repeats it and all later ones.
    pub fn acknowledged(&mut self, id: u64, arrived: bool) {
        self.former.remove(&id);
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
        emission.answered = true;
        if !self.rules.holds(Rule::Prefix) {
            let done = self.flying.drain(..=index);
            self.bytes -= done.map(|emission| emission.bytes()).sum::<usize>();
            return;
        }
        self.repeat |= !arrived;
        if !self.repeat {
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(done) = self.flying.pop_front_if(|emission| emission.acknowledged) {
            self.bytes -= done.bytes();
            self.window = (self.window + 1).min(self.bound.records);
        }
    }

    /// Everything from the first failure on, which has not left now; empty without a failure. Few may leave at first.
    pub fn again(&mut self) -> impl DoubleEndedIterator<Item = Emission> + use<> {
        let mut again = VecDeque::new();
        if std::mem::take(&mut self.repeat) {
            self.settle();
            self.bytes = 0;
            self.window = FIRST.min(self.bound.records);
            again = std::mem::take(&mut self.flying);
            let unanswered = again.iter().filter(|emission| !emission.answered);
            self.former.extend(unanswered.map(|emission| emission.id));
            // They count again when they leave.
            self.emitted -= again.len() as u64;
        }
        again.into_iter()
    }

    /// All effects of records before this offset have gone out, when everything before `committed` has left
    /// the gate.
    #[must_use]
    pub fn sent(&self, committed: Offset) -> Offset {
        self.flying
            .front()
            .map_or(committed, |emission| emission.commit)
    }

    /// Whether a record of this key is not acknowledged.
    #[must_use]
    pub fn speaks_of(&self, key: &[u8]) -> bool {
        let mut flying = self.flying.iter();
        flying.any(|emission| emission.record.key == key)
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
    use xp_protocol::rules::AllRules;

    const BOUND: Bound = Bound {
        records: 40,
        bytes: 1 << 20,
    };

    fn emitter(commits: &[u64]) -> (Emitter, Vec<u64>) {
        let mut emitter = Emitter::new(&AllRules, BOUND);
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
        let again: Vec<_> = emitter.again().collect();
        let commits: Vec<_> = again.iter().map(|emission| emission.commit.0).collect();
        assert_eq!(commits, vec![7, 9]);
        for emission in again {
            emitter.emit(emission.commit, emission.partition, emission.record);
        }
        assert_eq!(emitter.sent(Offset(12)), Offset(7));
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
        gate.open(Seq(0), 10);
        assert!(gate.pop(true).is_none());
        gate.open(Seq(1), 10);
        let (commit, _) = gate.pop(true).unwrap();
        assert!(commit == Offset(11) && gate.pop(true).is_none());
    }

    #[test]
    fn what_is_behind_a_chain_record_waits_for_room_with_it() {
        let mut gate = Gate::default();
        let record = Record::default;
        gate.push(Seq(1), Output::Plain(PartitionId(0), record()));
        gate.push(Seq(1), Output::Chain(PartitionId(0), record()));
        gate.push(Seq(2), Output::Plain(PartitionId(0), record()));
        gate.open(Seq(2), 10);
        assert!(gate.pop(false).is_some() && gate.pop(false).is_none());
        assert_eq!(gate.held(), Some(Offset(11)));
        assert!(gate.pop(true).is_some() && gate.pop(false).is_some() && gate.is_empty());
    }

    #[test]
    fn no_more_fly_than_the_bound_and_few_after_a_failure() {
        let commits: Vec<_> = (0..40).collect();
        let (mut emitter, ids) = emitter(&commits);
        assert!(!emitter.has_room());
        emitter.acknowledged(ids[0], true);
        assert!(emitter.has_room());
        emitter.acknowledged(ids[1], false);
        assert!(
            !emitter.has_room(),
            "nothing overtakes what is to leave again"
        );
        let mut again = emitter.again();
        let mut leave = |emitter: &mut Emitter| {
            let mut left = 0;
            while emitter.has_room() {
                let next = again.next().unwrap();
                emitter.emit(next.commit, next.partition, next.record);
                left += 1;
            }
            left
        };
        assert_eq!(leave(&mut emitter), 1, "the former copies are under way");
        for id in &ids[2..] {
            emitter.acknowledged(*id, true);
        }
        assert_eq!(leave(&mut emitter), FIRST - 1);
    }
}
