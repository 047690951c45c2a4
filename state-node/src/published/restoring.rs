//! A published snapshot, read into a snapshot store that has nothing usable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::snapshots::{Head, Published};
use xp_protocol::{ClaimId, Offset, codec};
use xp_transport::{Log, Reader, Stored, TopicPartition};

use super::publishing::{in_time, mark, random_id, read_in_time};
use super::restorer::{Filling, word};
use super::{Restored, Restorer, Standing, Survey};
use crate::pace::Pace;
use crate::snapshot::{self, Ahead};
use crate::store::{Batch, SnapshotStore};

/// What restores one partition.
#[derive(Clone)]
pub struct Restoring {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The partition of `snapshots`.
    pub at: TopicPartition,
    /// What is filled.
    pub store: Arc<dyn SnapshotStore>,
    /// Bounds and times.
    pub pace: Arc<Pace>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is published; the store is as it was.
    Nothing,
    /// What is published is not newer than what there is; the store is as it was.
    Older(Offset),
    /// The store holds the state at this offset of `events`.
    Restored(Offset),
}

/// Why a published snapshot cannot be used. The store is empty then, or as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The log.
    #[error("the published snapshot in {at} cannot be read: {reason}")]
    Log {
        /// Where.
        at: TopicPartition,
        /// Why.
        reason: String,
    },
    /// Its records do not belong together, or are damaged.
    #[error(
        "the published snapshot in {at} cannot be used: {reason}. A node that has the partition's snapshots on its disk \
         publishes them anew when it runs as a standby or alone; without such a node, restore the topic, or `events` \
         from offset 0"
    )]
    Unusable {
        /// Where.
        at: TopicPartition,
        /// Why.
        reason: String,
    },
    /// The store.
    #[error("the snapshot store cannot be filled from {at}: {reason}")]
    Store {
        /// From where.
        at: TopicPartition,
        /// Why.
        reason: String,
    },
}

/// What one reading of an epoch came to.
enum Read {
    Restored(Offset),
    /// Another epoch counts now.
    Overtaken(Offset),
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
        let Some(head) = self.survey().await? else {
            return Ok(Outcome::Nothing);
        };
        if Some(head.position) <= local {
            return Ok(Outcome::Older(head.position));
        }
        tracing::info!(at = %self.at, position = %head.position, entities = head.records, "a partition is restored from its published snapshot");
        let mut epoch = head.epoch;
        for _ in 0..=self.pace.read_on_max {
            match self.fill(epoch).await? {
                Read::Restored(position) => return Ok(Outcome::Restored(position)),
                Read::Overtaken(later) => epoch = later,
            }
        }
        Err(self.unusable("publishers overtake each other".to_owned()))
    }

    /// The head that counts.
    async fn survey(&self) -> Result<Option<Head>, RestoreError> {
        let mut survey = Survey::default();
        let mut reading = self.open().await?;
        let mut error = None;
        reading
            .read_on(self, |stored| match word(stored) {
                Ok(word) => survey.take(&word),
                Err(damaged) => drop(error.get_or_insert(damaged)),
            })
            .await?;
        match error {
            Some(damaged) => Err(self.unusable(damaged.to_string())),
            None => Ok(survey.best().cloned()),
        }
    }

    async fn fill(&self, epoch: Offset) -> Result<Read, RestoreError> {
        self.with_store(|store| store.clear()).await?;
        let mut restorer = Restorer::new(epoch, self.pace.pieces_bytes_max);
        let mut reading = self.open().await?;
        let mut why = String::new();
        for _ in 0..=self.pace.read_on_max {
            self.read(&mut reading, &mut restorer).await?;
            match restorer.standing() {
                Standing::Whole(restored) => return self.finish(restored).await,
                Standing::Overtaken(later) => return Ok(Read::Overtaken(later)),
                Standing::Unfinished(reason) => why = reason,
            }
            // A publisher may be in the middle of a round, or compaction took what a later record replaces.
            tokio::time::sleep(Duration::from_millis(self.pace.interval_ms / 4)).await;
            reading.mark = self.mark().await?;
        }
        self.with_store(|store| store.clear()).await?;
        Err(self.unusable(why))
    }

    /// Reads up to the mark, and stores what comes in bounded batches.
    async fn read(
        &self,
        reading: &mut Reading,
        restorer: &mut Restorer,
    ) -> Result<(), RestoreError> {
        loop {
            let (batch, is_end) = reading.next(self).await?;
            let mut filling = Vec::new();
            for stored in &batch {
                let taken = restorer.take(stored);
                filling.extend(taken.map_err(|damaged| self.unusable(damaged.to_string()))?);
            }
            self.store(filling).await?;
            if is_end {
                return Ok(());
            }
        }
    }

    async fn store(&self, filling: Vec<Filling>) -> Result<(), RestoreError> {
        if filling.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (address, body) in filling {
            let (record, pending) = body.map_or((None, None), |b| (Some(b.record), b.pending));
            batch.entities.push((address.clone(), record));
            batch.pending.push((address, pending));
        }
        self.with_store(move |store| store.write(batch)).await
    }

    async fn finish(&self, restored: Restored) -> Result<Read, RestoreError> {
        let position = restored.position;
        let header = restored.fold;
        let ahead = Ahead(restored.ahead.into_iter().collect());
        self.with_store(move |store| {
            store.write(Batch {
                header,
                ..Batch::default()
            })?;
            store.set_ahead(snapshot::sealed(&codec::encode(&ahead)))
        })
        .await?;
        Ok(Read::Restored(position))
    }

    async fn with_store(
        &self,
        work: impl FnOnce(&dyn SnapshotStore) -> Result<(), crate::store::StoreError> + Send + 'static,
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

    async fn open(&self) -> Result<Reading, RestoreError> {
        let bounds = self.log.bounds(&self.at).await;
        let first = bounds
            .map_err(|error| self.failed(error.to_string()))?
            .first;
        let mark = self.mark().await?;
        let reader = self.log.read(&self.at, first);
        Ok(Reading { reader, mark })
    }

    /// Only reading one's own record proves that all before it was read.
    async fn mark(&self) -> Result<ClaimId, RestoreError> {
        let id = random_id();
        let mut why = String::new();
        for _ in 0..=self.pace.read_on_max {
            let appending = self.log.append(&self.at, vec![mark(id)]);
            match in_time(appending, self.pace.read_ms).await {
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

/// A reader, and the record up to which it reads.
struct Reading {
    reader: Box<dyn Reader>,
    mark: ClaimId,
}

impl Reading {
    /// The next records, and whether the mark is among them.
    async fn next(&mut self, of: &Restoring) -> Result<(Vec<Stored>, bool), RestoreError> {
        let batch = read_in_time(&mut *self.reader, of.pace.read_ms).await;
        let batch = batch.map_err(|reason| of.failed(reason))?;
        let mine = Published::Mark { id: self.mark };
        let mine: Bytes = codec::encode(&mine).into();
        let is_end = batch.iter().any(|stored| stored.record.header == mine);
        Ok((batch, is_end))
    }

    async fn read_on(
        &mut self,
        of: &Restoring,
        mut each: impl FnMut(&Stored),
    ) -> Result<(), RestoreError> {
        loop {
            let (batch, is_end) = self.next(of).await?;
            batch.iter().for_each(&mut each);
            if is_end {
                return Ok(());
            }
        }
    }
}
