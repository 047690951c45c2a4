//! The messages that an owner has taken and the edges have not heard of (R42).

use std::collections::BTreeSet;

use xp_protocol::Incarnation;
use xp_protocol::flow::weight;
use xp_transport::Stored;

/// What has been taken and not told.
#[derive(Default)]
pub(super) struct Untold {
    /// How much it is.
    pub(super) weight: u64,
    /// The edges whose messages are among it, and the last of them.
    pub(super) heard: BTreeSet<Incarnation>,
    last: Option<Incarnation>,
}

impl Untold {
    /// A message was taken.
    pub(super) fn took(&mut self, stored: &Stored) {
        let record = &stored.record;
        self.weight += weight(record.key.len() + record.header.len() + record.value.len());
    }

    /// It was an edge's.
    pub(super) fn from(&mut self, edge: Incarnation) {
        if self.last != Some(edge) {
            self.last = Some(edge);
            self.heard.insert(edge);
        }
    }
}
