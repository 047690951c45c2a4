//! The positions that say what has been taken and has left (R15), and the end in order (R17).

use xp_protocol::codec;
use xp_protocol::events::{Checkpoint, Event};
use xp_protocol::inbound::{Inbound, Word};
use xp_protocol::{LanePartition, Offset, TimeMs};
use xp_transport::{Now, Record};

use super::super::{Following, Owner, Partition, Role, bare};
use crate::action::Action;
use crate::fold::Fold;
use crate::gate::Output;

impl Partition {
    /// R15: positions are recorded at least once a second, also when only queries came.
    pub(in crate::partition) fn checkpoint(&mut self, now: Now) {
        let every_ms = self.setting.limits.checkpoint_ms;
        let quiet_ms = self.setting.limits.quiet_ms;
        let place = self.setting.place.clone();
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        let since_ms = now.running.since_ms(owner.checkpointed.at);
        if since_ms < every_ms {
            return;
        }
        let taken: Vec<_> = std::mem::take(&mut owner.tells_taken_dirty)
            .into_iter()
            .map(|source| (tells_taken(&place, &self.fold, &source, now), source))
            .collect();
        for (record, source) in taken {
            // Behind the gate, so that nothing uncommitted is confirmed.
            self.put_behind(Output::Confirm(source, record));
        }
        // R36: a quiet partition says so now and then, so that its snapshot stays ahead of retention.
        let is_due = since_ms >= quiet_ms;
        if self.owner().is_some_and(|owner| owner.has_news() || is_due) {
            self.append_checkpoint(now.running);
        }
        self.drain(now);
    }

    pub(super) fn append_checkpoint(&mut self, at: TimeMs) {
        let (epoch, seq, sent) = (self.epoch(), self.fold.seq.next(), self.sent());
        let hashes = std::mem::take(&mut self.hashes);
        let Some(owner) = self.owner() else { return };
        let confirmed = owner
            .tells
            .iter()
            .map(|(target, tells)| (target.clone(), tells.confirmed()));
        let tells_taken: Vec<_> = confirmed.filter(|(_, number)| *number > 0).collect();
        let inbound = owner.inbound;
        owner.checkpointed.at = at;
        owner.checkpointed.inbound = inbound;
        owner.checkpointed.sent = sent;
        owner.checkpointed.tells = tells_taken.iter().cloned().collect();
        let event = Event::Checkpoint(Checkpoint {
            epoch,
            seq,
            sent,
            inbound,
            tells_taken,
            hashes,
        });
        self.append_bare(&event);
    }

    pub(super) fn append_bare(&mut self, event: &Event) {
        let expected = self.expected(self.fold.seq.next());
        self.fold.step(expected, event);
        self.append(bare(event), false);
    }

    /// Ends the ownership in order: what was decided is committed and leaves, then `Release` follows (R17). It is
    /// not claimed again.
    pub fn release(&mut self, now: Now) {
        self.retired = true;
        if let Role::Owning(owner) = &mut self.role {
            owner.releasing = true;
            self.drain(now);
        }
    }

    pub(super) fn finish_release(&mut self, now: Now) {
        let (epoch, seq, inbound) = (self.epoch(), self.fold.seq.next(), self.fold.inbound);
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        let drained = owner.uncommitted.is_empty() && owner.is_drained();
        match owner.released {
            _ if !owner.releasing || owner.spoilt => {}
            // What was taken without a commit, the next owner need not look at again.
            None if drained && owner.inbound > inbound => {
                self.append_checkpoint(now.running);
            }
            None if drained => {
                owner.released = Some(seq);
                self.append_bare(&Event::Release { epoch, seq });
            }
            Some(released) if owner.committed >= released => {
                let from = Offset(owner.base + released.0 + 1);
                self.follow_on(from, now);
            }
            _ => {}
        }
    }

    /// R17, R18: everything in memory is committed, so who released goes on as a mirror with it.
    fn follow_on(&mut self, from: Offset, now: Now) {
        self.role = Role::Following(Following::new(None, from));
        self.unsent.clear();
        self.actions.push(Action::Follow { from });
        self.assign(now);
    }
}

impl Owner {
    fn is_drained(&self) -> bool {
        self.gate.is_empty() && self.emitter.is_empty()
    }

    fn has_news(&self) -> bool {
        let noted = &self.checkpointed;
        let confirmed =
            |target: &LanePartition| noted.tells.get(target).copied().unwrap_or_default();
        self.inbound > noted.inbound
            || noted.sent < noted.effects_before
            || self
                .tells
                .iter()
                .any(|(target, tells)| tells.confirmed() > confirmed(target))
    }
}

/// Word to `source` which of its tells this partition has taken (R34).
fn tells_taken(place: &LanePartition, fold: &Fold, source: &LanePartition, now: Now) -> Record {
    let word = Word::TellsTaken {
        taker: place.clone(),
        number: fold.tells_in.get(source).copied().unwrap_or_default(),
    };
    let inbound = Inbound {
        time: now.time,
        trace: None,
        word,
    };
    Record {
        header: codec::encode(&inbound).into(),
        ..Record::default()
    }
}
