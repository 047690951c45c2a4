//! An entity that this build cannot read: what is kept of it until one can (R44).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xp_domain_sdk::host::{Fault, Host, Instance};
use xp_protocol::{Revision, TimeMs};

/// The raw material of an entity in quarantine. It is a matter of this node and its build: the log, and a node with
/// another build, know nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// When the entity was set aside first.
    pub since: TimeMs,
    /// Why this build cannot read the entity, for people.
    pub reason: String,
    /// What would make it sound again, as far as this build knows.
    #[serde(skip)]
    pub cure: Cure,
    /// The last good state, encoded; empty before the first event. The entity's own record keeps it, as it does what
    /// lies behind it.
    #[serde(skip)]
    pub state: Bytes,
    /// The events behind the last good state, one commit each, in order.
    #[serde(skip)]
    unapplied: Vec<Bytes>,
    #[serde(skip)]
    bytes: usize,
    /// The revision of the last good state and of the first so many events behind it.
    #[serde(skip)]
    pub revision: Revision,
    #[serde(skip)]
    within: usize,
}

/// What would make an entity sound again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cure {
    /// A build that can read it.
    #[default]
    Build,
    /// Its state has another version: to fold its events anew, up to the revision at which the state was stored.
    FoldAnew,
    /// To open the partition anew: events that cannot be applied have spoilt what was in memory.
    Reopen,
    /// To replay the log with a build that can read it: not all of it is kept here.
    Replay,
    /// To restore the partition's snapshots: what is stored of it is damaged, and the log no longer holds what came before.
    Restore,
}

impl Cure {
    fn of(fault: &Fault) -> Self {
        match fault {
            Fault::StateVersion { .. } => Self::FoldAnew,
            _ => Self::Build,
        }
    }
}

impl Quarantine {
    /// Why a state, or what lies behind it, could not be read.
    #[must_use]
    pub fn new(fault: &Fault, since: TimeMs, revision: Revision, state: Bytes) -> Self {
        let cure = Cure::of(fault);
        Self {
            state,
            ..Self::without_state(cure, fault.to_string(), since, revision)
        }
    }

    /// What was good is not known here.
    #[must_use]
    pub fn without_state(cure: Cure, reason: String, since: TimeMs, revision: Revision) -> Self {
        Self {
            since,
            reason,
            cure,
            state: Bytes::new(),
            unapplied: Vec::new(),
            bytes: 0,
            revision,
            within: 0,
        }
    }

    /// The same, with events behind the state up to its revision.
    #[must_use]
    pub fn holding(mut self, unapplied: Vec<Bytes>) -> Self {
        unapplied.into_iter().for_each(|events| self.keep(events));
        self.within = self.unapplied.len();
        self
    }

    /// It was tried once more.
    pub fn failed_again(&mut self, fault: &Fault) {
        self.cure = Cure::of(fault);
        self.reason = fault.to_string();
    }

    /// The events behind the last good state.
    #[must_use]
    pub fn unapplied(&self) -> &[Bytes] {
        &self.unapplied
    }

    /// How many bytes they have.
    #[must_use]
    pub fn unapplied_bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps the events of one more commit.
    pub fn keep(&mut self, events: Bytes) {
        self.bytes += events.len();
        self.unapplied.push(events);
    }

    /// Whether a snapshot of it holds all that is needed to read it later.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.cure, Cure::Build | Cure::FoldAnew)
    }

    /// Whether nothing of it is known here for certain, so that nothing can be recorded for it either.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.cure == Cure::Restore
    }

    /// Tries to read it: the last good state, and the events behind it.
    ///
    /// # Errors
    /// When this build cannot.
    pub fn read(&self, host: &dyn Host) -> Result<Box<dyn Instance>, Fault> {
        let instance = match self.state.is_empty() {
            true => host.fresh(),
            false => host.load(&self.state)?,
        };
        applied(instance, &self.unapplied)
    }

    /// What it is now, from what its events came to up to its revision.
    ///
    /// # Errors
    /// When an event behind them cannot be applied.
    pub fn behind(&self, folded: Box<dyn Instance>) -> Result<Box<dyn Instance>, Fault> {
        applied(folded, &self.unapplied[self.within..])
    }
}

fn applied(mut instance: Box<dyn Instance>, all: &[Bytes]) -> Result<Box<dyn Instance>, Fault> {
    for events in all {
        instance.apply(events)?;
    }
    Ok(instance)
}
