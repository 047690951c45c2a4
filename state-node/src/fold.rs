//! The fold of a partition's log: which records count, by the claim, the epoch and the dense numbers (R2, R3), and the
//! positions that every reader keeps alike. What a commit does to its entity is no part of it.

mod inbound;
mod effects;
mod tells;
mod lives;

use serde::{Deserialize, Serialize};
use xp_protocol::codec::Format;
use xp_protocol::events::{Cause, Change, Claim, Commit, Event, MessageName};
use xp_protocol::rules::{AllRules, Rule, Rules};
use xp_protocol::{ClaimAttempt, ClaimId, Epoch, Incarnation, Offset, Revision, Seq, View};

use crate::suspects::Suspects;

pub use effects::Effects;
pub use inbound::InboundPosition;
pub use lives::Lives;
pub use tells::Tells;

/// The header of the fold: small, and stored with every snapshot. Equal prefixes of a log give equal headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The accepted claim, once there is one.
    pub claim: Option<Accepted>,
    /// Whether the epoch was released, or never began: no record of it counts any more.
    pub released: bool,
    /// The epoch's last number.
    pub seq: Seq,
    /// The offset of the last valid record, claims included.
    pub last_valid: Option<Offset>,
    /// How far messages are decided (R4).
    pub inbound: InboundPosition,
    /// Which effects may not have gone out (R6, R8).
    pub effects: Effects,
    /// What was told by and to other partitions (R34).
    pub tells: Tells,
    /// Records that did not count.
    pub ignored: u64,
    /// The last epochs, oldest first: enough to judge records that lie behind this fold's position.
    pub epochs: Vec<Epoch>,
    /// Messages that may have ended a process (R16).
    pub suspects: Suspects,
    /// Where the next life of an entity begins (R49).
    pub lives: Lives,
}

/// How many epochs are remembered; a resume that reaches further back starts over.
const EPOCHS_MAX: usize = 64;

impl Format for Fold {
    const NAME: &'static str = "fold-header";
    /// Version 3 knows suspects by their names too, version 4 how many commits counted, and how far ended entities
    /// had come.
    const VERSION: u8 = 4;
    const OLDEST: u8 = 2;

    fn lacks(version: u8) -> &'static [u8] {
        match version {
            // No suspect has a name, and no entity has ended.
            2 => &[0, 0, 0, 0],
            3 => &[0, 0],
            _ => &[],
        }
    }
}

/// An accepted claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The claim's name.
    pub id: ClaimId,
    /// The process that claimed.
    pub incarnation: Incarnation,
    /// What it had folded of the `cluster` log.
    pub view: View,
    /// Its number under that view.
    pub attempt: ClaimAttempt,
    /// The claim's offset (R2).
    pub epoch: Epoch,
}

/// What a record is to the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A claim that now holds.
    Claimed,
    /// The next record of the epoch.
    Valid,
    /// Not to be looked at: of another epoch, out of turn, or a claim that came too late.
    Ignored,
}

impl Fold {
    /// R49: the revision behind which an entity begins that is remembered nowhere. Where some entity has ended, that is
    /// above all that any had: each commit raises one revision by one.
    #[must_use]
    pub fn begins_behind(&self, rules: &dyn Rules) -> Revision {
        self.lives.begin_behind(rules.holds(Rule::RevisionsRise))
    }

    /// The current epoch, if any.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.claim.map(|claim| claim.epoch)
    }

    /// Judges one record and moves on; what a valid commit does to its entity is the caller's part.
    pub fn step(&mut self, offset: Offset, event: &Event) -> Verdict {
        self.step_under(&AllRules, offset, event)
    }

    /// The same where some rules may not hold.
    pub fn step_under(&mut self, rules: &dyn Rules, offset: Offset, event: &Event) -> Verdict {
        let verdict = match event {
            Event::Claim(claim) => self.claim(rules, offset, claim),
            other => self.number(rules, offset, other),
        };
        match verdict {
            Verdict::Ignored => self.ignored += 1,
            Verdict::Claimed | Verdict::Valid => self.last_valid = Some(offset),
        }
        verdict
    }

    /// R2: accepted iff (view, attempt) is greater than the current one; the same claim again is a no-op.
    fn claim(&mut self, rules: &dyn Rules, offset: Offset, claim: &Claim) -> Verdict {
        let rank = (claim.view, claim.attempt);
        let greater = |held: Accepted| rank > (held.view, held.attempt) || !rules.holds(Rule::View);
        if self
            .claim
            .is_some_and(|held| held.id == claim.id || !greater(held))
        {
            return Verdict::Ignored;
        }
        self.suspects.survived(claim.incarnation);
        if let Some(former) = self.claim {
            self.suspects.doubt(former.incarnation);
        }
        self.claim = Some(Accepted {
            id: claim.id,
            incarnation: claim.incarnation,
            view: claim.view,
            attempt: claim.attempt,
            epoch: Epoch(offset.0),
        });
        self.seq = Seq(0);
        self.released = false;
        if self.epochs.len() == EPOCHS_MAX {
            self.epochs.remove(0);
        }
        self.epochs.push(Epoch(offset.0));
        if self.inbound.claim(claim.inbound) {
            self.suspects.forget_offsets();
        }
        Verdict::Claimed
    }

    /// R3: valid iff its epoch is the current one and its number the next.
    fn number(&mut self, rules: &dyn Rules, offset: Offset, event: &Event) -> Verdict {
        let Some((epoch, seq)) = event.epoch_and_seq() else {
            return Verdict::Ignored;
        };
        let next = seq == self.seq.next() || !rules.holds(Rule::Seq);
        if self.released || self.epoch() != Some(epoch) || !next {
            return Verdict::Ignored;
        }
        self.seq = seq;
        self.advance(offset, event);
        let has_effects = matches!(event, Event::Commit(commit) if has_effects(commit));
        self.effects.note(offset, has_effects);
        Verdict::Valid
    }

    /// R10: records appended behind `from` lie elsewhere than expected; `locate` says where.
    pub fn moved(&mut self, from: Offset, locate: impl Fn(Offset) -> Offset) {
        if let Some(last) = self.last_valid.as_mut().filter(|last| **last > from) {
            *last = locate(*last);
        }
        self.effects.moved(from, locate);
    }

    fn advance(&mut self, offset: Offset, event: &Event) {
        match event {
            Event::Commit(commit) => {
                self.effects.set_sent(commit.sent);
                if let Cause::Inbound(offset) = commit.cause {
                    self.inbound.move_to(offset.next());
                    if let Some(claim) = self.claim {
                        self.suspects.decided(offset, claim.incarnation);
                    }
                }
                for change in &commit.changes {
                    if let Change::TellTaken { source, number } = change {
                        self.tells.take(source, *number);
                    }
                }
                self.lives.commit(commit.revision, commit.ends());
                for tell in &commit.tells {
                    self.tells.give(tell);
                }
            }
            Event::Checkpoint(checkpoint) => {
                self.effects.set_sent(checkpoint.sent);
                self.inbound.move_to(checkpoint.inbound);
                if let Some(claim) = self.claim {
                    self.suspects.passed(checkpoint.inbound, claim.incarnation);
                }
                for (target, number) in &checkpoint.tells_taken {
                    self.tells.confirm(target, *number);
                }
            }
            Event::Trying(trying) => {
                self.effects.set_sent(trying.sent);
                self.note_try(&trying.cause, None);
            }
            Event::TryingNamed(trying, name) => {
                self.effects.set_sent(trying.sent);
                self.note_try(&trying.cause, Some(name));
            }
            Event::Release { .. } => {
                self.released = true;
                // It was written when everything before it had gone out (R17).
                self.effects.set_sent(offset);
                if let Some(claim) = self.claim {
                    self.suspects.survived(claim.incarnation);
                }
            }
            Event::Claim(_) => {}
        }
    }

    fn note_try(&mut self, cause: &Cause, name: Option<&MessageName>) {
        if let (Cause::Inbound(offset), Some(claim)) = (cause, self.claim) {
            self.suspects.tried(*offset, name, claim.incarnation);
        }
    }
}

/// Whether a commit says something outside the log. Tells are kept by the fold itself.
fn has_effects(commit: &Commit) -> bool {
    let comes =
        |change: &Change| matches!(change, Change::SessionBegun(_) | Change::SessionAttached(_));
    !commit.outputs.links.is_empty() || commit.changes.iter().any(comes)
}

/// Judges records behind a fold's position once more (R3): those of a known epoch, before the next one
/// begins, whose numbers are dense.
#[derive(Clone, Debug)]
pub struct Rereading {
    epochs: Vec<Epoch>,
    last: (Epoch, Seq),
}

impl Rereading {
    /// Starts behind the valid record `last`.
    #[must_use]
    pub fn new(fold: &Fold, last: (Epoch, Seq)) -> Self {
        let epochs = fold.epochs.clone();
        Self { epochs, last }
    }

    /// Whether the record at `offset` is valid.
    pub fn step(&mut self, offset: Offset, event: &Event) -> bool {
        let Some((epoch, seq)) = event.epoch_and_seq() else {
            return self.epochs.contains(&Epoch(offset.0));
        };
        let current = self.epochs.iter().rev().find(|epoch| epoch.0 < offset.0);
        let next = match self.last {
            (last, seq) if last == epoch => seq.next(),
            _ => Seq(1),
        };
        if current != Some(&epoch) || epoch < self.last.0 || seq != next {
            return false;
        }
        self.last = (epoch, seq);
        true
    }
}
