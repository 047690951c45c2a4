//! A partition's snapshot store, published: all of it once, then what changes.
//!
//! The publisher of a partition is the first of its mirrors, so that the owner pays nothing, or the owner where there is
//! none. Several at once are harmless: each writes under its own epoch, the latest with a head counts, and its publisher
//! removes what the earlier ones left.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use xp_protocol::{ClaimId, Offset};
use xp_transport::{Acknowledged, Log, Record, TopicPartition};

use super::pages::{self, Unread};
use super::writing::{Rival, Step};
use super::{Changes, Writing, mark};
use crate::pace::Pace;
use crate::store::{SnapshotStore, StoreError};

/// What publishes one partition.
#[derive(Clone)]
pub struct Publishing {
    /// The log that holds `snapshots`, and to which records are appended.
    pub log: Arc<dyn Log>,
    /// The partition of `snapshots`.
    pub at: TopicPartition,
    /// The partition of `events` that it makes dispensable.
    pub events: TopicPartition,
    /// What is published.
    pub store: Arc<dyn SnapshotStore>,
    /// Held while the store is written.
    pub changes: Arc<Mutex<Changes>>,
    /// Bounds and times.
    pub pace: Arc<Pace>,
}

/// Why an epoch is over.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("a record was not acknowledged: {0}")]
    Unacknowledged(String),
    #[error("the log cannot be read: {0}")]
    Unread(String),
    #[error(transparent)]
    Store(#[from] Unread),
    #[error(transparent)]
    Rival(#[from] Rival),
}

impl Publishing {
    /// Publishes while `turn` says that it is this node's turn; ends with its sender.
    pub async fn run(self, mut turn: watch::Receiver<bool>) {
        let mut wait = self.pace.settle.ms();
        while turn.has_changed().is_ok() && turn.wait_for(|mine| *mine).await.is_ok() {
            if passed(&mut turn, wait).await {
                continue;
            }
            let ended = tokio::select! {
                biased;
                _ = turn.wait_for(|mine| !*mine) => None,
                ended = self.epoch() => ended.err(),
            };
            self.changes.lock().await.end();
            wait = self.next_wait(ended, wait);
        }
    }

    fn next_wait(&self, ended: Option<Ended>, last: u64) -> u64 {
        let Pace {
            interval,
            settle,
            again_max,
            ..
        } = *self.pace;
        match ended {
            None | Some(Ended::Rival(_)) => settle.ms(),
            Some(Ended::Store(Unread::Nothing | Unread::TooMany | Unread::Cleared)) => {
                interval.ms()
            }
            Some(error) => {
                let wait = (last * 2).clamp(interval.ms(), again_max.ms());
                tracing::warn!(at = %self.at, %error, wait_ms = wait, "publishing a partition's snapshot failed; it begins again");
                wait
            }
        }
    }

    async fn epoch(&self) -> Result<(), Ended> {
        let pace = Arc::clone(&self.pace);
        let begins = move |store: &dyn SnapshotStore, changes: &mut Changes| {
            pages::begin(store, changes, &pace)
        };
        self.with_store(begins).await?;
        let first = self.log.bounds(&self.at).await;
        let first = first
            .map_err(|error| Ended::Unread(error.to_string()))?
            .first;
        let mark = self.append(vec![mark(random_id())]).await?[0];
        let mut writing = Writing::new(mark, first, &self.pace);
        let mut released = None;
        loop {
            self.step(&mut writing).await?;
            if writing.covered() != released {
                released = writing.covered();
                self.log.release(&self.events, released.unwrap_or_default());
            }
        }
    }

    async fn step(&self, writing: &mut Writing) -> Result<(), Ended> {
        let pace = Arc::clone(&self.pace);
        match writing.step() {
            Step::Page(after) => {
                let page = move |store: &dyn SnapshotStore, _: &mut Changes| {
                    pages::page(store, after.as_ref(), &pace)
                };
                writing.page(self.with_store(page).await?);
            }
            Step::Entities(some) => {
                let page = move |store: &dyn SnapshotStore, _: &mut Changes| {
                    pages::entities(store, &some, &pace)
                };
                writing.page(self.with_store(page).await?);
            }
            Step::Take => writing.taken(self.with_store(pages::take).await?),
            Step::Append(records) => writing.appended(&self.append(records).await?),
            Step::Read { from, .. } => self.read(writing, from).await?,
            Step::Rest => tokio::time::sleep(pace.interval.0).await,
        }
        Ok(())
    }

    async fn read(&self, writing: &mut Writing, from: Offset) -> Result<(), Ended> {
        let mut reader = self.log.read(&self.at, from);
        let mut goes_on = true;
        while goes_on {
            let batch = read_in_time(&mut *reader, self.pace.read.ms()).await;
            goes_on = writing.read(&batch.map_err(Ended::Unread)?)?;
        }
        Ok(())
    }

    async fn append(&self, records: Vec<Record>) -> Result<Vec<Offset>, Ended> {
        let appending = self.log.append(&self.at, records);
        let appended = in_time(appending, self.pace.read.ms()).await;
        appended.map_err(Ended::Unacknowledged)
    }

    /// Works with the store while nobody writes it, on a thread that may block.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn SnapshotStore, &mut Changes) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Ended> {
        let mut changes = Arc::clone(&self.changes).lock_owned().await;
        let store = Arc::clone(&self.store);
        let working = tokio::task::spawn_blocking(move || {
            let worked = work(store.as_ref(), &mut changes);
            // Before the lock: whoever waits for that takes the store to be free.
            drop(store);
            worked
        });
        let worked = working.await;
        let worked = worked.map_err(|error| Unread::Store(StoreError(error.to_string())))?;
        Ok(worked?)
    }
}

/// Whether the turn has passed to somebody else within so many milliseconds.
async fn passed(turn: &mut watch::Receiver<bool>, within_ms: u64) -> bool {
    let within = Duration::from_millis(within_ms);
    tokio::time::timeout(within, turn.wait_for(|mine| !*mine))
        .await
        .is_ok()
}

pub(super) fn random_id() -> ClaimId {
    ClaimId(uuid::Uuid::from_u128(rand::random()))
}

/// The offsets of an append; an error in words when one failed or was not heard of in time.
pub(super) async fn in_time(
    appending: Acknowledged,
    within_ms: u64,
) -> Result<Vec<Offset>, String> {
    let within = Duration::from_millis(within_ms);
    let results = tokio::time::timeout(within, appending).await;
    let results = results.map_err(|_| format!("no word within {within_ms} ms"))?;
    let offsets: Result<_, _> = results.into_iter().collect();
    offsets.map_err(|error| error.to_string())
}

/// The next records; an error in words when none come in time.
pub(super) async fn read_in_time(
    reader: &mut dyn xp_transport::Reader,
    within_ms: u64,
) -> Result<Vec<xp_transport::Stored>, String> {
    let reading = tokio::time::timeout(Duration::from_millis(within_ms), reader.next());
    match reading.await {
        Ok(batch) => batch.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "what was acknowledged did not come within {within_ms} ms"
        )),
    }
}

#[cfg(test)]
mod tests;
