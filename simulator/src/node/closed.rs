//! Partitions that are not open on a node, and what must be known before one is opened.

use std::collections::BTreeSet;

use crate::partition_name::PartitionName;

#[derive(Default)]
pub(super) struct Closed {
    /// What was restored of them could not be used: it would not be better a second time.
    spoilt: BTreeSet<PartitionName>,
    /// They need a person.
    stopped: BTreeSet<PartitionName>,
    /// Their snapshots are cleared before they are opened anew.
    clears: BTreeSet<PartitionName>,
}

impl Closed {
    /// What was restored of it is not to be used.
    pub(super) fn spoil(&mut self, partition: PartitionName) {
        self.spoilt.insert(partition);
    }

    /// It is opened, by what is restored only if that is not spoilt.
    pub(super) fn may_restore(&mut self, partition: PartitionName) -> bool {
        !self.spoilt.remove(&partition)
    }

    /// It is not opened again.
    pub(super) fn stop(&mut self, partition: PartitionName) {
        self.stopped.insert(partition);
    }

    pub(super) fn is_stopped(&self, partition: PartitionName) -> bool {
        self.stopped.contains(&partition)
    }

    /// Its snapshots are thrown away.
    pub(super) fn discard(&mut self, partition: PartitionName) {
        self.clears.insert(partition);
    }

    pub(super) fn is_discarded(&self, partition: PartitionName) -> bool {
        self.clears.contains(&partition)
    }

    /// It is opened, and its snapshots are cleared before if they were thrown away.
    pub(super) fn must_clear(&mut self, partition: PartitionName) -> bool {
        self.clears.remove(&partition)
    }
}
