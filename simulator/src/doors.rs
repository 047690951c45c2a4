//! The doors of the platform: by edge's name, the process that has it and whether it listens. Clients dial there.

use super::names::EdgeId;

/// How many edges there are.
pub(super) const EDGES: usize = 2;

struct Door {
    edge: EdgeId,
    open: bool,
}

/// Where clients dial, by the number of an edge's name.
pub(super) struct Doors([Door; EDGES]);

impl Doors {
    /// Nobody listens yet.
    pub(super) fn closed() -> Self {
        let closed = |slot| Door {
            edge: EdgeId(slot),
            open: false,
        };
        Self(std::array::from_fn(closed))
    }

    /// An edge's process takes a name, and listens.
    pub(super) fn open(&mut self, slot: usize, edge: EdgeId) {
        self.0[slot] = Door { edge, open: true };
    }

    /// Nobody listens there until another process takes the name.
    pub(super) fn close(&mut self, slot: usize) {
        self.0[slot].open = false;
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.0[slot].open
    }

    /// The present process of a name, or the last that had it.
    pub(super) fn edge(&self, slot: usize) -> EdgeId {
        self.0[slot].edge
    }

    /// The name that a process has.
    pub(super) fn slot(&self, edge: EdgeId) -> Option<usize> {
        self.0.iter().position(|door| door.edge == edge)
    }
}
