//! The core of a partition: the fold of its log, its entities and their snapshots, which every role has.
//!
//! It decides nothing: a follower and an owner both read the log into it, and say what of it may be stored.

mod quarantine;
mod residents;
mod snapshots;
mod unencodable;
mod describe;
mod index;

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use xp_cluster::{Lease, Members};
use xp_protocol::events::{Commit, TimerKey};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, ConnectionId, Epoch, LogIdentity, Offset, TimeMs};
use xp_transport::Now;

use super::Setting;
use super::exit::{Exit, Step};
use crate::action::Action;
use crate::entity::{Entity, Session};
use crate::fold::Fold;

pub use describe::{Description, Reason};
pub(super) use index::Timer;
pub use quarantine::FoldedAnew;
pub(super) use quarantine::Quarantines;
pub(super) use residents::Residents;
pub(super) use snapshots::{Cut, Snapshots};

/// How often entities are told of whose time is set back, in milliseconds.
const TOLD_MS: u64 = 60_000;

/// What every role of a partition has.
pub(super) struct Core {
    pub(super) setting: Setting,
    pub(super) fold: Fold,
    pub(super) residents: Residents,
    pub(super) snapshots: Snapshots,
    pub(super) quarantines: Quarantines,
    pub(super) placement: Placement,
    pub(super) opened: Opened,
    /// Valid commits whose effects may not have gone out, from `sent` on (R8).
    pub(super) unsent: Vec<Unsent>,
    /// The machine's clock when it was last looked at, for people.
    pub(super) clock: TimeMs,
    pub(super) random: ChaCha8Rng,
    /// When it was last told of that an entity's time was set back.
    pub(super) told_ahead: Option<TimeMs>,
    /// What the shell is to do, in order.
    pub(super) actions: Vec<Action>,
}

/// What the cluster says of the partition.
#[derive(Default)]
pub(super) struct Placement {
    pub(super) members: Arc<Members>,
    pub(super) lease: Lease,
    /// This node gives the partition up, whatever the fold of the cluster says.
    pub(super) retired: bool,
}

/// The logs as they were when the partition was opened.
pub(super) struct Opened {
    pub(super) inbound: LogIdentity,
    /// The oldest offset of `events`: what lies before it only a snapshot has.
    pub(super) first: Offset,
    /// The end of `events`: who has read up to it could own at once.
    pub(super) next: Offset,
    /// There was no snapshot: everything in memory comes from the beginning of the log.
    pub(super) replayed: bool,
}

/// A valid commit whose effects may not have gone out.
#[derive(Clone)]
pub(super) struct Unsent {
    pub(super) offset: Offset,
    pub(super) address: Address,
    pub(super) commit: Arc<Commit>,
}

impl Core {
    /// Whether a rule holds: always, but in a simulator.
    pub(super) fn holds(&self, rule: Rule) -> bool {
        self.setting.rules.holds(rule)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.fold.epoch().unwrap_or_default()
    }

    /// A session of an entity in memory.
    pub(super) fn session(&self, address: &Address, connection: ConnectionId) -> Option<&Session> {
        self.residents.get(address)?.runtime.session(connection)
    }

    /// When a timer of an entity in memory is due, if it is set.
    pub(super) fn due(&self, address: &Address, key: &TimerKey) -> Option<TimeMs> {
        let host = self.setting.domain.get(address.category())?;
        self.residents.get(address)?.due(host.as_ref(), key)
    }

    /// A snapshot that cannot be used is thrown away: the log rebuilds it. Where the log no longer holds all, a person
    /// must look.
    pub(super) fn discard_snapshot(&mut self, reason: &str) -> Exit {
        let (partition, first) = (&self.setting.partition, self.opened.first);
        if first > Offset(0) {
            return Exit::Stop(format!(
                "{reason}. {partition} starts at offset {first}, so the log could not rebuild what the snapshot holds, and \
                 nothing of it was deleted. Restore the snapshots of this node, or delete them if they are published or \
                 another node has them"
            ));
        }
        tracing::warn!(%partition, reason, "the snapshot is thrown away and the log replayed");
        self.actions.push(Action::Clear);
        Exit::Lost("the snapshot could not be used")
    }

    /// Brings an entity into memory for an owner, which cannot go on with a snapshot that does not give it.
    pub(super) fn require(&mut self, address: &Address) -> Step {
        self.load(address)
            .map_err(|reason| self.discard_snapshot(&reason))
    }

    /// Says that an entity's time is set back: once in a while, whatever the number of entities.
    pub(super) fn tell_ahead(&mut self, address: &Address, ahead_ms: u64, now: Now) {
        let told = self.told_ahead;
        if told.is_some_and(|told| now.running.since_ms(told) < TOLD_MS) {
            return;
        }
        self.told_ahead = Some(now.running);
        tracing::error!(
            entity = %address, ahead_ms,
            "an entity's time is set back: an owner's clock had been ahead (R48). Timers that it set meanwhile fire \
             late; others like it are told of once a minute. See that the clocks of all machines are kept (NTP)"
        );
    }

    /// An entity without events, sessions and timers leaves no trace.
    pub(super) fn forget_if(&mut self, address: &Address, forgettable: bool) {
        if forgettable {
            self.quarantines.release(address);
            self.residents.remove(address);
        }
    }

    /// An entity in memory that this build can read.
    pub(super) fn sound(&self, address: &Address) -> Option<&Entity> {
        let entity = self.residents.get(address);
        entity.filter(|entity| !entity.is_quarantined())
    }
}
