//! From a draft to a commit that is appended (R9), or to a fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::events::{Cause, Change, Commit, Ending, Event, Tell, TimerKey};
use xp_protocol::{Address, FaultCode};
use xp_transport::{Now, Record};

use super::super::{Faulted, Partition, record};
use crate::draft::{Deliveries, Draft, Failure, chain_records, reference};
use crate::entity::Entity;
use crate::gate::Output;
use crate::turn::{self, Turn};

impl Partition {
    /// R9: the encoded size is checked, the events are read back from the bytes to be appended and applied,
    /// then the record is appended.
    pub(super) fn commit(&mut self, address: &Address, mut draft: Draft, now: Now) {
        if let (true, Some(entity)) = (draft.ends, self.entities.get(address)) {
            let until = draft.now.plus_ms(self.setting.limits.memory_ms);
            draft.end(entity, until);
        }
        if self.must_wait(&draft) || self.is_spoken_of(address, &draft) {
            return self.put_off(address, &draft, now);
        }
        if let Some(to) = self.unreachable(&draft) {
            let reference = reference(draft.seed);
            tracing::error!(entity = %address, %to, reference, "a message faulted: it tells a category that no lane serves; add that category to a lane, or mend the domain's code");
            let why = format!("it tells {to}, whose category no lane serves");
            let failure = self.failure(&draft, FaultCode::Misuse, &why);
            return self.commit_fault(address, &draft, failure);
        }
        let Some((commit, record)) = self.place(address, &draft) else {
            return;
        };
        let bytes = record.header.len() + record.value.len();
        if bytes > self.setting.limits.record_bytes_max {
            let reference = reference(draft.seed);
            let max = self.setting.limits.record_bytes_max;
            tracing::error!(entity = %address, bytes, max, reference, "a message faulted: its record would be too large; let the domain record less at once, or raise record-bytes-max");
            let why = format!("its record would have {bytes} bytes of at most {max}");
            let failure = self.failure(&draft, FaultCode::TooLarge, &why);
            return self.commit_fault(address, &draft, failure);
        }
        match self.apply_own(address, &draft, &commit.cause) {
            Ok(()) => self.accept(address, commit, record, draft),
            Err((code, why)) => {
                let failure = self.failure(&draft, code, &why);
                self.commit_fault(address, &draft, failure);
            }
        }
    }

    fn failure(&self, draft: &Draft, code: FaultCode, why: &str) -> Failure {
        Failure::new(code, draft.seed, &self.setting.limits, why)
    }

    /// An entity that is told and lives nowhere.
    fn unreachable<'d>(&self, draft: &'d Draft) -> Option<&'d Address> {
        let mut told = draft.tells.iter().map(|word| &word.to);
        told.find(|to| self.setting.lanes.of(to.category()).is_none())
    }

    /// Events that cannot be applied are a fault before the append. The instance is spoilt then, so the
    /// partition decides nothing more; it is opened anew as soon as the fault is committed, and finds the
    /// message taken.
    fn apply_own(
        &mut self,
        address: &Address,
        draft: &Draft,
        cause: &Cause,
    ) -> Result<(), (FaultCode, String)> {
        let Some(entity) = self.entities.get_mut(address) else {
            return Ok(());
        };
        if draft.event_count == 0 || entity.is_quarantined() {
            return Ok(());
        }
        let Err(fault) = entity.instance.apply(&draft.events) else {
            return self.prove(address, &draft.events);
        };
        let reference = reference(draft.seed);
        tracing::error!(entity = %address, ?cause, %fault, reference, "a message faulted: its events cannot be applied; the domain's code is to be mended");
        if let Some(owner) = self.owner() {
            owner.spoilt = true;
        }
        // Should the fault not be committed before the partition is lost, it need not fail to apply once more.
        if let Cause::Inbound(offset) = cause {
            self.faulted.messages.insert(*offset);
        }
        Err((turn::code(&fault), fault.to_string()))
    }

    /// What the next life of this partition must not apply again.
    #[must_use]
    pub fn faulted(&self) -> &Faulted {
        &self.faulted
    }

    /// Gives a draft its place in the log: the commit, and the record to be appended.
    fn place(&self, address: &Address, draft: &Draft) -> Option<(Arc<Commit>, Record)> {
        let entity = self.entities.get(address)?;
        let commit = Commit {
            epoch: self.epoch(),
            seq: self.fold.seq.next(),
            sent: self.sent(),
            cause: draft.cause.clone(),
            now: draft.now,
            revision: draft.revision,
            trace: draft.trace.clone(),
            seed: draft.seed,
            event_count: draft.event_count,
            changes: draft.stored_changes(),
            links: draft.links(entity),
            deliveries: draft.shown.delivered(self.setting.rules.close_in_chain),
            frames: Bytes::copy_from_slice(&draft.shown.frames),
            tells: self.numbered(address, draft),
        };
        let commit = Arc::new(commit);
        let event = Event::Commit(Arc::clone(&commit));
        let record = record(Some(address), &event, draft.events.clone());
        Some((commit, record))
    }

    /// R34: the draft's tells, numbered densely for each target.
    fn numbered(&self, address: &Address, draft: &Draft) -> Vec<Tell> {
        let mut last = BTreeMap::new();
        draft.tells(address, |to| {
            let target = self.setting.lanes.locate(to)?;
            let known = self.fold.tells_out.get(&target).copied();
            let number = last
                .entry(target.clone())
                .or_insert(known.unwrap_or_default());
            *number += 1;
            Some((target, *number))
        })
    }

    /// The commit stands: fold it, append it, and put what it says behind it at the gate.
    fn accept(&mut self, address: &Address, commit: Arc<Commit>, record: Record, draft: Draft) {
        let expected = self.expected(commit.seq);
        self.fold
            .step(expected, &Event::Commit(Arc::clone(&commit)));
        self.fold_commit(address, &commit, expected);
        let effects = !commit.links.is_empty() || !commit.tells.is_empty();
        self.append(record, effects);
        self.put_effects(address, &commit, draft.volatile);
        if let Some(after) = draft.after {
            self.follow_up(address, after);
        }
    }

    fn put_effects(&mut self, address: &Address, commit: &Commit, volatile: Deliveries) {
        for (partition, record) in chain_records(address, commit) {
            self.put_behind(Output::Chain(partition, record));
        }
        for tell in &commit.tells {
            self.put_behind(Output::Tell(tell.clone()));
        }
        let entity = self.entities.get(address);
        let watched = entity.map(Entity::watched_from).unwrap_or_default();
        for (partition, record) in volatile.records(address, &watched) {
            self.put_behind(Output::Plain(partition, record));
        }
    }

    /// The message is taken without effect: what it would have told and recorded is dropped.
    pub(super) fn commit_fault(&mut self, address: &Address, failed: &Draft, failure: Failure) {
        if let Some(wanted) = failed.begins() {
            self.refuse_begun(address, wanted, failure);
            // No commit says that this message was taken, and whoever comes next must not meet it again.
            if let Some(owner) = self.owner().filter(|owner| owner.spoilt) {
                let at = owner.checkpointed.at;
                self.append_checkpoint(at);
            }
            return;
        }
        let (host, limits) = (
            self.setting.domain.get(address.category()).cloned(),
            Arc::clone(&self.setting.limits),
        );
        let Some((host, entity)) = host.zip(self.entities.get(address)) else {
            return;
        };
        let stands = |change: &&Change| stands(&failed.cause, change);
        let kept = failed.changes.iter().filter(stands).cloned().collect();
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause: failed.cause.clone(),
            now: failed.now,
            seed: failed.seed,
            trace: failed.trace.clone(),
            rules: self.setting.rules,
            poisonous: false,
        };
        let mut draft = turn.failed(entity, kept, failed.awaiter.clone(), &failure);
        draft.after = failed.after;
        if let Some((commit, record)) = self.place(address, &draft) {
            self.accept(address, commit, record, draft);
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
        | C::Parked(_)
        | C::Unparked
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
