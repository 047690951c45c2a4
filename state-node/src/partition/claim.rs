//! Taking a partition, and handing it over (R2, R7, R13, R17).

use bytes::Bytes;
use rand::RngCore;
use uuid::Uuid;
use xp_cluster::Duty;
use xp_cluster::members::End;
use xp_protocol::events::{Claim, Event, RULES};
use xp_protocol::{ClaimId, TimeMs};
use xp_transport::Now;

use super::{Following, Partition, Role, record};
use crate::action::Action;

/// How long to wait before a claim that failed or was refused is made anew, in milliseconds.
const CLAIM_AGAIN_MS: u64 = 50;

impl Partition {
    /// Takes up what the fold of the cluster says that this node has to do.
    pub(super) fn assign(&mut self, now: Now) {
        let duty = self
            .members
            .duty(&self.setting.place, self.setting.incarnation);
        let owns = duty == Some(Duty::Own);
        match &mut self.role {
            Role::Following(following) if owns => {
                following.assigned.get_or_insert(now.running);
            }
            Role::Following(following) => following.assigned = None,
            Role::Owning(owner) if !owns && !owner.displaced => {
                owner.displaced = true;
                self.displace(now);
            }
            Role::Owning(_) | Role::Over => {}
        }
        self.seek(now);
    }

    /// R13: an owner that folds its displacement stops answering at once; R17: it hands over when its gate is drained.
    fn displace(&mut self, now: Now) {
        if let Role::Owning(owner) = &mut self.role {
            owner.leased.clear();
            owner.releasing = true;
        }
        self.drain(now);
    }

    /// Claims when it is time.
    pub(super) fn seek(&mut self, now: Now) {
        if self.reopen() {
            return;
        }
        if let Role::Following(following) = &self.role
            && self.claim_at(following).is_some_and(|at| at <= now.running)
        {
            self.claim();
        }
    }

    /// R17: when this node claims. At once, where the former owner has released or can answer nobody any more; one
    /// lease after it folded the change, where the former owner may live and not know.
    pub(super) fn claim_at(&self, following: &Following) -> Option<TimeMs> {
        let assigned = following.assigned?;
        // A snapshot that was not compared with the log yet proves nothing.
        let held = self.fold.claim.filter(|_| following.snapshot_end.is_none());
        let outrun = held.is_some_and(|held| held.view > self.members.view());
        // Who has not read to the end does not know whom it would outrank.
        let blind = !self.is_warm();
        if following.claiming.is_some() || blind || outrun || self.retired {
            return None;
        }
        let wait_ms = if self.is_vacant() {
            0
        } else {
            self.setting.lease_ms
        };
        Some(assigned.plus_ms(wait_ms).max(following.claim_from))
    }

    /// Whether nobody can be answering for the partition.
    fn is_vacant(&self) -> bool {
        let Some(held) = self.fold.claim.filter(|_| !self.fold.released) else {
            return true;
        };
        let former = self.members.end(held.incarnation);
        let mine = held.incarnation == self.setting.incarnation;
        let lives = self.members.is_alive(held.incarnation) || former == Some(End::Replaced);
        mine || !lives || !self.setting.rules.release
    }

    /// R7: asks for the partition. Nothing is decided until the claim has been read back.
    fn claim(&mut self) {
        let id = ClaimId(Uuid::from_u128(
            u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64()),
        ));
        let held = self.fold.claim.map_or(0, |held| held.attempt + 1);
        let Role::Following(following) = &mut self.role else {
            return;
        };
        let attempt = following.attempts.max(held);
        following.attempts = attempt + 1;
        following.claiming = Some(id);
        let claim = Claim {
            id,
            incarnation: self.setting.incarnation,
            view: self.members.view(),
            attempt,
            rules: RULES,
            inbound: self.inbound_log,
        };
        self.actions.push(Action::Claim(record(
            None,
            &Event::Claim(claim),
            Bytes::new(),
        )));
    }

    /// R12: the claim's append failed; whether or not it lands, a new one with a higher attempt settles it.
    pub fn claim_failed(&mut self, now: Now) {
        self.claim_again(now);
    }

    /// The claim is over without having been accepted.
    pub(super) fn claim_again(&mut self, now: Now) {
        if let Role::Following(following) = &mut self.role {
            following.claiming = None;
            following.claim_from = now.running.plus_ms(CLAIM_AGAIN_MS);
        }
    }
}
