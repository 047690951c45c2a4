//! What an owner has taken and the edges have not heard of (R42).

use std::collections::BTreeSet;

use xp_protocol::flow::{NOTICE, NOTICE_MS, weight};
use xp_protocol::{Incarnation, TimeMs};
use xp_transport::Stored;

/// What has been taken and not told.
#[derive(Default)]
pub(super) struct Untold {
    /// How much it is.
    pub(super) weight: u64,
    /// The edges whose messages are among it, and the last of them.
    pub(super) heard: BTreeSet<Incarnation>,
    /// When the first of it was taken, by the time for which this node has been running.
    since: Option<TimeMs>,
    last: Option<Incarnation>,
}

impl Untold {
    /// A message was taken.
    pub(super) fn took(&mut self, stored: &Stored, running: TimeMs) {
        self.since.get_or_insert(running);
        let record = &stored.record;
        self.weight += weight(record.key.len() + record.header.len() + record.value.len());
    }

    /// Whether it is much, or has been for long.
    pub(super) fn is_due(&self, running: TimeMs) -> bool {
        let is_old = |since: TimeMs| running.since_ms(since) >= NOTICE_MS;
        self.weight >= NOTICE || self.since.is_some_and(is_old)
    }

    /// It was an edge's.
    pub(super) fn from(&mut self, edge: Incarnation) {
        if self.last != Some(edge) {
            self.last = Some(edge);
            self.heard.insert(edge);
        }
    }
}
