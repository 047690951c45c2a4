//! Records on their way into the log: acknowledged at the expected offset, or found there by reading the gap (R10), or
//! appended again, identical (R12).

use std::collections::{BTreeMap, VecDeque};

use xp_protocol::codec;
use xp_protocol::events::Event;
use xp_protocol::rules::Rules;
use xp_protocol::{LanePartition, Offset, Seq, TimeMs};
use xp_transport::{AppendError, Now, Record, Stored};

use crate::action::Action;
use crate::fold::{Fold, Verdict};

/// How long to wait before uncommitted records are appended again, in milliseconds.
const REPEAT_MS: u64 = 50;

/// The records of an epoch, numbered densely from 1.
pub(super) struct Appends {
    /// The expected offset of number s is `base + s`, when nothing foreign lies between (R10). It begins as the claim's
    /// offset, and grows by each foreign record that a gap was found to hold.
    base: u64,
    committed: Seq,
    /// Appended and not committed, in order.
    uncommitted: VecDeque<Uncommitted>,
    /// Those of them that the log has acknowledged, and where. An acknowledgement alone commits nothing: all before it
    /// must be there too, and it must lie where it is expected.
    acknowledged: BTreeMap<Seq, Offset>,
    /// Which time the uncommitted ones are appended; late answers of an earlier one are told apart by it.
    round: u64,
    /// Records decided since the last [`Action::Append`].
    fresh: Vec<Record>,
    /// The shell has been asked to read a gap, and nothing is committed until it answers.
    reading_gap: bool,
    /// When the uncommitted records are appended again; none of them has failed where there is no time.
    repeat_at: Option<TimeMs>,
    /// Whether the last append failed, so that a full disk is told of once.
    failing: bool,
    effects_before: Offset,
}

/// Where the records lie that are acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Each at the offset where it was expected, as far as nothing is missing before it.
    InOrder,
    /// Others may lie between: what is from here on up to there must be read.
    Gap { from: Offset, upto: Offset },
    /// One lies where another was before.
    Truncated { offset: Offset, expected: Offset },
}

struct Uncommitted {
    record: Record,
    /// Whether it has effects that a checkpoint should note as sent.
    effects: bool,
}

impl Appends {
    /// None, in an epoch whose claim lies at `base`.
    pub(super) fn new(base: u64) -> Self {
        Self {
            base,
            committed: Seq(0),
            uncommitted: VecDeque::new(),
            acknowledged: BTreeMap::new(),
            round: 0,
            fresh: Vec::new(),
            reading_gap: false,
            repeat_at: None,
            failing: false,
            effects_before: Offset(0),
        }
    }

    /// The last number that is committed.
    pub(super) fn committed(&self) -> Seq {
        self.committed
    }

    /// Where number 0 would lie by the last committed record.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// How many are not committed.
    pub(super) fn uncommitted(&self) -> usize {
        self.uncommitted.len()
    }

    /// Where a number lies, or is expected.
    pub(super) fn expected(&self, seq: Seq) -> Offset {
        Offset(self.base + seq.0)
    }

    /// Where the next record that is committed is expected. Whatever leaves outside of any commit holds `sent` back no
    /// further than what is committed.
    pub(super) fn next_commit(&self) -> Offset {
        self.expected(self.committed.next())
    }

    /// All committed records that had effects lie before this offset.
    pub(super) fn effects_before(&self) -> Offset {
        self.effects_before
    }

    /// Takes a record that has been folded already.
    pub(super) fn push(&mut self, record: Record, effects: bool) {
        self.fresh.push(record.clone());
        self.uncommitted.push_back(Uncommitted { record, effects });
    }

    /// Hands the records decided since the last call to the shell, as one append; `last` is the last of their numbers.
    pub(super) fn flush(&mut self, last: Seq) -> Option<Action> {
        let records = std::mem::take(&mut self.fresh);
        // Outputs of this batch wait at the gate for it, so its place among the actions is free.
        (!records.is_empty()).then(|| Action::Append {
            first: Seq(last.0 + 1 - records.len() as u64),
            round: self.round,
            records,
        })
    }

    /// Notes the acknowledgements of one append, in order.
    pub(super) fn acknowledge(
        &mut self,
        partition: &LanePartition,
        (first, round): (Seq, u64),
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) {
        // What was appended before is under way once more, and only its last copy is asked about.
        if round != self.round {
            return;
        }
        for (seq, result) in (first.0..).map(Seq).zip(results) {
            match result {
                Ok(offset) => {
                    self.acknowledged.insert(seq, *offset);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(%partition, %seq, "appends succeed again");
                    }
                }
                Err(error) => {
                    // A full disk fails often and for long: one line when it begins, one when it ends.
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%partition, %seq, %error, "an append failed; all uncommitted records go out again until they succeed");
                    }
                    self.repeat_at.get_or_insert(now.running.plus_ms(REPEAT_MS));
                }
            }
        }
    }

    /// R10: commits what is acknowledged, in order, as long as each lies where it is expected. At another offset the gap
    /// between is read before anything more is committed, because only the log says whose the records in it are. A
    /// simulator may let any offset do.
    pub(super) fn settle(&mut self, only_expected: bool) -> Settled {
        if self.reading_gap {
            return Settled::InOrder;
        }
        // Only the next number is looked at. Where its acknowledgement is not here yet, later ones wait for it: a reader
        // counts no record before the one with the number before it (R3).
        while let Some(offset) = self.acknowledged.remove(&self.committed.next()) {
            let expected = self.next_commit();
            // Something foreign lies between. It may be a copy of our own from an append that was said to have failed, or
            // the claim of another node, behind which no record of ours counts.
            if offset > expected && only_expected {
                self.reading_gap = true;
                return Settled::Gap {
                    from: expected,
                    upto: offset,
                };
            }
            // Offsets only rise, so a lower one was given twice: the log has lost records, and may have lost ours.
            if offset < expected && only_expected {
                return Settled::Truncated { offset, expected };
            }
            self.commit();
        }
        Settled::InOrder
    }

    /// Where the next of our records lie in a gap, in order; `None` when it holds another's claim. The records in it are
    /// judged by a fold that stands where the last committed record left it, as every reader of the log judges them.
    pub(super) fn judge(
        &self,
        rules: &dyn Rules,
        fold: &Fold,
        batch: &[Stored],
    ) -> Option<Vec<Offset>> {
        // The owner's fold is ahead of the log: it has taken every record when it was decided. A reader would stand behind
        // the last committed one, so the copy is put back there. Should one of ours be the `Release`, it is not yet read.
        let mut judge = fold.clone();
        judge.seq = self.committed;
        judge.released = false;
        // What lies at or before the last committed record has been judged.
        let from = self.expected(self.committed);
        let mut placed = Vec::new();
        for stored in batch.iter().filter(|stored| stored.offset > from) {
            let verdict = match codec::decode::<Event>(&stored.record.header) {
                Ok(event) => judge.step_under(rules, stored.offset, &event),
                Err(_) => Verdict::Ignored,
            };
            match verdict {
                // Whatever of ours lies behind it counts for nobody: this node owns the partition no longer.
                Verdict::Claimed => return None,
                Verdict::Valid => placed.push(stored.offset),
                Verdict::Ignored => {}
            }
        }
        Some(placed)
    }

    /// Notes where the next records lie, which are `placed` elsewhere than expected; those behind them move as far. The
    /// fold has seen all of them at their expected offsets, and moves what it remembers of those.
    pub(super) fn move_behind(&mut self, fold: &mut Fold, placed: &[Offset]) {
        self.reading_gap = false;
        // Their acknowledgements have been overtaken by the reading of the gap.
        let committed = self.committed.0 + placed.len() as u64;
        self.acknowledged.retain(|seq, _| seq.0 > committed);
        let from = self.expected(self.committed);
        // By how much more than their own number the records behind the gap are further on.
        let shift = placed.last().map_or(0, |last| last.0 - from.0) - placed.len() as u64;
        fold.moved(from, |expected| {
            let index = usize::try_from(expected.0 - from.0 - 1).unwrap_or(usize::MAX);
            let known = placed.get(index).copied();
            known.unwrap_or(Offset(expected.0 + shift))
        });
    }

    /// R12: after an error all uncommitted records are appended again, identical and in order.
    pub(super) fn repeat(&mut self, in_order: bool, now: Now) -> Vec<Action> {
        if self.repeat_at.is_none_or(|at| at > now.running) {
            return Vec::new();
        }
        self.repeat_at = None;
        if !in_order {
            return self.unacknowledged();
        }
        // A record that was acknowledged behind one that failed did not count where it lies: its number was not the next
        // one there (R3). So its acknowledgement is forgotten, and that of its new copy counts. Where the failed one has
        // landed all the same, the copies lie further on than expected, and the gap is read.
        self.round += 1;
        self.acknowledged.clear();
        let records = self.uncommitted.iter().map(|entry| entry.record.clone());
        vec![Action::Append {
            first: self.committed.next(),
            round: self.round,
            records: records.collect(),
        }]
    }

    /// What R12 forbids: each record that failed, alone.
    fn unacknowledged(&self) -> Vec<Action> {
        let numbered = (self.committed.0 + 1..).map(Seq).zip(&self.uncommitted);
        let failed = numbered.filter(|(seq, _)| !self.acknowledged.contains_key(seq));
        let alone = failed.map(|(first, entry)| Action::Append {
            first,
            round: self.round,
            records: vec![entry.record.clone()],
        });
        alone.collect()
    }

    fn commit(&mut self) {
        self.committed = self.committed.next();
        let entry = self.uncommitted.pop_front();
        // It is committed by now, so the next one is expected right behind it.
        if entry.is_some_and(|entry| entry.effects) {
            self.effects_before = self.next_commit();
        }
    }

    /// Commits the next record at an offset where it was not expected; those behind it are expected behind it.
    pub(super) fn commit_at(&mut self, offset: Offset) {
        // So that `base + committed + 1`, which is where the next record is expected, is this offset.
        self.base = offset.0 - self.committed.0 - 1;
        self.commit();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::PartitionId;
    use xp_transport::TopicPartition;

    use super::*;

    fn record(number: u8) -> Record {
        Record {
            value: Bytes::copy_from_slice(&[number]),
            ..Record::default()
        }
    }

    /// Three records of an epoch whose claim lies at offset 100, handed to the log.
    fn three() -> Appends {
        let mut appends = Appends::new(100);
        for number in 1..=3 {
            appends.push(record(number), number == 2);
        }
        assert!(appends.flush(Seq(3)).is_some() && appends.flush(Seq(3)).is_none());
        appends
    }

    fn partition() -> LanePartition {
        LanePartition {
            lane: "main".into(),
            partition: PartitionId(0),
        }
    }

    fn failed() -> Result<Offset, AppendError> {
        let at = TopicPartition {
            topic: "main.events".into(),
            partition: PartitionId(0),
        };
        let reason = "a test".to_owned();
        Err(AppendError::Unacknowledged { at, reason })
    }

    fn answer(appends: &mut Appends, first: u64, round: u64, at: &[u64]) -> Settled {
        let results: Vec<_> = at.iter().map(|offset| Ok(Offset(*offset))).collect();
        let now = Now::steady(TimeMs(0));
        appends.acknowledge(&partition(), (Seq(first), round), &results, now);
        appends.settle(true)
    }

    #[test]
    fn what_is_acknowledged_where_it_is_expected_is_committed_in_order() {
        let mut appends = three();
        assert_eq!(answer(&mut appends, 2, 0, &[102]), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(0), "the first one may be missing");
        assert_eq!(answer(&mut appends, 1, 0, &[101]), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(2));
        assert_eq!(appends.effects_before(), Offset(103), "the second had some");
        assert_eq!(
            (appends.uncommitted(), appends.next_commit()),
            (1, Offset(103))
        );
    }

    #[test]
    fn a_gap_is_read_before_anything_more_is_committed() {
        let mut appends = three();
        let gap = Settled::Gap {
            from: Offset(101),
            upto: Offset(102),
        };
        assert_eq!(answer(&mut appends, 1, 0, &[102, 103, 104]), gap);
        assert_eq!(answer(&mut appends, 1, 0, &[102]), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(0), "it is being read");
        let mut fold = Fold::default();
        appends.move_behind(&mut fold, &[Offset(102)]);
        appends.commit_at(Offset(102));
        assert_eq!(appends.settle(true), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(3), "the others lie behind it");
        assert_eq!(appends.next_commit(), Offset(105));
    }

    #[test]
    fn an_offset_that_another_record_had_is_no_commit() {
        let mut appends = three();
        let truncated = Settled::Truncated {
            offset: Offset(90),
            expected: Offset(101),
        };
        assert_eq!(answer(&mut appends, 1, 0, &[90]), truncated);
        assert_eq!(appends.committed(), Seq(0));
    }

    #[test]
    fn after_a_failure_all_that_is_uncommitted_goes_out_again_as_it_was() {
        let mut appends = three();
        assert_eq!(answer(&mut appends, 1, 0, &[101]), Settled::InOrder);
        let (results, now) = ([failed(), Ok(Offset(103))], Now::steady(TimeMs(0)));
        appends.acknowledge(&partition(), (Seq(2), 0), &results, now);
        assert!(appends.repeat(true, now).is_empty(), "not at once");
        let again = appends.repeat(true, Now::steady(TimeMs(REPEAT_MS)));
        let [
            Action::Append {
                first,
                round,
                records,
            },
        ] = &again[..]
        else {
            panic!("one append: {again:?}");
        };
        assert_eq!((*first, *round), (Seq(2), 1));
        assert_eq!(records[..], [record(2), record(3)]);
        // The first time's answers say nothing of the second time's records.
        assert_eq!(answer(&mut appends, 2, 0, &[102, 103]), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(1));
        assert_eq!(answer(&mut appends, 2, 1, &[102, 103]), Settled::InOrder);
        assert_eq!(appends.committed(), Seq(3));
    }
}
