//! One partition as a state machine: records, acknowledgements and the time go in, actions come out.
//!
//! It follows the log, claims the partition, decides for it, and throws everything away when it loses it. No
//! I/O but the snapshot store's look-ups, no `await`, no clock: the state node and the simulator drive the
//! same code.

mod open;
mod follow;
mod claim;
mod inbound;
mod own;
mod snapshots;
mod unencodable;
mod describe;
mod quarantine;
mod residents;
mod founders;
mod role;
mod untold;
mod goodbyes;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use xp_cluster::{Lease, Members};
use xp_domain_sdk::host::Registry;
use xp_protocol::events::{StateHash, TimerKey};
use xp_protocol::rules::Rules;
use xp_protocol::{
    Address, Epoch, Incarnation, LanePartition, LogIdentity, Offset, Revision, TimeMs,
};
use xp_transport::Now;

use crate::action::Action;
use crate::deciding::Deciding;
use crate::entity::Entity;
use crate::fold::Fold;
use crate::lanes::Lanes;
use crate::limits::Limits;
use crate::store::SnapshotStore;

use founders::Founders;
use record::{bare, record};
use role::{
    Caution, Checkpointed, Following, Hole, Owner, Resume, Role, Scan, Uncommitted, Unsent,
};

pub use describe::{Description, Reason};
pub use open::OpenError;
pub use quarantine::FoldedAnew;
pub(crate) use record::key;

/// What a partition is made of and never changes.
#[derive(Clone)]
pub struct Setting {
    /// Which partition.
    pub place: LanePartition,
    /// This process.
    pub incarnation: Incarnation,
    /// All lanes.
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
    /// All of them, but in a simulator.
    pub rules: Rules,
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

/// A partition on this node.
pub struct Partition {
    setting: Setting,
    fold: Fold,
    entities: HashMap<Address, Entity>,
    /// Entities in memory, by when to look whether they are idle.
    idle: VecDeque<(TimeMs, Address)>,
    timers: BTreeSet<(TimeMs, Address, TimerKey)>,
    watched: BTreeSet<(Incarnation, Address)>,
    /// How many timers and edges commits have looked up in the indexes.
    index_work: u64,
    founders: Founders,
    members: Arc<Members>,
    lease: Lease,
    random: ChaCha8Rng,
    inbound_log: LogIdentity,
    /// The end of the log when the partition was opened: who has read up to it could own at once.
    opened_at: Offset,
    /// This node gives the partition up, whatever the fold of the cluster says.
    retired: bool,
    /// Valid commits whose effects may not have gone out, from `sent` on (R8).
    unsent: Vec<Unsent>,
    dirty: BTreeMap<Address, u64>,
    changes: u64,
    saving: Option<u64>,
    hashes: Vec<StateHash>,
    saved_at: TimeMs,
    /// The last valid record that the newest snapshot has seen.
    saved_end: Option<Offset>,
    /// It was opened without a snapshot: everything in memory comes from the beginning of the log.
    replayed: bool,
    passivated_at: TimeMs,
    /// The machine's clock when it was last looked at, for people.
    clock: TimeMs,
    /// The oldest offset of `events`: what lies before it only a snapshot has.
    first: Offset,
    /// Entities in memory that this build cannot read.
    quarantined: BTreeSet<Address>,
    /// How many it could not read in this life.
    named: usize,
    /// Those of another state version that wait to be folded anew; and whether some are.
    anew: BTreeSet<Address>,
    folding: bool,
    /// Something in memory lacks what a snapshot would then lack for ever, so none is cut.
    unkept: bool,
    /// What is stored of some entity is damaged, and nothing can rebuild it here.
    lacks: bool,
    /// This life ends once the log is read, so that the next one keeps what it has spoilt.
    reopens: bool,
    role: Role,
    /// When it was last told of that an entity's time was set back.
    told_ahead: Option<TimeMs>,
    /// What is being decided, for who looks from outside.
    deciding: Deciding,
    faulted: Faulted,
    actions: Vec<Action>,
    /// Entities whose stored hash differed from ours, for the node's report.
    diverged: Vec<Address>,
}

impl Partition {
    /// What the partition wants done, in order.
    pub fn actions(&mut self) -> Vec<Action> {
        self.flush();
        std::mem::take(&mut self.actions)
    }

    /// Whether it decides for the partition now.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        matches!(self.role, Role::Owning(_))
    }

    /// Whether it takes inbound records now; at the bound on uncommitted records reading pauses (R9).
    #[must_use]
    pub fn wants_inbound(&self) -> bool {
        let uncommitted_max = self.setting.limits.uncommitted_max;
        match &self.role {
            Role::Owning(owner) => owner.is_reading(uncommitted_max),
            Role::Following(_) | Role::Over => false,
        }
    }

    /// The fold header: what every reader of this log agrees on.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// What it is deciding, for who looks from another thread.
    #[must_use]
    pub fn deciding(&self) -> Deciding {
        self.deciding.clone()
    }

    /// Entities in memory.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.entities.len()
    }

    /// How many entries of the indexes commits have touched: in proportion to what they changed, and to nothing else.
    #[must_use]
    pub fn index_work(&self) -> u64 {
        self.index_work
    }

    /// Entities whose state differs from the hash in the log, once each.
    pub fn take_diverged(&mut self) -> Vec<Address> {
        std::mem::take(&mut self.diverged)
    }

    /// An entity's revision and encoded state, for checkers and tests.
    ///
    /// # Errors
    /// When its snapshot cannot be read.
    pub fn inspect(&mut self, address: &Address) -> Result<Option<(Revision, Vec<u8>)>, String> {
        self.load(address)?;
        let entity = self.entities.get(address);
        let entity = entity.filter(|entity| !entity.is_quarantined());
        Ok(entity
            .and_then(|entity| Some((entity.runtime.revision, entity.instance.encode().ok()?))))
    }

    /// Whether something waits that only the time or an acknowledgement moves.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let owner = match &self.role {
            Role::Owning(owner) => {
                let waits = owner.welcomes.len() + owner.resumes.len() + owner.scans.len() > 0;
                let again = owner.emit_again_at.is_some() || !owner.leased.is_empty();
                waits || again || !owner.uncommitted.is_empty()
            }
            Role::Following(_) | Role::Over => false,
        };
        owner || !self.dirty.is_empty()
    }

    /// In how many milliseconds something is due that no record announces: a timer of an entity, or a claim.
    #[must_use]
    pub fn due_in_ms(&self, now: Now) -> Option<u64> {
        match &self.role {
            Role::Owning(owner) => {
                // While it decides nothing, no timer fires either.
                let timer = self.timers.first().filter(|_| self.wants_inbound());
                let timer_ms = timer.map(|(due, ..)| due.since_ms(now.time));
                let large = owner.large.wakes_at(&self.setting.limits);
                let large_ms = large.map(|at| at.since_ms(now.running));
                timer_ms.into_iter().chain(large_ms).min()
            }
            Role::Following(following) => {
                self.claim_at(following).map(|at| at.since_ms(now.running))
            }
            Role::Over => None,
        }
    }

    /// Whether it has folded all that the log held when it was opened, and could own the partition at once.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        match &self.role {
            Role::Owning(_) => true,
            Role::Following(following) => following.next >= self.opened_at,
            Role::Over => false,
        }
    }

    /// A fold of the `cluster` log that has moved on.
    pub fn on_members(&mut self, members: Arc<Members>, now: Now) {
        self.members = members;
        if self.members.is_former(self.setting.incarnation) {
            self.lease.end();
            return self.lose("this node is a member of the cluster no longer");
        }
        self.assign(now);
        self.check_sessions(now);
        self.drain(now);
    }

    /// This node's lease, as far as its heartbeats have been read back (R13).
    pub fn on_lease(&mut self, lease: Lease, now: Now) {
        self.lease = lease;
        self.release_leased(now);
    }

    /// The time passes: timers fire, positions are recorded, what failed is tried again.
    pub fn tick(&mut self, now: Now) {
        self.clock = now.time;
        self.seek(now);
        self.fold_anew();
        self.fire_timers(now);
        self.repeat(now);
        self.checkpoint(now);
        self.passivate(now);
        self.take_snapshot(now);
        self.drain(now);
    }

    /// R18: throws the ownership away.
    fn lose(&mut self, why: &'static str) {
        if !matches!(self.role, Role::Over) {
            self.role = Role::Over;
            self.actions.push(Action::Lost(why));
        }
    }

    fn stop(&mut self, why: String) {
        self.role = Role::Over;
        self.actions.push(Action::Stop(why));
    }

    fn owner(&mut self) -> Option<&mut Owner> {
        match &mut self.role {
            Role::Owning(owner) => Some(owner),
            Role::Following(_) | Role::Over => None,
        }
    }

    fn epoch(&self) -> Epoch {
        self.fold.epoch().unwrap_or_default()
    }
}

fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
