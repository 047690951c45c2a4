//! Records on their way into the log: acknowledged at the expected offset, or found there by reading the gap (R10), or
//! appended again, identical (R12).

use std::collections::{BTreeMap, VecDeque};

use xp_protocol::codec;
use xp_protocol::events::Event;
use xp_protocol::{Offset, Seq, TimeMs};
use xp_transport::{AppendError, Now, Record, Stored};

use super::super::core::Core;
use super::super::exit::{Exit, Step};
use crate::action::Action;
use crate::fold::{Fold, Verdict};

/// How long to wait before uncommitted records are appended again, in milliseconds.
const REPEAT_MS: u64 = 50;

/// The records of an epoch, numbered densely from 1.
pub(super) struct Appends {
    /// The expected offset of number s is `base + s`, when nothing foreign lies between (R10).
    base: u64,
    committed: Seq,
    /// Appended and not committed, in order.
    uncommitted: VecDeque<Uncommitted>,
    /// Those of them that lie in the log, and where.
    acknowledged: BTreeMap<Seq, Offset>,
    /// Which time the uncommitted ones are appended; late answers of an earlier one are told apart by it.
    round: u64,
    /// Records decided since the last [`Action::Append`].
    fresh: Vec<Record>,
    reading_gap: bool,
    repeat_at: Option<TimeMs>,
    /// Whether the last append failed, so that a full disk is told of once.
    failing: bool,
    effects_before: Offset,
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
        core: &Core,
        (first, round): (Seq, u64),
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) {
        // What was appended before is under way once more, and only its last copy is asked about.
        if round != self.round {
            return;
        }
        let place = &core.setting.place;
        for (seq, result) in (first.0..).map(Seq).zip(results) {
            match result {
                Ok(offset) => {
                    self.acknowledged.insert(seq, *offset);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!(%place, %seq, "appends succeed again");
                    }
                }
                Err(error) => {
                    // A full disk fails often and for long: one line when it begins, one when it ends.
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%place, %seq, %error, "an append failed; all uncommitted records go out again until they succeed");
                    }
                    self.repeat_at.get_or_insert(now.running.plus_ms(REPEAT_MS));
                }
            }
        }
    }

    /// R10: commits what is acknowledged, in order, as long as each lies where it is expected. At another offset the gap
    /// between is read before anything more is committed, because only the log says whose the records in it are.
    pub(super) fn settle(&mut self, core: &mut Core) -> Step {
        if self.reading_gap {
            return Ok(());
        }
        while let Some(offset) = self.acknowledged.remove(&self.committed.next()) {
            let expected = self.next_commit();
            if offset > expected && core.setting.rules.expected_offset {
                self.reading_gap = true;
                core.actions.push(Action::ReadGap {
                    from: expected,
                    upto: offset,
                });
                return Ok(());
            }
            // An offset that was given to another record before: the log has lost its end, and with it what this node
            // has told others to be committed.
            if offset < expected && core.setting.rules.expected_offset {
                let place = &core.setting.place;
                return Err(Exit::Stop(format!(
                    "{place} acknowledged offset {offset} where {expected} was expected: the log was truncated"
                )));
            }
            self.commit();
        }
        Ok(())
    }

    /// Where the next of our records lie in a gap, in order; `None` when it holds another's claim. The records in it are
    /// judged by a fold that stands where the last committed record left it, as every reader of the log judges them.
    pub(super) fn judge(&self, fold: &Fold, batch: &[Stored]) -> Option<Vec<Offset>> {
        let mut judge = fold.clone();
        judge.seq = self.committed;
        judge.released = false;
        let from = self.expected(self.committed);
        let mut placed = Vec::new();
        for stored in batch.iter().filter(|stored| stored.offset > from) {
            let verdict = match codec::decode::<Event>(&stored.record.header) {
                Ok(event) => judge.step(stored.offset, &event),
                Err(_) => Verdict::Ignored,
            };
            match verdict {
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
        if entry.is_some_and(|entry| entry.effects) {
            self.effects_before = self.next_commit();
        }
    }

    /// Commits the next record at an offset where it was not expected; those behind it are expected behind it.
    pub(super) fn commit_at(&mut self, offset: Offset) {
        self.base = offset.0 - self.committed.0 - 1;
        self.commit();
    }
}
