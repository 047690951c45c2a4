//! From appended to committed: acknowledged at the expected offset, or found there by reading the gap (R10),
//! or appended again, identical (R12).

use xp_protocol::codec;
use xp_protocol::events::Event;
use xp_protocol::{Offset, Seq};
use xp_transport::{AppendError, Now, Record, Stored};

use super::super::{Owner, Partition, Role, Uncommitted};
use crate::action::Action;
use crate::fold::Verdict;

/// How long to wait before uncommitted records are appended again, in milliseconds.
const REPEAT_MS: u64 = 50;

impl Partition {
    /// Appends a record that has been folded already.
    pub(super) fn append(&mut self, record: Record, effects: bool) {
        if let Some(owner) = self.owner() {
            owner.fresh.push(record.clone());
            owner.uncommitted.push_back(Uncommitted { record, effects });
        }
    }

    /// Hands the records decided since the last call to the shell, as one append.
    pub(in crate::partition) fn flush(&mut self) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        let records = std::mem::take(&mut owner.fresh);
        if !records.is_empty() {
            let first = Seq(self.fold.seq.0 + 1 - records.len() as u64);
            let append = Action::Append {
                first,
                round: owner.round,
                records,
            };
            // Outputs of this batch wait at the gate for it, so its place among the actions is free.
            self.actions.push(append);
        }
    }

    /// The acknowledgements of one append, in order.
    pub fn appended(
        &mut self,
        first: Seq,
        round: u64,
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        if round != owner.round {
            return;
        }
        for (seq, result) in (first.0..).map(Seq).zip(results) {
            match result {
                Ok(offset) => {
                    owner.acknowledged.insert(seq, *offset);
                    if std::mem::take(&mut owner.failing) {
                        tracing::info!(place = %self.setting.place, %seq, "appends succeed again");
                    }
                }
                Err(error) => {
                    // A full disk fails often and for long: one line when it begins, one when it ends.
                    if !std::mem::replace(&mut owner.failing, true) {
                        tracing::warn!(place = %self.setting.place, %seq, %error, "an append failed; all uncommitted records go out again until they succeed");
                    }
                    owner
                        .repeat_at
                        .get_or_insert(now.running.plus_ms(REPEAT_MS));
                }
            }
        }
        self.settle(now);
        self.take_held(now);
    }

    /// R10: an acknowledgement at the expected offset commits; at another one the gap is read.
    fn settle(&mut self, now: Now) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        if owner.reading_gap {
            return;
        }
        while let Some(offset) = owner.acknowledged.remove(&owner.committed.next()) {
            let expected = Offset(owner.base + owner.committed.0 + 1);
            if !self.setting.rules.expected_offset {
                owner.commit();
                continue;
            }
            if offset < expected {
                let why = format!(
                    "{} acknowledged offset {offset} where {expected} was expected: the log was truncated",
                    self.setting.place
                );
                return self.stop(why);
            }
            if offset > expected {
                owner.reading_gap = true;
                self.actions.push(Action::ReadGap {
                    from: expected,
                    upto: offset,
                });
                break;
            }
            owner.commit();
        }
        self.drain(now);
    }

    /// R10: what lies between the last committed record and an unexpected acknowledgement. A claim in it ends
    /// the ownership; foreign records move the expected offset.
    pub fn gap(&mut self, batch: &[Stored], now: Now) {
        if !self.is_owner() {
            return;
        }
        let Some(placed) = self.judge(batch) else {
            return self.lose("another node has claimed the partition");
        };
        self.move_behind(&placed);
        for offset in placed {
            if let Some(owner) = self.owner() {
                owner.commit_at(offset);
            }
            // What follows a record leaves under the record's own offset, before the next one moves it.
            self.drain(now);
        }
        self.settle(now);
        self.take_held(now);
    }

    /// Where the next of our records lie in a gap, in order; `None` when it holds another's claim.
    fn judge(&mut self, batch: &[Stored]) -> Option<Vec<Offset>> {
        let mut judge = self.fold.clone();
        let owner = self.owner()?;
        judge.seq = owner.committed;
        judge.released = false;
        let from = Offset(owner.base + owner.committed.0);
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

    /// Records that lie elsewhere move all behind them.
    fn move_behind(&mut self, placed: &[Offset]) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        owner.reading_gap = false;
        // A cut at positions that have moved fits no log.
        owner.snapshot = None;
        let committed = owner.committed.0 + placed.len() as u64;
        owner.acknowledged.retain(|seq, _| seq.0 > committed);
        let from = owner.base + owner.committed.0;
        let shift = placed.last().map_or(0, |last| last.0 - from) - placed.len() as u64;
        self.fold.moved(Offset(from), |expected| {
            let index = usize::try_from(expected.0 - from - 1).unwrap_or(usize::MAX);
            let known = placed.get(index).copied();
            known.unwrap_or(Offset(expected.0 + shift))
        });
    }

    /// R12: after an error all uncommitted records are appended again, identical and in order.
    pub(in crate::partition) fn repeat(&mut self, now: Now) {
        self.flush();
        let in_order = self.setting.rules.again_in_order;
        if let Role::Owning(owner) = &mut self.role
            && owner.repeat_at.is_some_and(|at| at <= now.running)
        {
            owner.repeat_at = None;
            if !in_order {
                let failed = owner.unacknowledged();
                return self.actions.extend(failed);
            }
            owner.round += 1;
            owner.acknowledged.clear();
            let records: Vec<_> = owner
                .uncommitted
                .iter()
                .map(|entry| entry.record.clone())
                .collect();
            let append = Action::Append {
                first: owner.committed.next(),
                round: owner.round,
                records,
            };
            self.actions.push(append);
        }
        self.emit_again(now);
        self.repeat_tells(now);
    }
}

impl Owner {
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
            self.checkpointed.effects_before = Offset(self.base + self.committed.0 + 1);
        }
    }

    fn commit_at(&mut self, offset: Offset) {
        self.base = offset.0 - self.committed.0 - 1;
        self.commit();
    }
}
