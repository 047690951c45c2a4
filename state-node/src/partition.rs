//! One partition as a state machine: records, acknowledgements and the time go in, actions come out.
//!
//! It is a core, which every role has, and a role: a follower reads the log and claims the partition, an owner decides for
//! it. Each input is handed to the role with the core; whoever loses the partition is thrown away. No I/O but the snapshot
//! store's look-ups, no `await`, no clock: the state node and the simulator drive the same code.

mod open;
mod follow;
mod claim;
mod own;
mod core;
mod exit;
mod record;

use std::collections::BTreeSet;
use std::sync::Arc;

use xp_cluster::{Duty, Lease, Members};
use xp_domain_sdk::host::Registry;
use xp_protocol::events::Cause;
use xp_protocol::rules::Rules;
use xp_protocol::{Address, Incarnation, LanePartition, Offset, Revision, Seq};
use xp_transport::{AppendError, Now, Stored};

use crate::action::Action;
use crate::deciding::Deciding;
use crate::fold::Fold;
use crate::lanes::Lanes;
use crate::limits::Limits;
use crate::store::SnapshotStore;
use crate::tells::TellId;

use self::core::Core;
use exit::{Exit, Step};
use follow::Follower;
use own::Owner;
use record::{bare, label, record};

pub use self::core::{Description, FoldedAnew, Reason};
pub use open::OpenError;
pub(crate) use record::key;

/// What a partition is made of and never changes.
#[derive(Clone)]
pub struct Setting {
    /// The lane and the number of the partition.
    pub partition: LanePartition,
    /// The process that it runs in.
    pub incarnation: Incarnation,
    /// The lanes of this installation, for the target partitions of tells.
    pub lanes: Arc<Lanes>,
    /// The hosted kinds of entity.
    pub domain: Arc<Registry>,
    /// Bounds and times.
    pub limits: Arc<Limits>,
    /// Where its snapshots are.
    pub store: Arc<dyn SnapshotStore>,
    /// How long a claim waits where the former owner may still live, in milliseconds: a lease (R17), or nothing
    /// where the log admits one process at a time.
    pub lease_ms: u64,
    /// Whether a client hears why its message faulted; else it hears a reference that the line of the log has too.
    pub explains: bool,
    /// All of them, but in a simulator.
    pub rules: &'static dyn Rules,
    /// What failed to apply in an earlier life of this partition on this node.
    pub faulted: Faulted,
    /// Where it says what it is deciding, for who looks from another thread.
    pub deciding: Deciding,
}

/// What failed to apply in one life of a partition and must not be applied in the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faulted {
    /// Messages, by their offset in `inbound`, whose events could not be applied: taken as faults when they are decided
    /// again.
    pub messages: BTreeSet<Offset>,
    /// Commits, by their offset in `events`, that spoilt an instance: their entity is set aside before them.
    pub commits: BTreeSet<Offset>,
}

impl Faulted {
    /// Whether what caused a decision has failed to apply before.
    fn has(&self, cause: &Cause) -> bool {
        matches!(cause, Cause::Inbound(offset) if self.messages.contains(offset))
    }
}

/// A partition on this node.
pub struct Partition {
    core: Core,
    role: Role,
}

enum Role {
    Following(Follower),
    Owning(Box<Owner>),
    /// Thrown away; every input is ignored.
    Over,
}

impl Partition {
    /// What the partition wants done, in order.
    pub fn actions(&mut self) -> Vec<Action> {
        if let Role::Owning(owner) = &mut self.role {
            owner.flush(&mut self.core);
        }
        std::mem::take(&mut self.core.actions)
    }

    /// Whether it decides for the partition now.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        matches!(self.role, Role::Owning(_))
    }

    /// Whether it takes inbound records now; at the bound on uncommitted records reading pauses (R9).
    #[must_use]
    pub fn wants_inbound(&self) -> bool {
        match &self.role {
            Role::Owning(owner) => owner.is_reading(&self.core),
            Role::Following(_) | Role::Over => false,
        }
    }

    /// The next offset of `events` that this follower wants.
    #[must_use]
    pub fn next_event(&self) -> Option<Offset> {
        match &self.role {
            Role::Following(follower) => Some(follower.next()),
            Role::Owning(_) | Role::Over => None,
        }
    }

    /// Whether something waits that only the time or an acknowledgement moves.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_busy = match &self.role {
            Role::Owning(owner) => owner.is_busy(),
            Role::Following(_) | Role::Over => false,
        };
        is_busy || self.core.snapshots.has_dirty()
    }

    /// In how many milliseconds something is due that no record announces: a timer of an entity, or a claim.
    #[must_use]
    pub fn due_in_ms(&self, now: Now) -> Option<u64> {
        match &self.role {
            Role::Owning(owner) => owner.due_in_ms(&self.core, now),
            Role::Following(follower) => {
                let claim_at = follower.claim_at(&self.core);
                claim_at.map(|at| at.since_ms(now.running))
            }
            Role::Over => None,
        }
    }

    /// Whether it has folded all that the log held when it was opened, and could own the partition at once.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        match &self.role {
            Role::Owning(_) => true,
            Role::Following(follower) => follower.is_warm(&self.core),
            Role::Over => false,
        }
    }

    /// A fold of the `cluster` log that has moved on.
    pub fn on_members(&mut self, members: Arc<Members>, now: Now) {
        if matches!(self.role, Role::Over) {
            return;
        }
        let is_former = members.is_former(self.core.setting.incarnation);
        let placement = &mut self.core.placement;
        placement.members = members;
        if is_former {
            placement.lease.end();
            let why = "this node is a member of the cluster no longer";
            return self.conclude(Err(Exit::Lost(why)), now);
        }
        self.assign(now);
        self.owning(now, |owner, core| owner.check_sessions(core, now));
    }

    /// This node's lease, as far as its heartbeats have been read back (R13).
    pub fn on_lease(&mut self, lease: Lease, now: Now) {
        self.core.placement.lease = lease;
        // What waits for it is looked at behind every input.
        self.owning(now, |_, _| Ok(()));
    }

    /// The time passes: timers fire, positions are recorded, what failed is tried again.
    pub fn tick(&mut self, now: Now) {
        self.core.clock = now.time;
        self.following(now, |follower, core| follower.seek(core, now));
        self.fold_anew();
        self.owning(now, |owner, core| owner.tick(core, now));
        self.core.passivate(now);
        let quiet_ms = self.core.setting.limits.records.quiet.ms();
        if self.core.snapshots.is_due(quiet_ms, now) {
            self.cut(now);
        }
    }

    /// Records of `events`.
    pub fn on_events(&mut self, batch: &[Stored], now: Now) {
        self.following(now, |follower, core| follower.on_events(core, batch, now));
    }

    /// The claim's append failed (R12).
    pub fn claim_failed(&mut self, now: Now) {
        self.following(now, |follower, _| follower.claim_failed(now));
    }

    /// Records of `inbound`.
    pub fn on_inbound(&mut self, batch: &[Stored], now: Now) {
        self.owning(now, |owner, core| owner.on_inbound(core, batch, now));
    }

    /// Where `inbound` ended when this node's claim was read back (R16).
    pub fn inbound_end(&mut self, end: Offset, now: Now) {
        self.owning(now, |owner, core| owner.inbound_end(core, end, now));
    }

    /// R42: `inbound` begins at `first` now, and what was before it and not taken is gone.
    pub fn missed(&mut self, first: Offset, now: Now) {
        self.owning(now, |owner, core| owner.missed(core, first, now));
    }

    /// The acknowledgements of one append, in order: the answer to [`Action::Append`].
    pub fn appended(
        &mut self,
        first: Seq,
        round: u64,
        results: &[Result<Offset, AppendError>],
        now: Now,
    ) {
        self.owning(now, |owner, core| {
            owner.appended(core, (first, round), results, now)
        });
    }

    /// What lies between the last committed record and an unexpected acknowledgement: the answer to [`Action::ReadGap`].
    pub fn gap(&mut self, batch: &[Stored], now: Now) {
        self.owning(now, |owner, core| owner.gap(core, batch, now));
    }

    /// A record was acknowledged, or its append failed: the answer to [`Action::Emit`].
    pub fn emitted(&mut self, id: u64, arrived: bool, now: Now) {
        self.owning(now, |owner, _| owner.emitted(id, arrived, now));
    }

    /// A tell was acknowledged, or its append failed: the answer to [`Action::Tell`].
    pub fn told(&mut self, target: &LanePartition, id: TellId, arrived: bool, now: Now) {
        self.owning(now, |owner, core| {
            owner.told(core, target, (id, arrived), now)
        });
    }

    /// A portion of the records that were asked for; `None` when they are gone: the answer to [`Action::Rescan`].
    pub fn rescanned(&mut self, id: u64, batch: Option<&[Stored]>, now: Now) {
        self.owning(now, |owner, core| owner.rescanned(core, id, batch));
    }

    /// Entities were folded anew: the answer to [`Action::FoldAnew`].
    pub fn folded_anew(&mut self, folded: Vec<FoldedAnew>, now: Now) {
        self.core.folded_anew(folded);
        self.fold_anew();
        // What happened to the edges of those that are sound again is looked at.
        self.owning(now, |owner, core| owner.check_sessions(core, now));
    }

    /// Tries to read an entity in quarantine once more; says what came of it.
    ///
    /// # Errors
    /// When its snapshot cannot be read at all.
    pub fn retry(&mut self, address: &Address, now: Now) -> Result<(), String> {
        match self.core.retry(address)? {
            // What happened to its edges meanwhile is looked at.
            true => self.owning(now, |owner, core| owner.check_sessions(core, now)),
            false => self.fold_anew(),
        }
        Ok(())
    }

    /// Gives the partition up: what was decided is committed and leaves, then `Release` follows (R17). It is not claimed
    /// again.
    pub fn release(&mut self, now: Now) {
        self.core.placement.retired = true;
        self.owning(now, |owner, _| owner.release());
    }

    /// Cuts a snapshot now, whether or not it is time: at a stop.
    pub fn cut(&mut self, now: Now) {
        self.core.snapshots.cut_at(now);
        match &mut self.role {
            Role::Owning(owner) if owner.may_cut() => {
                if let Some(cut) = self.core.cut() {
                    owner.keep_cut(&mut self.core, cut);
                }
            }
            // What a follower has folded is committed.
            Role::Following(follower) if follower.may_cut() => {
                if let Some(cut) = self.core.cut() {
                    self.core.save(cut);
                }
            }
            Role::Owning(_) | Role::Following(_) | Role::Over => {}
        }
    }

    /// The snapshot was written, or not: the answer to [`Action::Save`].
    pub fn saved(&mut self, written: bool) {
        self.core.saved(written);
    }
}

/// What others ask of it.
impl Partition {
    /// The fold header: what every reader of this log agrees on.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.core.fold
    }

    /// What the next life of this partition must not apply again.
    #[must_use]
    pub fn faulted(&self) -> &Faulted {
        &self.core.quarantines.faulted
    }

    /// Entities in memory.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.core.residents.len()
    }

    /// The entities in memory that this build cannot read, in the order of their addresses.
    pub fn quarantined(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.core.quarantines.addresses()
    }

    /// Whether something of the partition is lost here, so that whoever has it whole should rather own it.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.core.quarantines.lacks()
    }

    /// How many entries of the indexes commits have touched: in proportion to what they changed, and to nothing else.
    #[must_use]
    pub fn index_work(&self) -> u64 {
        self.core.residents.index.work()
    }

    /// An entity's revision and encoded state, for checkers and tests.
    ///
    /// # Errors
    /// When its snapshot cannot be read.
    pub fn inspect(&mut self, address: &Address) -> Result<Option<(Revision, Vec<u8>)>, String> {
        self.core.load(address)?;
        let entity = self.core.sound(address);
        Ok(entity
            .and_then(|entity| Some((entity.runtime.revision, entity.instance.encode().ok()?))))
    }

    /// One entity as this node has it; `None` when there is none.
    ///
    /// # Errors
    /// When its snapshot cannot be read at all.
    pub fn describe(&mut self, address: &Address) -> Result<Option<Description>, String> {
        self.core.describe(address)
    }
}

/// From one role to the next.
impl Partition {
    /// Takes up what the fold of the cluster says that this node has to do.
    fn assign(&mut self, now: Now) {
        let (setting, members) = (&self.core.setting, &self.core.placement.members);
        let owns = members.duty(&setting.partition, setting.incarnation) == Some(Duty::Own);
        self.following(now, |follower, core| follower.assign(core, owns, now));
        self.owning(now, |owner, _| owner.assign(owns));
    }

    /// Asks for the events of entities that wait to be folded anew, as far as a snapshot of theirs can have seen them.
    fn fold_anew(&mut self) {
        let upto = match &self.role {
            Role::Owning(owner) => owner.next_commit(),
            Role::Following(follower) => follower.seen_upto(self.core.snapshots.end()),
            Role::Over => return,
        };
        self.core.fold_anew(upto);
    }

    /// Hands an input to the owner, which then lets out what may leave; nobody else has a use for it.
    fn owning(&mut self, now: Now, input: impl FnOnce(&mut Owner, &mut Core) -> Step) {
        let core = &mut self.core;
        let step = match &mut self.role {
            Role::Owning(owner) => input(owner, core).and_then(|()| owner.finish(core, now)),
            Role::Following(_) | Role::Over => Ok(()),
        };
        self.conclude(step, now);
    }

    /// Hands an input to the follower; nobody else has a use for it.
    fn following(&mut self, now: Now, input: impl FnOnce(&mut Follower, &mut Core) -> Step) {
        let step = match &mut self.role {
            Role::Following(follower) => input(follower, &mut self.core),
            Role::Owning(_) | Role::Over => Ok(()),
        };
        self.conclude(step, now);
    }

    /// Becomes what a step comes to.
    fn conclude(&mut self, step: Step, now: Now) {
        let Err(exit) = step else { return };
        match exit {
            Exit::Own(before) => {
                self.role = Role::Owning(Box::new(Owner::new(&self.core, before, now)));
                self.owning(now, |owner, core| owner.begin(core, now));
                // Placement may have changed its mind while the claim was on its way: who is no owner by the fold must
                // not answer like one, and hands over at once (R13, R17).
                self.assign(now);
            }
            Exit::Follow(from) => {
                self.role = Role::Following(Follower::new(None, from));
                self.core.unsent.clear();
                self.core.actions.push(Action::Follow { from });
                self.assign(now);
            }
            // R18: what is in memory is thrown away.
            Exit::Lost(why) => {
                self.role = Role::Over;
                self.core.actions.push(Action::Lost(why));
            }
            Exit::Stop(why) => {
                self.role = Role::Over;
                self.core.actions.push(Action::Stop(why));
            }
        }
    }
}
