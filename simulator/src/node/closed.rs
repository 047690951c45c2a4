//! Partitions that are not open on a node, and what must be known before one is opened.

use std::collections::BTreeSet;

use crate::place::Place;

#[derive(Default)]
pub(super) struct Closed {
    /// What was restored of them could not be used: it would not be better a second time.
    spoilt: BTreeSet<Place>,
    /// They need a person.
    stopped: BTreeSet<Place>,
    /// Their snapshots are cleared before they are opened anew.
    clears: BTreeSet<Place>,
}

impl Closed {
    /// What was restored of it is not to be used.
    pub(super) fn spoil(&mut self, place: Place) {
        self.spoilt.insert(place);
    }

    /// It is opened, by what is restored only if that is not spoilt.
    pub(super) fn may_restore(&mut self, place: Place) -> bool {
        !self.spoilt.remove(&place)
    }

    /// It is not opened again.
    pub(super) fn stop(&mut self, place: Place) {
        self.stopped.insert(place);
    }

    pub(super) fn is_stopped(&self, place: Place) -> bool {
        self.stopped.contains(&place)
    }

    /// Its snapshots are thrown away.
    pub(super) fn discard(&mut self, place: Place) {
        self.clears.insert(place);
    }

    pub(super) fn is_discarded(&self, place: Place) -> bool {
        self.clears.contains(&place)
    }

    /// It is opened, and its snapshots are cleared before if they were thrown away.
    pub(super) fn must_clear(&mut self, place: Place) -> bool {
        self.clears.remove(&place)
    }
}
