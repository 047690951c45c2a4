//! Following the log: the fold that owner and mirror share (R2, R3).

use std::sync::Arc;

use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::{Address, Epoch, Offset, Revision, Seq};
use xp_transport::{Now, Stored};

use super::{Caution, Following, Partition, Role, Unsent, key};
use crate::action::Action;
use crate::entity::{Cure, Quarantine};
use crate::fold::Verdict;

impl Partition {
    /// The next offset of `events` that this follower wants.
    #[must_use]
    pub fn next_event(&self) -> Option<Offset> {
        match &self.role {
            Role::Following(following) => Some(following.next),
            Role::Owning(_) | Role::Over => None,
        }
    }

    /// What failed when it was applied in an earlier life of this partition on this node.
    pub fn set_faulted(&mut self, faulted: super::Faulted) {
        self.faulted = faulted;
    }

    /// Records of `events`.
    pub fn on_events(&mut self, batch: &[Stored], now: Now) {
        for stored in batch {
            match &mut self.role {
                Role::Following(following) if stored.offset >= following.next => {
                    following.next = stored.offset.next();
                }
                Role::Following(_) => continue,
                Role::Owning(_) | Role::Over => break,
            }
            match codec::decode::<Event>(&stored.record.header) {
                Ok(event) => {
                    self.follow(stored, event, now);
                    self.catch_up(stored.offset);
                }
                Err(error) => {
                    // R3: whatever is no record of ours is ignored and counted, like a foreign one.
                    self.fold.ignored += 1;
                    tracing::warn!(place = %self.setting.place, offset = %stored.offset, %error, "a record is ignored");
                }
            }
        }
        // A `Release` may have been among them, or the end of the log.
        self.seek(now);
    }

    fn follow(&mut self, stored: &Stored, event: Event, now: Now) {
        if self.is_behind_snapshot(stored, &event) {
            return;
        }
        let mine = self.is_my_claim(&event);
        if let (true, Role::Following(following)) = (mine, &self.role)
            && let Some(end) = following.ahead_end
        {
            return self.stop_truncated(end);
        }
        let unclean = self.fold.claim.is_some() && !self.fold.released;
        let inbound = self.fold.inbound_log;
        let begins = self.fold.begins_behind().next();
        match self.fold.step(stored.offset, &event) {
            Verdict::Ignored if mine => self.claim_again(now),
            Verdict::Claimed if mine => {
                let resent = inbound != self.fold.inbound_log;
                let caution = match unclean {
                    true => Caution::Asking { resent },
                    false => Caution::None,
                };
                self.begin_owning(caution, now);
                // Placement may have changed its mind while the claim was on its way: who is no owner by the fold must
                // not answer like one, and hands over at once (R13, R17).
                self.assign(now);
            }
            Verdict::Ignored | Verdict::Claimed => {}
            Verdict::Valid => self.fold_event(stored, event, begins),
        }
    }

    /// What the snapshot holds already: only what may not have gone out is kept, and the snapshot's last
    /// record is compared (R35).
    fn is_behind_snapshot(&mut self, stored: &Stored, event: &Event) -> bool {
        let mine = self.is_my_claim(event);
        let Role::Following(following) = &mut self.role else {
            return false;
        };
        let Some(end) = following.snapshot_end.filter(|end| stored.offset <= *end) else {
            return false;
        };
        if stored.offset == end {
            following.snapshot_end = None;
        }
        if mine {
            self.stop_truncated(end);
        } else if stored.offset == end && !self.is_last(stored, event) {
            self.forget_snapshot(end);
        } else {
            self.keep_unsent(stored, event);
        }
        true
    }

    fn stop_truncated(&mut self, end: Offset) {
        let place = &self.setting.place;
        let why = format!(
            "{place} is shorter than its snapshot, which holds records up to {end}: the log was truncated"
        );
        self.stop(why);
    }

    /// Whether an entity of a restored snapshot has seen a record that is still to be folded.
    fn is_ahead(&self, address: &Address, offset: Offset) -> bool {
        let Role::Following(following) = &self.role else {
            return false;
        };
        following
            .ahead
            .get(address)
            .is_some_and(|as_of| offset <= *as_of)
    }

    /// The fold has seen what all entities have seen.
    fn catch_up(&mut self, offset: Offset) {
        if let Role::Following(following) = &mut self.role
            && following.ahead_end.is_some_and(|end| end <= offset)
        {
            following.ahead.clear();
            following.ahead_end = None;
        }
    }

    /// Whether this is the record at which the snapshot was cut.
    fn is_last(&self, stored: &Stored, event: &Event) -> bool {
        let cut = (self.fold.epoch().unwrap_or_default(), self.fold.seq);
        let claim = (Epoch(stored.offset.0), Seq(0));
        event.place().unwrap_or(claim) == cut || !self.setting.rules.committed_snapshots
    }

    fn keep_unsent(&mut self, stored: &Stored, event: &Event) {
        let unsent = self.fold.unsent.binary_search(&stored.offset).is_ok();
        if let (true, Event::Commit(commit), Some(address)) = (unsent, event, key(stored)) {
            let commit = Arc::clone(commit);
            self.unsent.push(Unsent {
                offset: stored.offset,
                address,
                commit,
            });
        }
    }

    fn forget_snapshot(&mut self, end: Offset) {
        self.set_aside(&format!(
            "its last record is not the one at offset {end} of the log"
        ));
    }

    /// A snapshot that cannot be used is thrown away: the log rebuilds it. Where the log has just been read from its
    /// beginning, reading it once more would come to the same, so a person must look.
    pub(super) fn set_aside(&mut self, reason: &str) {
        if self.replayed && !self.is_owner() {
            let place = &self.setting.place;
            return self.stop(format!(
                "{place} was replayed from the beginning of its log, and still: {reason}"
            ));
        }
        if self.first > Offset(0) {
            let (place, first) = (&self.setting.place, self.first);
            return self.stop(format!(
                "{reason}. {place} starts at offset {first}, so the log could not rebuild what the snapshot holds, and \
                 nothing of it was deleted. Restore the snapshots of this node, or delete them if they are published or \
                 another node has them"
            ));
        }
        tracing::warn!(place = %self.setting.place, reason, "the snapshot is thrown away and the log replayed");
        if !matches!(self.role, Role::Over) {
            self.actions.push(Action::Clear);
        }
        self.lose("the snapshot could not be used");
    }

    fn is_my_claim(&self, event: &Event) -> bool {
        let Role::Following(Following {
            claiming: Some(claiming),
            ..
        }) = &self.role
        else {
            return false;
        };
        matches!(event, Event::Claim(claim) if claim.id == *claiming)
    }

    fn fold_event(&mut self, stored: &Stored, event: Event, begins: Revision) {
        match event {
            Event::Commit(commit) => {
                let Some(address) = key(stored) else { return };
                if !self.is_ahead(&address, stored.offset) {
                    self.fold_foreign(&address, &commit, stored, begins);
                }
                let offset = stored.offset;
                self.unsent.push(Unsent {
                    offset,
                    address,
                    commit,
                });
            }
            Event::Checkpoint(checkpoint) => self.compare(&checkpoint),
            Event::Claim(_) | Event::Trying(_) | Event::TryingNamed(..) | Event::Release { .. } => {
            }
        }
        let sent = self.fold.sent;
        self.unsent.retain(|unsent| unsent.offset >= sent);
    }

    /// A follower only ever calls `apply`; what it cannot apply is set aside, not the partition. An entity of which nothing
    /// is remembered `begins` at that revision (R49).
    fn fold_foreign(
        &mut self,
        address: &Address,
        commit: &Arc<Commit>,
        stored: &Stored,
        begins: Revision,
    ) {
        let was_removed = self.is_removed(address);
        match self.entity(address) {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(reason) => return self.set_aside(&reason),
        }
        let is_sure = was_removed || commit.revision == begins;
        if self.is_lost(address) || !self.agrees(address, commit.revision, is_sure, stored.offset) {
            return;
        }
        if commit.event_count > 0 {
            // R47: who looks from outside sees what does not return here, too.
            self.deciding.begin(address, &commit.cause);
            self.apply_foreign(address, &stored.record.value, stored.offset);
            self.deciding.end();
        }
        self.fold_commit(address, commit, stored.offset);
    }

    /// Whether a commit is the next of its entity as it is known here, or the first since it was forgotten, which is sure
    /// or not (R45).
    fn agrees(
        &mut self,
        address: &Address,
        revision: Revision,
        is_sure: bool,
        offset: Offset,
    ) -> bool {
        let Some(entity) = self.entities.get_mut(address) else {
            return false;
        };
        let found = entity.runtime.revision;
        if found.next() == revision {
            return true;
        }
        // What is not in a snapshot may have been lost with it; what was forgotten on the way here was not.
        if (self.replayed || is_sure) && entity.runtime.begin_anew_at(revision) {
            return true;
        }
        let reason = format!(
            "{address} stands at revision {found} before revision {revision} is folded, at offset {offset}"
        );
        if !self.replayed {
            // An entity's record of another time than the header's, such as a write that outlived its owner
            // left behind: what it has seen already would be applied again. The log replaces it where it can.
            if self.first > Offset(0) {
                self.lose_entity(address, reason);
                // What is stored of it does not show that it is lost: the next life must find that here again.
                self.unkept = true;
            } else {
                self.set_aside(&reason);
            }
            return false;
        }
        let reason = format!("the log contradicts itself: {reason}");
        let since = self.clock;
        let quarantine = Quarantine::without_state(Cure::Replay, reason, since, found);
        self.quarantine(address, quarantine);
        true
    }
}
