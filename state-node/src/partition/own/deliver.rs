//! What leaves: chain records, plain outputs and tells (R11–R14).

use std::sync::Arc;

use xp_protocol::{Offset, PartitionId, Seq};
use xp_transport::{Now, Record};

use super::super::{Owner, Partition, Role};
use crate::action::{Action, Telling};
use crate::gate::Output;
use crate::large::{Portion, record_bytes};

/// How long to wait before chain records go out again after a failure, in milliseconds.
const EMIT_AGAIN_MS: u64 = 50;

impl Partition {
    /// Puts an output behind everything decided so far (R11).
    pub(super) fn put_behind(&mut self, output: Output) {
        let after = self.fold.seq;
        if let Some(owner) = self.owner() {
            owner.gate.push(after, output);
        }
    }

    /// Lets out what the gate no longer holds, as far as there is room.
    pub(in crate::partition) fn drain(&mut self, now: Now) {
        self.greet();
        self.resume_waiting();
        let open = !self.setting.rules.gate;
        while let Role::Owning(owner) = &mut self.role {
            let committed = if open { Seq(u64::MAX) } else { owner.committed };
            owner.gate.open(committed, owner.base);
            let Some((commit, output)) = owner.gate.pop(owner.emitter.has_room()) else {
                break;
            };
            self.let_out(commit, output, now);
        }
        self.close_hole(now);
        self.send_large(now);
        self.finish_release(now);
        self.save_committed();
        self.finish_spoilt();
    }

    /// The fault is committed and has left: the log rebuilds what is spoilt.
    fn finish_spoilt(&mut self) {
        let done = |owner: &mut Owner| {
            owner.spoilt && owner.uncommitted.is_empty() && owner.gate.is_empty()
        };
        if self.owner().is_some_and(done) {
            self.lose("events could not be applied; the partition is opened anew");
        }
    }

    fn let_out(&mut self, commit: Offset, output: Output, now: Now) {
        match output {
            Output::Chain(partition, record) => self.emit(commit, partition, record),
            Output::Plain(partition, record) => self.speak(partition, record),
            Output::Large(cut) => {
                if let Some(owner) = self.owner() {
                    owner.large.push(*cut);
                }
            }
            Output::Leased(partition, record)
                if self.may_answer(now) || !self.setting.rules.lease =>
            {
                self.speak(partition, record);
            }
            Output::Leased(partition, record) => {
                if let Some(owner) = self.owner().filter(|owner| !owner.displaced) {
                    owner.leased.push((partition, record));
                }
            }
            Output::Tell(tell) => self.tell(&tell, now),
            Output::Confirm(target, record) => {
                let id = None;
                let telling = Telling { target, id, record };
                self.actions.push(Action::Tell(Box::new(telling)));
            }
            Output::Mark => self.mark(),
        }
    }

    /// R13: within the lease, and only who should own the partition.
    fn may_answer(&self, now: Now) -> bool {
        let displaced = match &self.role {
            Role::Owning(owner) => owner.displaced,
            Role::Following(_) | Role::Over => true,
        };
        self.lease.holds(now.running) && !displaced
    }

    /// R13: the lease holds again; answers that waited for it leave.
    pub(in crate::partition) fn release_leased(&mut self, now: Now) {
        if !self.may_answer(now) {
            return;
        }
        let waiting = self
            .owner()
            .map(|owner| std::mem::take(&mut owner.leased))
            .unwrap_or_default();
        for (partition, record) in waiting {
            self.speak(partition, record);
        }
        self.send_large(now);
    }

    /// What is not logged leaves: at once, or in pieces when it is too large for one record (R41).
    fn speak(&mut self, partition: PartitionId, record: Record) {
        let limits = Arc::clone(&self.setting.limits);
        let bytes = record_bytes(&record);
        if bytes <= limits.piece_bytes() {
            return self.actions.push(Action::Speak { partition, record });
        }
        let (epoch, place) = (self.epoch(), self.setting.place.clone());
        let Some(owner) = self.owner() else { return };
        if owner.large.bytes() >= limits.large_bytes_max {
            tracing::warn!(%place, bytes, "a large answer was dropped, because others wait already; its client asks again");
            return;
        }
        match owner.large.cut((partition, record), epoch, None, &limits) {
            Some(cut) => owner.large.push(cut),
            None => {
                tracing::warn!(%place, bytes, "a volatile output was dropped: it is too large for one record");
            }
        }
    }

    /// Puts a record outside the chain at the gate that is large, or one of many, for one subject or several.
    pub(super) fn put_large(&mut self, at: (PartitionId, Record), payer: Option<Box<str>>) {
        let (epoch, limits) = (self.epoch(), Arc::clone(&self.setting.limits));
        let Some(owner) = self.owner() else { return };
        if let Some(cut) = owner.large.cut(at, epoch, payer, &limits) {
            self.put_behind(Output::Large(Box::new(cut)));
        }
    }

    /// R41: as much of what is large as may leave now.
    pub(super) fn send_large(&mut self, now: Now) {
        let limits = Arc::clone(&self.setting.limits);
        while let Role::Owning(owner) = &mut self.role
            && let Some(portion) = owner.large.next(now.running, &limits)
        {
            let Portion {
                id,
                partition,
                record,
            } = portion;
            self.actions.push(Action::Emit {
                id,
                partition,
                record,
            });
        }
    }

    pub(super) fn emit(&mut self, commit: Offset, partition: PartitionId, record: Record) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        let emission = owner.emitter.emit(commit, partition, record);
        let (id, record) = (emission.id, emission.record.clone());
        self.actions.push(Action::Emit {
            id,
            partition,
            record,
        });
    }

    /// A chain record was acknowledged, or its append failed (R14).
    pub fn emitted(&mut self, id: u64, arrived: bool, now: Now) {
        if self
            .owner()
            .is_some_and(|owner| owner.large.acknowledged(id))
        {
            return self.drain(now);
        }
        if let Some(owner) = self.owner() {
            owner.emitter.acknowledged(id, arrived);
            if !arrived {
                owner
                    .emit_again_at
                    .get_or_insert(now.running.plus_ms(EMIT_AGAIN_MS));
            }
        }
        self.drain(now);
    }

    /// R14: what failed and all later ones leave again, in order, before anything else does.
    pub(super) fn emit_again(&mut self, now: Now) {
        let Role::Owning(owner) = &mut self.role else {
            return;
        };
        if owner.emit_again_at.is_none_or(|at| at > now.running) {
            return;
        }
        owner.emit_again_at = None;
        owner.gate.take_back(owner.emitter.again());
        self.drain(now);
    }
}
