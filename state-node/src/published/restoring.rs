//! A published snapshot, read into a snapshot store that has nothing usable.

use std::sync::Arc;

use xp_protocol::{ClaimId, Offset};
use xp_transport::{Log, Reader, Stored, TopicPartition};

use super::filling::Step;
use super::publishing::{in_time, random_id, read_in_time};
use super::{Filling, Outcome, mark};
use crate::pace::Pace;
use crate::store::{SnapshotStore, StoreError};

/// What restores one partition.
#[derive(Clone)]
pub struct Restoring {
    /// The log that holds `snapshots`, which is only read.
    pub log: Arc<dyn Log>,
    /// The partition of `snapshots`.
    pub at: TopicPartition,
    /// What is filled.
    pub store: Arc<dyn SnapshotStore>,
    /// Bounds and times.
    pub pace: Arc<Pace>,
}

/// Why a published snapshot cannot be used. The store is empty then, or as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The log cannot be read; another try may succeed.
    #[error("the published snapshot in {at} cannot be read: {reason}")]
    Log {
        /// The partition of `snapshots`.
        at: TopicPartition,
        /// What the log said.
        reason: String,
    },
    /// Its records do not belong together, or are damaged.
    #[error(
        "the published snapshot in {at} cannot be used: {reason}. A node that has the partition's snapshots on its disk \
         publishes them anew when it runs as a standby or alone; without such a node, restore the topic, or `events` \
         from offset 0"
    )]
    Unusable {
        /// The partition of `snapshots`.
        at: TopicPartition,
        /// What is wrong with what is there.
        reason: String,
    },
    /// The local store refuses to be filled; the published snapshot may be sound.
    #[error("the snapshot store cannot be filled from {at}: {reason}")]
    Store {
        /// The partition of `snapshots`.
        at: TopicPartition,
        /// What the store said.
        reason: String,
    },
}

impl Restoring {
    /// Fills the store, unless what is published is not behind `local`, the position of what it holds.
    ///
    /// # Errors
    /// [`RestoreError`], which says what to do.
    pub async fn run(&self, local: Option<Offset>) -> Result<Outcome, RestoreError> {
        if self.log.partitions(&self.at.topic).await.is_none() {
            return Ok(Outcome::Nothing);
        }
        let mut filling = Filling::new(local, &self.pace);
        let mut reader = None;
        loop {
            match filling.step() {
                Step::Open => reader = Some(self.open().await?),
                Step::Wait => {
                    let moment = self.pace.interval.0 / 4;
                    tokio::time::sleep(moment).await;
                }
                Step::Mark => filling.marked(self.mark().await?),
                Step::Read => filling.read(&self.read(&mut reader).await?),
                Step::Clear => self.with_store(|store| store.clear()).await?,
                Step::Write(batch) => self.with_store(move |store| store.write(batch)).await?,
                Step::Over(over) => return over.map_err(|reason| self.unusable(reason)),
            }
        }
    }

    async fn read(
        &self,
        reader: &mut Option<Box<dyn Reader>>,
    ) -> Result<Vec<Stored>, RestoreError> {
        let reader = reader.as_mut();
        let reader = reader.expect("a filling opens the topic before it reads");
        let batch = read_in_time(&mut **reader, self.pace.read.ms()).await;
        batch.map_err(|reason| self.failed(reason))
    }

    async fn with_store(
        &self,
        work: impl FnOnce(&dyn SnapshotStore) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), RestoreError> {
        let store = Arc::clone(&self.store);
        let working = tokio::task::spawn_blocking(move || work(store.as_ref())).await;
        let worked = working.map_err(|error| error.to_string());
        let worked = worked.and_then(|worked| worked.map_err(|error| error.to_string()));
        worked.map_err(|reason| RestoreError::Store {
            at: self.at.clone(),
            reason,
        })
    }

    async fn open(&self) -> Result<Box<dyn Reader>, RestoreError> {
        let bounds = self.log.bounds(&self.at).await;
        let first = bounds
            .map_err(|error| self.failed(error.to_string()))?
            .first;
        Ok(self.log.read(&self.at, first))
    }

    async fn mark(&self) -> Result<ClaimId, RestoreError> {
        let id = random_id();
        let mut why = String::new();
        for _ in 0..=self.pace.read_on_max {
            let appending = self.log.append(&self.at, vec![mark(id)]);
            match in_time(appending, self.pace.read.ms()).await {
                Ok(_) => return Ok(id),
                Err(reason) => why = reason,
            }
        }
        Err(self.failed(why))
    }

    fn failed(&self, reason: String) -> RestoreError {
        let at = self.at.clone();
        RestoreError::Log { at, reason }
    }

    fn unusable(&self, reason: String) -> RestoreError {
        let at = self.at.clone();
        RestoreError::Unusable { at, reason }
    }
}
