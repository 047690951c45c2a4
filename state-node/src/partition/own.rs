//! Owning: turns become commits, commits are acknowledged at the offset where they must be, and what they say
//! leaves through the gate (R8–R15).

mod deliver;
mod append;
mod sessions;

use std::sync::Arc;

use bytes::Bytes;
use rand::RngCore;
use xp_protocol::codec;
use xp_protocol::events::{Cause, Change, Commit, Ending, Event, TimerKey};
use xp_protocol::{Address, FaultCode, Offset, Seq, TimeMs};

use super::{Checkpointed, Owner, Partition, Role, Tells};
use crate::action::Action;
use crate::draft::{Draft, chain_records};
use crate::entity::Entity;
use crate::gate::{Emitter, Gate, Output};
use crate::turn::{Turn, Turned};

impl Partition {
    /// R8: the claim has been read back. First everything that may not have gone out goes out again, then the
    /// sessions are checked against the view, then inbound is read.
    pub(super) fn begin_owning(&mut self, now: TimeMs) {
        let base = self.epoch().0;
        let inbound = self.fold.inbound;
        let tells = self.fold.outstanding.iter();
        let tells = tells
            .map(|tell| (tell.target.clone(), Tells::again(tell.number)))
            .collect();
        self.role = Role::Owning(Box::new(Owner {
            base,
            committed: Seq(0),
            uncommitted: Default::default(),
            acknowledged: Default::default(),
            round: 0,
            fresh: Vec::new(),
            reading_gap: false,
            repeat_at: None,
            gate: Gate::default(),
            emitter: Emitter::default(),
            emit_again_at: None,
            leased: Vec::new(),
            inbound,
            checkpointed: Checkpointed {
                at: now,
                inbound,
                sent: self.fold.sent,
                effects_before: Offset(0),
                tells: Default::default(),
            },
            tells,
            tells_taken_dirty: Default::default(),
            rescans: Default::default(),
            next_rescan: 0,
            releasing: false,
            released: None,
            snapshot: None,
        }));
        if self.setting.rules.emit_again {
            self.send_again();
        }
        self.repeat_tells(now);
        self.check_sessions(now);
        self.actions.push(Action::ReadInbound { from: inbound });
    }

    fn send_again(&mut self) {
        for unsent in std::mem::take(&mut self.unsent) {
            let records: Vec<_> = chain_records(&unsent.address, &unsent.commit).collect();
            for (partition, record) in records {
                self.emit(unsent.offset, partition, record);
            }
            self.welcome_again(&unsent);
        }
    }

    /// Runs one turn and does what it comes to.
    pub(super) fn run(
        &mut self,
        address: &Address,
        cause: Cause,
        time: TimeMs,
        trace: Option<Box<str>>,
        now: TimeMs,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) {
        let seed = self.random.next_u64();
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            tracing::warn!(entity = %address, "a message names a category that is not hosted here");
            return;
        };
        let (limits, rules) = (Arc::clone(&self.setting.limits), self.setting.rules);
        let faulted = matches!(cause, Cause::Inbound(offset) if self.faulted.contains(&offset));
        let entity = match self.entity(address) {
            Ok(Some(entity)) => entity,
            Ok(None) => return,
            Err(reason) => return self.set_aside(&reason),
        };
        entity.touched = now;
        let time = bounded(time, now, limits.clock_skew_ms).max(entity.runtime.now);
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause,
            now: time,
            seed,
            trace,
            rules,
        };
        let turned = decide(turn, entity);
        let watched = entity.watched_from();
        let forgettable = entity.runtime.is_forgettable();
        match turned {
            Turned::Commit(draft) if faulted => {
                self.commit_fault(address, &draft, FaultCode::Panicked)
            }
            Turned::Commit(draft) => self.commit(address, *draft),
            Turned::Unlogged { outputs, leased } => {
                for (partition, record) in outputs.records(address, &watched) {
                    let output = match leased {
                        true => Output::Leased(partition, record),
                        false => Output::Plain(partition, record),
                    };
                    self.put_behind(output);
                }
                self.forget_if(address, forgettable);
            }
            Turned::Nothing => self.forget_if(address, forgettable),
        }
    }

    /// An entity without events, sessions and timers leaves no trace.
    fn forget_if(&mut self, address: &Address, forgettable: bool) {
        if forgettable {
            self.entities.remove(address);
        }
    }

    /// R9: the encoded size is checked, the events are read back from the bytes to be appended and applied,
    /// then the record is appended.
    fn commit(&mut self, address: &Address, draft: Draft) {
        if let Some(told) = draft
            .tells
            .iter()
            .find(|told| self.setting.lanes.of(told.to.category()).is_none())
        {
            tracing::error!(entity = %address, to = %told.to, "a message faulted: it tells a category that no lane serves");
            return self.commit_fault(address, &draft, FaultCode::Misuse);
        }
        let Some(commit) = self.place(address, &draft) else {
            return;
        };
        let record = super::follow::record(
            Some(address),
            &Event::Commit(Box::new(commit.clone())),
            draft.events.clone(),
        );
        if record.header.len() + record.value.len() > self.setting.limits.record_bytes_max {
            tracing::error!(entity = %address, bytes = record.header.len() + record.value.len(), "a message faulted: its record would be too large");
            return self.commit_fault(address, &draft, FaultCode::TooLarge);
        }
        if !self.apply_own(address, &draft, &commit.cause) {
            return;
        }
        self.accept(address, commit, record, draft);
    }

    /// A panic in the owner's `apply` is a fault before the append. The instance is spoilt, so the partition
    /// is opened anew and takes the message as a fault then.
    fn apply_own(&mut self, address: &Address, draft: &Draft, cause: &Cause) -> bool {
        let Some(entity) = self.entities.get_mut(address) else {
            return false;
        };
        if draft.event_count == 0 || entity.quarantined {
            return true;
        }
        let Err(fault) = entity.instance.apply(&draft.events) else {
            return true;
        };
        tracing::error!(entity = %address, ?cause, %fault, "a message faulted: its events cannot be applied");
        if let Cause::Inbound(offset) = cause {
            self.faulted.insert(*offset);
        }
        self.lose("events could not be applied; the partition is opened anew");
        false
    }

    /// Messages that must be taken as faults when they are decided again.
    #[must_use]
    pub fn faulted(&self) -> &std::collections::BTreeSet<Offset> {
        &self.faulted
    }

    fn place(&mut self, address: &Address, draft: &Draft) -> Option<Commit> {
        let entity = self.entities.get(address)?;
        let links = draft.links(entity);
        let mut numbers = std::collections::BTreeMap::new();
        let tells = draft.tells(address, |to| {
            let target = self.setting.lanes.locate(to)?;
            let last = self
                .fold
                .tells_out
                .get(&target)
                .copied()
                .unwrap_or_default();
            let number = numbers.entry(target.clone()).or_insert(last);
            *number += 1;
            Some((target, *number))
        });
        Some(Commit {
            epoch: self.epoch(),
            seq: self.fold.seq.next(),
            sent: self.sent(),
            cause: draft.cause.clone(),
            now: draft.now,
            revision: draft.revision,
            trace: draft.trace.clone(),
            seed: draft.seed,
            event_count: draft.event_count,
            changes: draft.changes.clone(),
            links,
            deliveries: draft.shown.delivered(self.setting.rules.close_in_chain),
            frames: Bytes::copy_from_slice(&draft.shown.frames),
            tells,
        })
    }

    /// The commit stands: fold it, append it, and put what it says behind it at the gate.
    fn accept(
        &mut self,
        address: &Address,
        commit: Commit,
        record: xp_transport::Record,
        draft: Draft,
    ) {
        let commit = Arc::new(commit);
        let expected = self.expected(commit.seq);
        self.fold
            .step(expected, &Event::Commit(Box::new(Commit::clone(&commit))));
        self.fold_commit(address, &commit, expected);
        let effects = !commit.links.is_empty() || !commit.tells.is_empty();
        self.append(record, effects);
        for (partition, record) in chain_records(address, &commit) {
            self.put_behind(Output::Chain(partition, record));
        }
        for tell in &commit.tells {
            self.put_behind(Output::Tell(tell.clone()));
        }
        let watched = self
            .entities
            .get(address)
            .map(Entity::watched_from)
            .unwrap_or_default();
        for (partition, record) in draft.volatile.records(address, &watched) {
            self.put_behind(Output::Plain(partition, record));
        }
        if let Some(after) = draft.after {
            self.follow_up(address, after);
        }
    }

    /// The message is taken without effect: what it would have told and recorded is dropped.
    fn commit_fault(&mut self, address: &Address, failed: &Draft, code: FaultCode) {
        if let Some(wanted) = failed.begins() {
            return self.refuse_begun(address, wanted, code);
        }
        let kept = failed
            .changes
            .iter()
            .filter(|change| stands(&failed.cause, change))
            .cloned()
            .collect();
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let limits = Arc::clone(&self.setting.limits);
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause: failed.cause.clone(),
            now: failed.now,
            seed: failed.seed,
            trace: failed.trace.clone(),
            rules: self.setting.rules,
        };
        let mut draft = turn.failed(entity, kept, failed.awaiter.clone(), code);
        draft.after = failed.after;
        let Some(commit) = self.place(address, &draft) else {
            return;
        };
        let record = super::follow::record(
            Some(address),
            &Event::Commit(Box::new(commit.clone())),
            Bytes::new(),
        );
        self.accept(address, commit, record, draft);
    }

    /// Timers that are due, in the order of their times.
    pub(super) fn fire_timers(&mut self, now: TimeMs) {
        while self.is_deciding()
            && let Some((due, address, key)) = self.timers.first().cloned()
            && due <= now
        {
            self.timers.pop_first();
            self.fire(&address, due, &key, now);
        }
    }

    /// A timer fires at the owner's time, never before it was due.
    fn fire(&mut self, address: &Address, due: TimeMs, key: &TimerKey, now: TimeMs) {
        let cause = Cause::Timer(key.clone());
        self.run(
            address,
            cause,
            now.max(due),
            None,
            now.max(due),
            |turn, entity| match entity.runtime.due(key) {
                Some(set) if set == due => turn.timer(entity, key),
                _ => Turned::Nothing,
            },
        );
    }

    fn is_deciding(&self) -> bool {
        match &self.role {
            Role::Owning(owner) => {
                !owner.releasing && owner.uncommitted.len() < self.setting.limits.uncommitted_max
            }
            Role::Following(_) | Role::Over => false,
        }
    }

    fn expected(&self, seq: Seq) -> Offset {
        match &self.role {
            Role::Owning(owner) => Offset(owner.base + seq.0),
            Role::Following(_) | Role::Over => Offset(0),
        }
    }

    /// Everything behind what is committed has left the gate, so only what flies can hold `sent` back.
    fn sent(&self) -> Offset {
        match &self.role {
            Role::Owning(owner) => owner
                .emitter
                .sent(Offset(owner.base + owner.committed.0 + 1)),
            Role::Following(_) | Role::Over => self.fold.sent,
        }
    }
}

/// Whether a change stands even when its message failed: what says that the message was taken, and the
/// session's life, which no handler can refuse.
fn stands(cause: &Cause, change: &Change) -> bool {
    use Change as C;
    match change {
        C::Taken { .. }
        | C::TellTaken { .. }
        | C::AskClosed(_)
        | C::TimerCleared(_)
        | C::SessionAttached(_) => true,
        C::SessionDetached { why, .. } => *why != Ending::ByEntity,
        C::SessionEnded { .. }
        | C::SessionForgotten(_)
        | C::TicketClosed(_)
        | C::Answered { .. } => {
            matches!(
                cause,
                Cause::Timer(TimerKey::Grace(_) | TimerKey::Forget(_) | TimerKey::Ticket(_))
            )
        }
        _ => false,
    }
}

/// A message's time within the owner's clock, give or take `skew_ms`.
fn bounded(time: TimeMs, now: TimeMs, skew_ms: u64) -> TimeMs {
    TimeMs(
        time.0
            .clamp(now.0.saturating_sub(skew_ms), now.0.saturating_add(skew_ms)),
    )
}

/// A platform record about the whole partition.
fn bare(event: &Event) -> xp_transport::Record {
    xp_transport::Record {
        key: Bytes::new(),
        header: codec::encode(event).into(),
        value: Bytes::new(),
    }
}
