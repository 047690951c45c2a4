//! Claims of a partition: when this node makes one, and what became of it (R2, R7, R17).

use bytes::Bytes;
use rand::RngCore;
use uuid::Uuid;
use xp_cluster::members::End;
use xp_protocol::events::{Claim, Event, RULES};
use xp_protocol::rules::Rule;
use xp_protocol::{ClaimAttempt, ClaimId, TimeMs};
use xp_transport::Now;

use super::core::Core;
use super::record;
use crate::action::Action;

/// How long to wait before a claim that failed or was refused is made anew, in milliseconds.
const CLAIM_AGAIN_MS: u64 = 50;

/// The claims that this node makes.
#[derive(Default)]
pub(super) struct Claims {
    /// Since when this node knows that it should own the partition.
    assigned: Option<TimeMs>,
    /// The claim that was appended and neither read back nor refused.
    pending: Option<ClaimId>,
    /// The least claim attempt of the next one: higher than that of every claim which this node has made, so that a later
    /// claim outranks an earlier one under the same view (R2).
    next_attempt: ClaimAttempt,
    /// Nothing is claimed before: the last claim failed or was refused.
    from: TimeMs,
}

impl Claims {
    /// Takes up whether the fold of the cluster says that this node should own the partition.
    pub(super) fn assign(&mut self, owns: bool, now: Now) {
        match owns {
            true => drop(self.assigned.get_or_insert(now.running)),
            false => self.assigned = None,
        }
    }

    /// Whether an event is the claim that was appended last.
    pub(super) fn is_pending(&self, event: &Event) -> bool {
        match event {
            Event::Claim(claim) => self.pending == Some(claim.id),
            _ => false,
        }
    }

    /// R17: when this node claims. At once, where the former owner has released or can answer nobody any more; one lease
    /// after it folded the change, where the former owner may live and not know.
    ///
    /// Who is not `warm` has not read to the end, and does not know whom it would outrank. A snapshot that was not
    /// `compared` with the log yet proves nothing of who holds the partition.
    pub(super) fn due_at(&self, core: &Core, warm: bool, compared: bool) -> Option<TimeMs> {
        let assigned = self.assigned?;
        let held = core.fold.claim.filter(|_| compared);
        // The log knows of a later view than this node: its claim would count for nothing (R2).
        let outrun = held.is_some_and(|held| held.view > core.placement.members.view());
        // Who gives the partition up claims it no more, whatever the fold of the cluster says.
        if self.pending.is_some() || !warm || outrun || core.placement.retired {
            return None;
        }
        let wait_ms = match is_vacant(core) {
            true => 0,
            false => core.setting.lease_ms,
        };
        Some(assigned.plus_ms(wait_ms).max(self.from))
    }

    /// R7: asks for the partition. Nothing is decided until the claim has been read back.
    pub(super) fn claim(&mut self, core: &mut Core) {
        let (high, low) = (core.random.next_u64(), core.random.next_u64());
        let id = ClaimId(Uuid::from_u64_pair(high, low));
        // Above every claim that counts in this log and every one of this node, which may still land.
        let held = core
            .fold
            .claim
            .map_or(ClaimAttempt(0), |held| held.attempt.next());
        let attempt = self.next_attempt.max(held);
        self.next_attempt = attempt.next();
        self.pending = Some(id);
        let claim = Claim {
            id,
            incarnation: core.setting.incarnation,
            view: core.placement.members.view(),
            attempt,
            rules: RULES,
            inbound: core.opened.inbound,
        };
        let record = record(None, &Event::Claim(claim), Bytes::new());
        core.actions.push(Action::Claim(record));
    }

    /// The claim is over without having been accepted. R12: where its append failed it may land all the same; a new one
    /// with a higher attempt settles it.
    pub(super) fn again(&mut self, now: Now) {
        self.pending = None;
        self.from = now.running.plus_ms(CLAIM_AGAIN_MS);
    }
}

/// Whether nobody can be answering for the partition.
fn is_vacant(core: &Core) -> bool {
    // Nobody has claimed it, or the last owner has said that it is done.
    let Some(held) = core.fold.claim.filter(|_| !core.fold.released) else {
        return true;
    };
    let members = &core.placement.members;
    let former = members.end(held.incarnation);
    let mine = held.incarnation == core.setting.incarnation;
    // A process that was given up for its silence has no lease by then (R13). One that was replaced under its name may
    // have heartbeats that it has just read back, and answers until its lease is over (R17).
    let lives = members.is_alive(held.incarnation) || former == Some(End::Replaced);
    mine || !lives || !core.holds(Rule::Release)
}
