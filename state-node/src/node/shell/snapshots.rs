//! The snapshots of a partition, and who may touch them: writes go to the store in the order of the partition's lives.
//! What an earlier life began is over before the store is cleared, and before the next life reads it.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::published::Changes;
use crate::store::{Batch, SnapshotStore};

/// What one life of a partition has to do with its snapshots.
pub(super) struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    /// Held while a snapshot is written or published.
    turn: Arc<Mutex<Changes>>,
    /// Whether it is this node's turn to publish; the publisher ends with it.
    publishes: watch::Sender<bool>,
    /// They were taken from the published one when the partition was opened.
    are_restored: bool,
    /// They cannot be used: they are cleared before the partition is opened anew.
    are_spoilt: bool,
}

impl Snapshots {
    pub(super) fn new(
        store: Arc<dyn SnapshotStore>,
        turn: Arc<Mutex<Changes>>,
        publishes: watch::Sender<bool>,
        are_restored: bool,
    ) -> Self {
        Self {
            store,
            turn,
            publishes,
            are_restored,
            are_spoilt: false,
        }
    }

    /// Writes a batch, behind those before it.
    pub(super) fn write(
        &self,
        batch: Batch,
    ) -> impl Future<Output = Result<(), String>> + Send + use<> {
        write(Arc::clone(&self.store), Arc::clone(&self.turn), batch)
    }

    /// Whether it is this node's turn to publish them.
    pub(super) fn publish(&self, mine: bool) {
        self.publishes
            .send_if_modified(|was| std::mem::replace(was, mine) != mine);
    }

    /// What the store holds cannot be used.
    pub(super) fn spoil(&mut self) {
        self.are_spoilt = true;
    }

    pub(super) fn are_spoilt(&self) -> bool {
        self.are_spoilt
    }

    /// Whether the next life may take them from the published one: what was restored, and was of no use before the
    /// partition was warm, would be no better a second time.
    pub(super) fn may_be_restored(&self, was_warm: bool) -> bool {
        !self.are_restored || was_warm
    }
}

/// Writes a batch. A write that has begun is finished also when nobody waits for it any more; one that waits for its
/// turn is then never begun.
///
/// # Errors
/// When the store cannot be written; the former content stands.
async fn write(
    store: Arc<dyn SnapshotStore>,
    turn: Arc<Mutex<Changes>>,
    batch: Batch,
) -> Result<(), String> {
    // A publisher may be reading a page.
    let mut changes = turn.lock_owned().await;
    let writing = tokio::task::spawn_blocking(move || {
        let changed: Vec<_> = batch.entities.iter().map(|(a, _)| a.clone()).collect();
        let written = store.write(batch);
        if written.is_ok() {
            changes.note(&changed);
        }
        written
    });
    let written = writing.await.map_err(|error| error.to_string())?;
    written.map_err(|error| error.to_string())
}

/// Waits for what an earlier life of the partition began to write, and clears the store if that life could not use it.
/// Nothing else writes meanwhile: the earlier life is over, the next not begun.
///
/// # Errors
/// When the store cannot be cleared.
pub(super) async fn begin(
    store: impl FnOnce() -> Result<Arc<dyn SnapshotStore>, String>,
    turn: Arc<Mutex<Changes>>,
    clears: bool,
) -> Result<(), String> {
    let turn = turn.lock_owned().await;
    if !clears {
        return Ok(());
    }
    let store = store()?;
    let clearing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        store.clear()
    });
    let cleared = clearing.await.map_err(|error| error.to_string())?;
    cleared.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use bytes::Bytes;
    use xp_protocol::Address;

    use super::*;
    use crate::store::{MemoryStore, StoreError};

    #[test]
    fn what_was_restored_in_vain_is_not_restored_again() {
        let snapshots = |are_restored| {
            let store = Arc::new(MemoryStore::default());
            Snapshots::new(store, Arc::default(), watch::channel(false).0, are_restored)
        };
        assert!(snapshots(false).may_be_restored(false));
        assert!(!snapshots(true).may_be_restored(false));
        assert!(snapshots(true).may_be_restored(true), "it was good then");
    }

    /// A disk that says when it is asked to write and when it has, and waits in between until it may.
    struct SlowStore {
        disk: MemoryStore,
        asked: mpsc::Sender<()>,
        written: mpsc::Sender<()>,
        may: std::sync::Mutex<mpsc::Receiver<()>>,
    }

    impl SnapshotStore for SlowStore {
        fn header(&self) -> Result<Option<Bytes>, StoreError> {
            self.disk.header()
        }
        fn entity(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
            self.disk.entity(address)
        }
        fn pending(&self) -> Result<Vec<(Address, Bytes)>, StoreError> {
            self.disk.pending()
        }
        fn pending_of(&self, address: &Address) -> Result<Option<Bytes>, StoreError> {
            self.disk.pending_of(address)
        }
        fn addresses(
            &self,
            after: Option<&Address>,
            count: usize,
        ) -> Result<Vec<Address>, StoreError> {
            self.disk.addresses(after, count)
        }
        fn ahead(&self) -> Result<Option<Bytes>, StoreError> {
            self.disk.ahead()
        }
        fn write(&self, batch: Batch) -> Result<(), StoreError> {
            self.asked.send(()).unwrap();
            self.may.lock().unwrap().recv().unwrap();
            self.disk.write(batch)?;
            self.written.send(()).unwrap();
            Ok(())
        }
        fn clear(&self) -> Result<(), StoreError> {
            self.disk.clear()
        }
    }

    fn batch() -> Batch {
        let address: Address = "room/1".parse().unwrap();
        Batch {
            header: Bytes::from_static(b"header"),
            entities: vec![(address, Some(Bytes::from_static(b"state")))],
            ..Batch::default()
        }
    }

    /// A write of an earlier life that landed in the store after it was cleared would be taken for a snapshot.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_of_an_earlier_life_is_over_before_the_store_is_cleared() {
        let ((asked, was_asked), (may, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let (written, was_written) = mpsc::channel();
        let store: Arc<dyn SnapshotStore> = Arc::new(SlowStore {
            disk: MemoryStore::default(),
            asked,
            written,
            may: std::sync::Mutex::new(may_go_on),
        });
        let turn = Arc::new(Mutex::new(Changes::default()));
        let (first, second) = (
            tokio::spawn(write(Arc::clone(&store), Arc::clone(&turn), batch())),
            tokio::task::spawn_blocking(move || was_asked.recv()),
        );
        second.await.unwrap().unwrap();
        let waits = tokio::spawn(write(Arc::clone(&store), Arc::clone(&turn), batch()));
        // The life ends: nobody waits for its writes any more.
        first.abort();
        waits.abort();
        assert!(waits.await.is_err());
        let cleared = Arc::clone(&store);
        let mut next = std::pin::pin!(begin(|| Ok(cleared), turn, true));
        // Long enough to clear, if it were allowed to.
        let early = tokio::time::timeout(Duration::from_millis(200), next.as_mut()).await;
        assert!(early.is_err(), "cleared while a write is under way");
        may.send(()).unwrap();
        next.await.unwrap();
        let landed = tokio::task::spawn_blocking(move || was_written.recv());
        landed.await.unwrap().unwrap();
        assert_eq!(store.header().unwrap(), None);
        assert_eq!(store.entity(&"room/1".parse().unwrap()).unwrap(), None);
    }
}
