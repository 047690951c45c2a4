//! The disk of a node: what outlives its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_state_node::store::{Batch, MemoryStore, SnapshotStore};

use super::partition_name::PartitionName;

/// The snapshots of a node: as they were written, and as far as they have reached the platter.
#[derive(Clone, Default)]
pub(super) struct Disk {
    written: Stores,
    flushed: Stores,
}

type Stores = BTreeMap<PartitionName, Arc<MemoryStore>>;

/// What of a disk survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// The process died, and its machine lives.
    All,
    /// The machine died.
    Flushed,
    /// So did its disk.
    Nothing,
}

fn fresh() -> Stores {
    PartitionName::all()
        .map(|at| (at, Arc::default()))
        .collect()
}

fn copy(stores: &Stores) -> Stores {
    let copied = |(at, store): (&PartitionName, &Arc<MemoryStore>)| {
        (*at, Arc::new(MemoryStore::clone(store)))
    };
    stores.iter().map(copied).collect()
}

impl Disk {
    pub(super) fn fresh() -> Self {
        Self {
            written: fresh(),
            flushed: fresh(),
        }
    }

    /// The store of a partition.
    pub(super) fn store(&self, partition: PartitionName) -> Arc<dyn SnapshotStore> {
        Arc::clone(&self.written[&partition]) as Arc<dyn SnapshotStore>
    }

    pub(super) fn write(&mut self, partition: PartitionName, batch: Batch, flushes: bool) {
        let store = &self.written[&partition];
        store.write(batch).expect("memory takes every snapshot");
        if flushes {
            let flushed = Arc::new(MemoryStore::clone(store));
            self.flushed.insert(partition, flushed);
        }
    }

    /// What a partition found there cannot be used.
    pub(super) fn clear(&mut self, partition: PartitionName) {
        let cleared = self.written[&partition].clear();
        cleared.expect("memory forgets everything");
    }

    /// What the next process finds.
    pub(super) fn after_crash(&self, survives: Survives) -> Self {
        let surviving = match survives {
            Survives::All => &self.written,
            Survives::Flushed => &self.flushed,
            Survives::Nothing => return Self::fresh(),
        };
        Self {
            written: copy(surviving),
            flushed: copy(surviving),
        }
    }
}
