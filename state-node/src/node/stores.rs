//! The snapshot stores of a node's partitions: on its disk, or in memory where it has none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use xp_protocol::LanePartition;

use crate::sled_store::SledStores;
use crate::store::{MemoryStore, SnapshotStore, StoreError};

/// One store for each partition; a partition that is opened again finds what it has written.
pub(crate) enum Stores {
    Sled(SledStores),
    Memory(Mutex<BTreeMap<LanePartition, Arc<MemoryStore>>>),
}

impl Stores {
    /// Those in a directory, or in memory without one.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(crate) fn open(dir: Option<&Path>, cache_bytes: u64) -> Result<Self, StoreError> {
        Ok(match dir {
            Some(dir) => Self::Sled(SledStores::open(dir, cache_bytes, &boot_id())?),
            None => Self::Memory(Mutex::default()),
        })
    }

    /// A partition's store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn partition(
        &self,
        partition: &LanePartition,
    ) -> Result<Arc<dyn SnapshotStore>, StoreError> {
        match self {
            Self::Sled(stores) => Ok(Arc::new(stores.partition(partition)?)),
            Self::Memory(stores) => {
                let mut stores = stores.lock().expect("no holder of this lock panics");
                let store = stores.entry(partition.clone()).or_default();
                Ok(Arc::clone(store) as Arc<dyn SnapshotStore>)
            }
        }
    }

    /// Brings to the disk what was written. What is missing there is replayed at the next start.
    pub(crate) fn flush(&self) {
        if let Self::Sled(stores) = self
            && let Err(error) = stores.flush()
        {
            tracing::warn!(%error, "the snapshots were not flushed; the next start replays more");
        }
    }
}

/// Names this boot of the machine; unknown where the kernel does not tell, so that everything is verified.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::PartitionId;

    use super::*;
    use crate::store::Batch;

    fn partition(partition: u32) -> LanePartition {
        LanePartition {
            lane: "main".into(),
            partition: PartitionId(partition),
        }
    }

    #[test]
    fn a_partition_finds_again_what_it_wrote_and_nothing_of_others() {
        let stores = Stores::open(None, 0).expect("memory is there");
        let header = Bytes::from_static(b"header");
        let batch = Batch {
            header: header.clone(),
            ..Batch::default()
        };
        let store = |number| stores.partition(&partition(number)).expect("it opens");
        store(0).write(batch).expect("it is written");
        assert_eq!(store(0).header().expect("it is read"), Some(header));
        assert_eq!(store(1).header().expect("it is read"), None);
    }
}
