//! The step from a draft to a commit that is appended (R9), or to a fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::host::RosterChange;
use xp_protocol::events::{
    Attachment, Cause, Change, Commit, Ending, Event, Outputs, Tell, TimerKey,
};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, FaultCode, Offset};
use xp_transport::{Now, Record};

use super::super::super::core::Core;
use super::super::super::{label, record};
use super::super::telling::must_wait;
use super::Writer;
use crate::draft::{Deliveries, Draft, Failure, chain_records};
use crate::entity::Entity;
use crate::gate::Output;
use crate::turn::{self, No, Turn, Turned};

impl Writer {
    /// R9: the encoded size is checked, the events are read back from the bytes to be appended and applied,
    /// then the record is appended.
    pub(super) fn commit(
        &mut self,
        core: &mut Core,
        address: &Address,
        mut draft: Draft,
        now: Now,
    ) {
        if let (true, Some(entity)) = (draft.ends, core.residents.get(address)) {
            let until = draft
                .trigger
                .now()
                .plus_ms(core.setting.limits.sessions.memory.ms());
            draft.end(entity, until);
        }
        if must_wait(core, &draft) || self.is_spoken_of(core, address, &draft, now) {
            return self.wait(core, address, &draft, now);
        }
        if let Some(to) = unreachable(core, &draft) {
            let reference = draft.trigger.reference();
            tracing::error!(entity = %address, %to, reference, "a message faulted: it tells a category that no lane serves; add that category to a lane, or mend the domain's code");
            let why = format!("it tells {to}, whose category no lane serves");
            let failure = failure(core, &draft, FaultCode::Misuse, &why);
            return self.commit_fault(core, address, &draft, failure);
        }
        let Some((commit, record)) = record_of(core, self.sent(), address, &draft) else {
            return;
        };
        let bytes = record.bytes();
        let max = core.setting.limits.records.bytes_max.bytes();
        if bytes > max {
            let reference = draft.trigger.reference();
            tracing::error!(entity = %address, bytes, max, reference, "a message faulted: its record would be too large; let the domain record less at once, or raise limits.records.bytes-max");
            let why = format!("its record would have {bytes} bytes of at most {max}");
            let failure = failure(core, &draft, FaultCode::TooLarge, &why);
            return self.commit_fault(core, address, &draft, failure);
        }
        match self.apply_own(core, address, &draft, &commit.cause) {
            Ok(()) => self.accept(core, address, commit, record, draft),
            Err((code, why)) => {
                let failure = failure(core, &draft, code, &why);
                self.commit_fault(core, address, &draft, failure);
            }
        }
    }

    /// A decision is dropped as if its message had not come: a client sends it again (R30, R32), an entity's
    /// partition repeats it (R34), and a timer fires later.
    fn wait(&mut self, core: &Core, address: &Address, draft: &Draft, now: Now) {
        if let Some(key) = draft.trigger.timer()
            && let Some(due) = core.due(address, key)
        {
            self.put_off.push((due, address.clone(), key.clone()), now);
        }
    }

    /// Whether an entity would be forgotten while chain records about it are on their way: its next life counts its
    /// revisions from the beginning, and an edge could not tell the one's from the other's (R20, R45).
    fn is_spoken_of(&self, core: &Core, address: &Address, draft: &Draft, now: Now) -> bool {
        let forgets = draft.trigger.forgets();
        let Some(entity) = core.residents.get(address).filter(|_| forgets) else {
            return false;
        };
        let is_last = !entity.runtime.exists && entity.runtime.session_count() == 1;
        is_last && core.holds(Rule::ForgetWhenHeard) && self.outbox.may_speak_of(address, now)
    }

    /// Events that cannot be applied are a fault before the append. The instance is spoilt then, so the
    /// partition decides nothing more; it is opened anew as soon as the fault is committed, and finds the
    /// message taken.
    fn apply_own(
        &mut self,
        core: &mut Core,
        address: &Address,
        draft: &Draft,
        cause: &Cause,
    ) -> Result<(), (FaultCode, String)> {
        let Some(entity) = core.residents.get_mut(address) else {
            return Ok(());
        };
        if draft.event_count == 0 || entity.is_quarantined() {
            return Ok(());
        }
        let Err(fault) = entity.instance.apply(&draft.events) else {
            return core.prove(address, &draft.events).map_err(|found| {
                self.spoilt |= found.spoilt;
                (FaultCode::Misuse, found.why)
            });
        };
        let reference = draft.trigger.reference();
        tracing::error!(entity = %address, ?cause, %fault, reference, "a message faulted: its events cannot be applied; the domain's code is to be mended");
        self.spoilt = true;
        // Should the fault not be committed before the partition is lost, it need not fail to apply once more.
        if let Cause::Inbound(offset) = cause {
            core.quarantines.faulted.messages.insert(*offset);
        }
        Err((turn::code(&fault), fault.to_string()))
    }

    /// The commit stands: fold it, append it, and put what it says behind it at the gate.
    fn accept(
        &mut self,
        core: &mut Core,
        address: &Address,
        commit: Arc<Commit>,
        record: Record,
        draft: Draft,
    ) {
        let expected = self.appends.expected(commit.seq);
        core.fold
            .step(expected, &Event::Commit(Arc::clone(&commit)));
        core.fold_commit(address, &commit, expected);
        let effects = !commit.outputs.links.is_empty() || !commit.tells.is_empty();
        self.appends.push(record, effects);
        self.put_effects(core, address, &commit, draft.volatile);
        if let Some(after) = draft.after {
            let outbox = &mut self.outbox;
            self.sessions.follow_up(core, outbox, address, after);
        }
    }

    fn put_effects(
        &mut self,
        core: &Core,
        address: &Address,
        commit: &Commit,
        volatile: Deliveries,
    ) {
        for (partition, record) in chain_records(address, commit) {
            self.outbox.put(core, Output::Chain(partition, record));
        }
        for tell in &commit.tells {
            self.outbox.put(core, Output::Tell(tell.clone()));
        }
        let entity = core.residents.get(address);
        let watched = entity.map(Entity::watched_from).unwrap_or_default();
        for (partition, record) in volatile.records(address, &watched) {
            self.outbox.put(core, Output::Plain(partition, record));
        }
    }

    /// The message is taken without effect: what it would have told and recorded is dropped.
    pub(super) fn commit_fault(
        &mut self,
        core: &mut Core,
        address: &Address,
        failed: &Draft,
        failure: Failure,
    ) {
        if let Some(wanted) = failed.begins() {
            self.refuse_begun(core, address, wanted, failure);
            // No commit says that this message was taken, and whoever comes next must not meet it again.
            self.unrecorded |= self.spoilt;
            return;
        }
        let host = core.setting.domain.get(address.category());
        let Some((host, entity)) = host.zip(core.residents.get(address)) else {
            return;
        };
        let stands = |change: &&Change| stands(failed.trigger.cause(), change);
        let kept = failed.changes.iter().filter(stands).cloned().collect();
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &core.setting.limits,
            explains: core.setting.explains,
            trigger: failed.trigger.clone(),
            rules: core.setting.rules,
            poisonous: false,
        };
        let mut draft = turn.failed(entity, kept, failed.awaiter.clone(), &failure);
        draft.after = failed.after;
        if let Some((commit, record)) = record_of(core, self.sent(), address, &draft) {
            self.accept(core, address, commit, record, draft);
        }
    }

    /// A connection whose `connected` came to too much: neither commit nor session remains.
    fn refuse_begun(
        &mut self,
        core: &mut Core,
        address: &Address,
        wanted: &Attachment,
        failure: Failure,
    ) {
        let Some(host) = core.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let Some(entity) = core.residents.get_mut(address) else {
            return;
        };
        let gone = RosterChange::Ended(wanted.connection);
        entity
            .instance
            .roster(&gone)
            .expect("leaving the roster reads no bytes");
        let revision = entity.runtime.revision;
        let forgettable = entity.runtime.is_forgettable();
        let refused = turn::refuse(wanted, revision, host.is_text(), &No::Fault(failure));
        if let Turned::Unlogged { outputs, .. } = refused {
            self.outbox.put_plain(core, address, outputs);
        }
        core.forget_if(address, forgettable);
    }
}

fn failure(core: &Core, draft: &Draft, code: FaultCode, why: &str) -> Failure {
    Failure::new(code, draft.trigger.seed(), core.setting.explains, why)
}

/// An entity that is told and lives nowhere.
fn unreachable<'d>(core: &Core, draft: &'d Draft) -> Option<&'d Address> {
    let mut told = draft.tells.iter().map(|tell| &tell.to);
    told.find(|to| core.setting.lanes.of(to.category()).is_none())
}

/// Gives a draft its position in the log: the commit, and the record to be appended.
fn record_of(
    core: &Core,
    sent: Offset,
    address: &Address,
    draft: &Draft,
) -> Option<(Arc<Commit>, Record)> {
    let entity = core.residents.get(address)?;
    let commit = Commit {
        epoch: core.epoch(),
        seq: core.fold.seq.next(),
        sent,
        cause: draft.trigger.cause().clone(),
        now: draft.trigger.now(),
        revision: draft.revision,
        trace: draft.trigger.trace().map(Into::into),
        seed: draft.trigger.seed(),
        event_count: draft.event_count,
        changes: draft.stored_changes(),
        outputs: Outputs {
            links: draft.links(entity),
            deliveries: draft.shown.delivered(core.holds(Rule::CloseInChain)),
            frames: Bytes::copy_from_slice(&draft.shown.frames),
        },
        tells: numbered(core, address, draft),
    };
    let commit = Arc::new(commit);
    let event = Event::Commit(Arc::clone(&commit));
    let record = Record {
        label: Some(label(entity, &commit, draft.begins())),
        ..record(Some(address), &event, draft.events.clone())
    };
    Some((commit, record))
}

/// R34: the draft's tells, numbered densely for each target.
fn numbered(core: &Core, address: &Address, draft: &Draft) -> Vec<Tell> {
    let mut last = BTreeMap::new();
    draft.tells(address, |to| {
        let target = core.setting.lanes.locate(to)?;
        let known = core.fold.tells.last_given(&target);
        let number = last.entry(target.clone()).or_insert(known);
        *number += 1;
        Some((target, *number))
    })
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
