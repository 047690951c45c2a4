//! Following the log: the fold that owner and mirror share (R2, R3).

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, Epoch, Offset, Revision, Seq, TimeMs};
use xp_transport::{Now, Stored};

use super::claim::Claims;
use super::core::{Core, Unsent};
use super::exit::{Exit, Predecessor, Step};
use super::key;
use crate::entity::{Cure, Quarantine};
use crate::fold::Verdict;

/// A reader of the log, which claims the partition when it is to own it.
pub(super) struct Follower {
    /// Records up to here were folded into the snapshot already and are only looked through.
    snapshot_end: Option<Offset>,
    /// The next offset that it wants.
    next: Offset,
    claims: Claims,
    /// Entities of a restored snapshot that have seen more than its fold, and up to where; until all is read.
    ahead: BTreeMap<Address, Offset>,
    /// Up to where some of them has.
    ahead_end: Option<Offset>,
}

impl Follower {
    pub(super) fn new(snapshot_end: Option<Offset>, next: Offset) -> Self {
        Self {
            snapshot_end,
            next,
            claims: Claims::default(),
            ahead: BTreeMap::new(),
            ahead_end: None,
        }
    }

    /// The same, with entities that have seen more than the fold.
    pub(super) fn with_ahead(self, ahead: BTreeMap<Address, Offset>) -> Self {
        Self {
            ahead_end: ahead.values().max().copied(),
            ahead,
            ..self
        }
    }

    /// The next offset of `events` that it wants.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Whether it has folded all that the log held when it was opened, and could own the partition at once.
    pub(super) fn is_warm(&self, core: &Core) -> bool {
        self.next >= core.opened.next
    }

    /// Whether a snapshot may be cut: entities that are ahead of the fold belong to no header of its.
    pub(super) fn may_cut(&self) -> bool {
        self.snapshot_end.is_none() && self.ahead.is_empty()
    }

    /// Where all that a snapshot of an entity can have seen has been read.
    pub(super) fn seen_upto(&self, saved_end: Option<Offset>) -> Offset {
        let ahead = self.ahead_end.map(Offset::next);
        let saved = saved_end.map(Offset::next);
        self.next.max(ahead.max(saved).unwrap_or_default())
    }

    /// Takes up whether the fold of the cluster says that this node should own the partition.
    pub(super) fn assign(&mut self, core: &mut Core, owns: bool, now: Now) -> Step {
        self.claims.assign(owns, now);
        self.seek(core, now)
    }

    /// When this node claims the partition.
    pub(super) fn claim_at(&self, core: &Core) -> Option<TimeMs> {
        let compared = self.snapshot_end.is_none();
        self.claims.due_at(core, self.is_warm(core), compared)
    }

    /// Claims when it is time.
    pub(super) fn seek(&mut self, core: &mut Core, now: Now) -> Step {
        if core.quarantines.reopens() && self.is_warm(core) {
            return Err(Exit::Lost(
                "events could not be applied, and what was good before them is kept",
            ));
        }
        if self.claim_at(core).is_some_and(|at| at <= now.running) {
            self.claims.claim(core);
        }
        Ok(())
    }

    /// The claim's append failed (R12).
    pub(super) fn claim_failed(&mut self, now: Now) -> Step {
        self.claims.again(now);
        Ok(())
    }

    /// Records of `events`.
    pub(super) fn on_events(&mut self, core: &mut Core, batch: &[Stored], now: Now) -> Step {
        for stored in batch {
            if stored.offset < self.next {
                continue;
            }
            self.next = stored.offset.next();
            match codec::decode::<Event>(&stored.record.header) {
                Ok(event) => {
                    self.follow(core, stored, event, now)?;
                    self.catch_up(stored.offset);
                }
                Err(error) => {
                    // R3: whatever is no record of ours is ignored and counted, like a foreign one.
                    core.fold.ignored += 1;
                    tracing::warn!(partition = %core.setting.partition, offset = %stored.offset, %error, "a record is ignored");
                }
            }
        }
        // A `Release` may have been among them, or the end of the log.
        self.seek(core, now)
    }

    fn follow(&mut self, core: &mut Core, stored: &Stored, event: Event, now: Now) -> Step {
        if self.is_behind_snapshot(core, stored, &event)? {
            return Ok(());
        }
        let mine = self.claims.is_pending(&event);
        if let (true, Some(end)) = (mine, self.ahead_end) {
            return Err(truncated(core, end));
        }
        let released = core.fold.claim.is_none() || core.fold.released;
        let inbound = core.fold.inbound.log();
        let rules = core.setting.rules;
        let begins = core.fold.begins_behind(rules).next();
        match core.fold.step_under(rules, stored.offset, &event) {
            Verdict::Ignored if mine => self.claims.again(now),
            Verdict::Claimed if mine => {
                return Err(Exit::Own(Predecessor {
                    released,
                    same_inbound: inbound == core.fold.inbound.log(),
                }));
            }
            Verdict::Ignored | Verdict::Claimed => {}
            Verdict::Valid => self.fold_event(core, stored, event, begins)?,
        }
        Ok(())
    }

    /// What the snapshot holds already: only what may not have gone out is kept, and the snapshot's last
    /// record is compared (R35).
    fn is_behind_snapshot(
        &mut self,
        core: &mut Core,
        stored: &Stored,
        event: &Event,
    ) -> Step<bool> {
        let Some(end) = self.snapshot_end.filter(|end| stored.offset <= *end) else {
            return Ok(false);
        };
        let mine = self.claims.is_pending(event);
        if stored.offset == end {
            self.snapshot_end = None;
        }
        if mine {
            return Err(truncated(core, end));
        }
        if stored.offset == end && !is_last(core, stored, event) {
            let reason = format!("its last record is not the one at offset {end} of the log");
            return Err(discard_snapshot(core, &reason));
        }
        keep_unsent(core, stored, event);
        Ok(true)
    }

    /// Whether an entity of a restored snapshot has seen a record that is still to be folded.
    fn is_ahead(&self, address: &Address, offset: Offset) -> bool {
        let as_of = self.ahead.get(address);
        as_of.is_some_and(|as_of| offset <= *as_of)
    }

    /// The fold has seen what all entities have seen.
    fn catch_up(&mut self, offset: Offset) {
        if self.ahead_end.is_some_and(|end| end <= offset) {
            self.ahead.clear();
            self.ahead_end = None;
        }
    }

    fn fold_event(&self, core: &mut Core, stored: &Stored, event: Event, begins: Revision) -> Step {
        match event {
            Event::Commit(commit) => {
                let Some(address) = key(stored) else {
                    return Ok(());
                };
                let offset = stored.offset;
                if !self.is_ahead(&address, offset) {
                    fold_foreign(core, &address, &commit, stored, begins)?;
                }
                core.unsent.push(Unsent {
                    offset,
                    address,
                    commit,
                });
            }
            Event::Checkpoint(checkpoint) => core.compare(&checkpoint),
            Event::Claim(_) | Event::Trying(_) | Event::TryingNamed(..) | Event::Release { .. } => {
            }
        }
        let sent = core.fold.effects.sent();
        core.unsent.retain(|unsent| unsent.offset >= sent);
        Ok(())
    }
}

fn truncated(core: &Core, end: Offset) -> Exit {
    let partition = &core.setting.partition;
    Exit::Stop(format!(
        "{partition} is shorter than its snapshot, which holds records up to {end}: the log was truncated"
    ))
}

/// A snapshot that cannot be used. Where the log has just been read from its beginning, reading it once more would come
/// to the same, so a person must look.
fn discard_snapshot(core: &mut Core, reason: &str) -> Exit {
    if core.opened.replayed {
        let partition = &core.setting.partition;
        return Exit::Stop(format!(
            "{partition} was replayed from the beginning of its log, and still: {reason}"
        ));
    }
    core.discard_snapshot(reason)
}

/// Whether this is the record at which the snapshot was cut.
fn is_last(core: &Core, stored: &Stored, event: &Event) -> bool {
    let cut = (core.epoch(), core.fold.seq);
    let claim = (Epoch(stored.offset.0), Seq(0));
    event.epoch_and_seq().unwrap_or(claim) == cut || !core.holds(Rule::CommittedSnapshots)
}

fn keep_unsent(core: &mut Core, stored: &Stored, event: &Event) {
    let unsent = core.fold.effects.is_unsent(stored.offset);
    if let (true, Event::Commit(commit), Some(address)) = (unsent, event, key(stored)) {
        let commit = Arc::clone(commit);
        core.unsent.push(Unsent {
            offset: stored.offset,
            address,
            commit,
        });
    }
}

/// A follower only ever calls `apply`; what it cannot apply is set aside, not the partition. An entity of which nothing
/// is remembered `begins` at that revision (R49).
fn fold_foreign(
    core: &mut Core,
    address: &Address,
    commit: &Arc<Commit>,
    stored: &Stored,
    begins: Revision,
) -> Step {
    let was_removed = core.is_removed(address);
    match core.entity(address) {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(()),
        Err(reason) => return Err(discard_snapshot(core, &reason)),
    }
    let is_sure = was_removed || commit.revision == begins;
    if core.is_lost(address) || !agrees(core, address, commit.revision, is_sure, stored.offset)? {
        return Ok(());
    }
    if commit.event_count > 0 {
        // R47: who looks from outside sees what does not return here, too.
        core.setting.deciding.begin(address, &commit.cause);
        core.apply_foreign(address, &stored.record.value, stored.offset);
        core.setting.deciding.end();
    }
    core.fold_commit(address, commit, stored.offset);
    Ok(())
}

/// Whether a commit is the next of its entity as it is known here, or the first since it was forgotten, which is sure
/// or not (R45).
fn agrees(
    core: &mut Core,
    address: &Address,
    revision: Revision,
    is_sure: bool,
    offset: Offset,
) -> Step<bool> {
    let replayed = core.opened.replayed;
    let Some(entity) = core.residents.get_mut(address) else {
        return Ok(false);
    };
    let found = entity.runtime.revision;
    if found.next() == revision {
        return Ok(true);
    }
    // What is not in a snapshot may have been lost with it; what was forgotten on the way here was not.
    if (replayed || is_sure) && entity.runtime.begin_anew_at(revision) {
        return Ok(true);
    }
    let reason = format!(
        "{address} stands at revision {found} before revision {revision} is folded, at offset {offset}"
    );
    if replayed {
        let reason = format!("the log contradicts itself: {reason}");
        let since = core.clock;
        let quarantine = Quarantine::without_state(Cure::Replay, reason, since, found);
        core.quarantine(address, quarantine);
        return Ok(true);
    }
    // An entity's record of another time than the header's, such as a write that outlived its owner left behind: what
    // it has seen already would be applied again. The log replaces it where it can.
    if core.opened.first == Offset(0) {
        return Err(core.discard_snapshot(&reason));
    }
    core.lose_entity(address, reason);
    // What is stored of it does not show that it is lost: the next life must find that here again.
    core.quarantines.unkept = true;
    Ok(false)
}
