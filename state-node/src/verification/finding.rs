//! A finding of a verification: what this build cannot read, in words.

use std::fmt;

use xp_domain_sdk::host::Fault;
use xp_protocol::codec::DecodeError;
use xp_protocol::events::Commit;
use xp_protocol::{Address, Offset, Revision};

/// An entity that this build cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entity's address, `category/id`.
    pub address: Address,
    /// The record of `events` from which on it cannot; for what is found at the end, its last one.
    pub offset: Offset,
    /// The entity's revision there.
    pub revision: Revision,
    /// Which of its events, states or timers cannot be read.
    pub reason: Reason,
}

/// Why an entity cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No kind of entity of this build has its category.
    NotHosted,
    /// Its events cannot be read, or applied.
    Events(Fault),
    /// The log names another revision than the next.
    Contradiction {
        /// The revision before it.
        found: Revision,
    },
    /// Its state cannot be encoded, so no snapshot could hold it.
    Unencodable(Fault),
    /// Its encoded state cannot be read again.
    Unloadable(Fault),
    /// What one of its timers will say cannot be read: the entity would be quarantined when it is due.
    Timer {
        /// The timer's name.
        name: Box<str>,
        /// What the domain's code answered.
        fault: Fault,
    },
}

/// Records whose header has a version that this build does not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newer {
    /// The first of them.
    pub first: Offset,
    /// How many there are.
    pub count: u64,
    /// Why the first cannot be read.
    pub error: DecodeError,
}

impl Finding {
    pub(super) fn new(address: Address, commit: &Commit, offset: Offset, reason: Reason) -> Self {
        Self {
            address,
            offset,
            revision: commit.revision,
            reason,
        }
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let words = match &self.reason {
            Reason::Events(fault)
            | Reason::Unencodable(fault)
            | Reason::Unloadable(fault)
            | Reason::Timer { fault, .. } => fault.to_string().len(),
            Reason::NotHosted | Reason::Contradiction { .. } => 0,
        };
        size_of::<Self>() + 2 * self.address.as_str().len() + words
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            offset,
            revision,
            reason,
        } = self;
        write!(
            f,
            "{address}: from offset {offset} on (revision {revision}), {reason}"
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHosted => f.write_str("this build hosts nothing of its category"),
            Self::Events(fault @ Fault::Panicked { .. }) => {
                write!(f, "its events cannot be applied: {fault}")
            }
            Self::Events(fault) => write!(f, "its events cannot be read: {fault}"),
            Self::Contradiction { found } => {
                write!(
                    f,
                    "the log contradicts itself: it stands at revision {found} before that"
                )
            }
            Self::Unencodable(fault) => {
                write!(
                    f,
                    "its state cannot be encoded, so no snapshot holds it: {fault}"
                )
            }
            Self::Timer { name, fault } => {
                write!(
                    f,
                    "what its timer {name:?} says cannot be read when it is due: {fault}"
                )
            }
            Self::Unloadable(fault) => {
                write!(
                    f,
                    "its state cannot be read again once it is encoded: {fault}"
                )
            }
        }
    }
}

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = match self.count {
            1 => "1 record is".to_owned(),
            count => format!("{count} records are"),
        };
        write!(
            f,
            "{records} of a newer build, the first at offset {}: {}. This build would ignore them and what was decided after \
             them",
            self.first, self.error
        )
    }
}
