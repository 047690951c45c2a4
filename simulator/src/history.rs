//! The history of a run, as somebody outside of the platform saw it. Checkers read it; it judges nothing.

use std::fmt;

use xp_client::Item;
use xp_client::item::Answered;
use xp_protocol::{Address, ConnectionId, DialAttempt, TimeMs};

/// Everything that was seen, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of virtual time, and of what happened first within one moment.
    pub entries: Vec<Entry>,
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, in virtual time.
    pub at: TimeMs,
    /// What was seen at that moment.
    pub what: What,
}

/// A client's process between two reloads: one machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// Counts the machines of the run.
    pub number: u64,
    /// The session it speaks for.
    pub connection: ConnectionId,
    /// The entity it speaks to.
    pub address: Address,
}

/// What was seen.
#[derive(Clone, Debug)]
pub enum What {
    /// A client's process begins.
    Began(Life),
    /// It sends a command, which carries this id.
    Called(Life, u64),
    /// It asks a query.
    Asked(Life, u64),
    /// A command or query has its answer.
    Answered(Life, u64, Answered),
    /// It is shown something.
    Shown(Life, Item),
    /// It waves: a volatile output that carries this id.
    Waved(Life, u64),
    /// It has a token for the socket of this attempt until then.
    Token(Life, DialAttempt, TimeMs),
    /// Its socket brought a frame that an exact platform does not send.
    Unexpected(Life, String),
    /// Its process ends without a word.
    Died(Life),
    /// Something was done to the platform.
    Fault(String),
    /// Messages were dropped from `inbound` before their partition had read them.
    Missed(String),
    /// Events were deleted, or what was published took their place on a node.
    Kept(String),
    /// The platform itself says that something is wrong.
    Alarm(String),
    /// From here on nothing goes wrong any more.
    Calm,
}

impl History {
    pub(super) fn note(&mut self, at: TimeMs, what: What) {
        self.entries.push(Entry { at, what });
    }

    /// The last entries, for people.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let skipped = self.entries.len().saturating_sub(count);
        let lines = self.entries.iter().skip(skipped);
        lines.map(|entry| format!("{entry}\n")).collect()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.at.0.saturating_sub(super::plan::EPOCH_MS);
        write!(f, "{ms:>7} ms  {:?}", self.what)
    }
}
