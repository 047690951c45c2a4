//! The snapshot store of a partition: it holds only what the log can rebuild.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use bytes::Bytes;
use xp_protocol::Address;

/// Why a snapshot store failed. The log can rebuild everything in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the snapshot store failed: {0}")]
pub struct StoreError(pub String);

/// One atomic step of a store: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The fold header at the cut; empty while a store is being filled, which holds no snapshot until it has one.
    pub header: Bytes,
    /// Entities changed since the last batch; `None` removes one.
    pub entities: Vec<(Address, Option<Bytes>)>,
    /// Timers and watching edges of the changed entities; `None` removes them.
    pub pending: Vec<(Address, Option<Bytes>)>,
    /// Which entities have seen more than the header; `None` when none has.
    pub ahead: Option<Bytes>,
}

/// The snapshots of one partition.
pub trait SnapshotStore: Send + Sync + 'static {
    /// The fold header of the last batch; `None` while the store is being filled, too.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn header(&self) -> Result<Option<Bytes>, StoreError>;

    /// One entity's record.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn entity(&self, address: &Address) -> Result<Option<Bytes>, StoreError>;

    /// Timers and watching edges of all entities that have any.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn pending(&self) -> Result<Vec<(Address, Bytes)>, StoreError>;

    /// Timers and watching edges of one entity, if it has any.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn pending_of(&self, address: &Address) -> Result<Option<Bytes>, StoreError>;

    /// Up to `count` entities behind `after`, in the order of their addresses.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn addresses(&self, after: Option<&Address>, count: usize) -> Result<Vec<Address>, StoreError>;

    /// Which entities have seen more than the header, as the last batch said.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn ahead(&self) -> Result<Option<Bytes>, StoreError>;

    /// Applies a batch atomically.
    ///
    /// # Errors
    /// When the store cannot be written; the former content stands.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Forgets everything, the header first: the snapshot did not fit the log.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn clear(&self) -> Result<(), StoreError>;
}

/// A store in memory, for tests and the simulator.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Memory>);

#[derive(Clone, Debug, Default)]
struct Memory {
    header: Option<Bytes>,
    entities: BTreeMap<Address, Bytes>,
    pending: BTreeMap<Address, Bytes>,
    ahead: Option<Bytes>,
}

impl Clone for MemoryStore {
    /// What is stored at this moment.
    fn clone(&self) -> Self {
        Self(Mutex::new(self.memory().clone()))
    }
}

impl MemoryStore {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

fn put(map: &mut BTreeMap<Address, Bytes>, changes: Vec<(Address, Option<Bytes>)>) {
    for (address, bytes) in changes {
        match bytes {
            Some(bytes) => map.insert(address, bytes),
            None => map.remove(&address),
        };
    }
}

impl SnapshotStore for MemoryStore {
    fn header(&self) -> Result<Option<Bytes>, StoreError> {
        let header = self.memory().header.clone();
        Ok(header.filter(|header| !header.is_empty()))
    }

    fn entity(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
        Ok(self.memory().entities.get(address).cloned())
    }

    fn pending(&self) -> Result<Vec<(Address, Bytes)>, StoreError> {
        let memory = self.memory();
        Ok(memory
            .pending
            .iter()
            .map(|(address, bytes)| (address.clone(), bytes.clone()))
            .collect())
    }

    fn pending_of(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
        Ok(self.memory().pending.get(address).cloned())
    }

    fn addresses(&self, after: Option<&Address>, count: usize) -> Result<Vec<Address>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let memory = self.memory();
        let behind = memory
            .entities
            .range::<Address, _>((from, Bound::Unbounded));
        Ok(behind
            .take(count)
            .map(|(address, _)| address.clone())
            .collect())
    }

    fn ahead(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.memory().ahead.clone())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut memory = self.memory();
        memory.header = Some(batch.header);
        memory.ahead = batch.ahead;
        put(&mut memory.entities, batch.entities);
        put(&mut memory.pending, batch.pending);
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        *self.memory() = Memory::default();
        Ok(())
    }
}
