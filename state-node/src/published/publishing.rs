//! A partition's snapshot store, published: all of it once, then what changes.
//!
//! The publisher of a partition is the first of its mirrors, so that the owner pays nothing, or the owner where there is
//! none. Several at once are harmless: each writes under its own epoch, the latest with a head counts, and its publisher
//! removes what the earlier ones left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, watch};
use xp_protocol::snapshots::{Body, Published, mark_key};
use xp_protocol::{Address, ClaimId, Offset};
use xp_transport::{Acknowledged, Log, Record, TopicPartition};

use super::publisher::{gone, record};
use super::restorer::{epoch, word};
use super::{Changes, Publisher, position};
use crate::pace::Pace;
use crate::snapshot;
use crate::store::{SnapshotStore, StoreError};

/// What publishes one partition.
#[derive(Clone)]
pub struct Publishing {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The partition of `snapshots`.
    pub at: TopicPartition,
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
    Store(#[from] StoreError),
    #[error("the snapshot store was made anew")]
    Cleared,
    #[error("nothing is stored yet")]
    Nothing,
    #[error("more entities changed than are kept in mind")]
    TooMany,
    #[error("another node publishes the partition, too")]
    Rival,
}

/// Entities at one moment.
struct Page {
    as_of: Offset,
    entities: Vec<(Address, Option<Body>)>,
}

impl Publishing {
    /// Publishes while `turn` says that it is this node's turn; ends with its sender.
    pub async fn run(self, mut turn: watch::Receiver<bool>) {
        let mut wait = self.pace.settle_ms;
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
            interval_ms,
            settle_ms,
            again_ms_max,
            ..
        } = *self.pace;
        match ended {
            None | Some(Ended::Rival) => settle_ms,
            Some(Ended::Nothing | Ended::TooMany | Ended::Cleared) => interval_ms,
            Some(error) => {
                let wait = (last * 2).clamp(interval_ms, again_ms_max);
                tracing::warn!(at = %self.at, %error, wait_ms = wait, "publishing a partition's snapshot failed; it begins again");
                wait
            }
        }
    }

    async fn epoch(&self) -> Result<(), Ended> {
        let max = self.pace.changes_max;
        self.with_store(move |store, changes| {
            changes.begin(max);
            position(store)?.ok_or(Ended::Nothing).map(drop)
        })
        .await?;
        let first = self.log.bounds(&self.at).await;
        let first = first
            .map_err(|error| Ended::Unread(error.to_string()))?
            .first;
        let mark = self.append(vec![mark(random_id())]).await?[0];
        let mut writer = Writer {
            publishing: self,
            publisher: Publisher::new(mark, self.pace.piece_bytes),
            next: mark.next(),
            unread: first,
            is_alone: false,
            published: None,
        };
        writer.scan().await?;
        loop {
            writer.round().await?;
            tokio::time::sleep(Duration::from_millis(self.pace.interval_ms)).await;
        }
    }

    async fn append(&self, records: Vec<Record>) -> Result<Vec<Offset>, Ended> {
        let appending = self.log.append(&self.at, records);
        let appended = in_time(appending, self.pace.read_ms).await;
        appended.map_err(Ended::Unacknowledged)
    }

    /// Works with the store while nobody writes it, on a thread that may block.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn SnapshotStore, &mut Changes) -> Result<T, Ended> + Send + 'static,
    ) -> Result<T, Ended> {
        let mut changes = Arc::clone(&self.changes).lock_owned().await;
        let store = Arc::clone(&self.store);
        let working = tokio::task::spawn_blocking(move || work(store.as_ref(), &mut changes));
        working
            .await
            .map_err(|error| StoreError(error.to_string()))?
    }
}

/// Whether the turn has passed to somebody else within so many milliseconds.
async fn passed(turn: &mut watch::Receiver<bool>, within_ms: u64) -> bool {
    let within = Duration::from_millis(within_ms);
    tokio::time::timeout(within, turn.wait_for(|mine| !*mine))
        .await
        .is_ok()
}

/// A record that only draws a place in the log.
pub(super) fn mark(id: ClaimId) -> Record {
    record(mark_key(id), &Published::Mark { id }, Bytes::new())
}

pub(super) fn random_id() -> ClaimId {
    ClaimId(uuid::Uuid::from_u128(rand::random()))
}

/// One epoch on its way into the log.
struct Writer<'a> {
    publishing: &'a Publishing,
    publisher: Publisher,
    /// Where the next record must be, when nobody else writes.
    next: Offset,
    /// The first offset that nobody has looked at for the records of others.
    unread: Offset,
    is_alone: bool,
    /// The position of the last head.
    published: Option<Offset>,
}

impl Writer<'_> {
    /// Everything that is stored, page by page, while more is stored.
    async fn scan(&mut self) -> Result<(), Ended> {
        let mut after = None;
        loop {
            let (from, pace) = (after.clone(), Arc::clone(&self.publishing.pace));
            let page = self.publishing.with_store(move |store, _| {
                let addresses = store.addresses(from.as_ref(), pace.page_entities)?;
                read(store, &addresses, pace.page_bytes)
            });
            let page = page.await?;
            let Some((last, _)) = page.entities.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            self.write(page).await?;
        }
    }

    /// What changed, and the head of a position that all of it has seen.
    async fn round(&mut self) -> Result<(), Ended> {
        let taking = self.publishing.with_store(|store, changes| {
            let changed = changes.take().ok_or(Ended::TooMany)?;
            Ok((changed, position(store)?.ok_or(Ended::Cleared)?))
        });
        let (changed, (fold, position)) = taking.await?;
        if self.published == Some(position) {
            return Ok(());
        }
        let mut changed: Vec<_> = changed.into_iter().collect();
        while !changed.is_empty() {
            let (some, bytes) = (changed, self.publishing.pace.page_bytes);
            let count = some.len().min(self.publishing.pace.page_entities);
            let reading = self.publishing.with_store(move |store, _| {
                let page = read(store, &some[..count], bytes)?;
                Ok((some[page.entities.len()..].to_vec(), page))
            });
            let (rest, page) = reading.await?;
            changed = rest;
            self.write(page).await?;
        }
        let head = self.publisher.head(fold, position);
        self.append(vec![head]).await?;
        let tombstones = self.publisher.tombstones();
        self.append(tombstones).await?;
        self.published = Some(position);
        self.look_around().await
    }

    async fn write(&mut self, page: Page) -> Result<(), Ended> {
        let mut records = Vec::new();
        for (address, body) in page.entities {
            records.extend(self.publisher.entity(&address, body.as_ref(), page.as_of));
        }
        self.append(records).await
    }

    /// A failed append ends the epoch: the record may arrive later, in front of its successor.
    async fn append(&mut self, records: Vec<Record>) -> Result<(), Ended> {
        if records.is_empty() {
            return Ok(());
        }
        for offset in self.publishing.append(records).await? {
            self.is_alone &= offset == self.next;
            self.next = offset.next();
        }
        Ok(())
    }

    /// Reads what others have written up to here, if they have: what earlier epochs left is removed, and a later one
    /// ends this one.
    async fn look_around(&mut self) -> Result<(), Ended> {
        let upto = self.next;
        if !self.is_alone {
            self.is_alone = true;
            let mut reader = self.publishing.log.read(&self.publishing.at, self.unread);
            while self.unread < upto {
                let batch = read_in_time(&mut *reader, self.publishing.pace.read_ms).await;
                let batch = batch.map_err(Ended::Unread)?;
                self.unread = batch.last().map_or(upto, |last| last.offset.next());
                self.sweep(&batch).await?;
            }
        }
        self.unread = self.unread.max(upto);
        Ok(())
    }

    async fn sweep(&mut self, batch: &[xp_transport::Stored]) -> Result<(), Ended> {
        let mut left = Vec::new();
        for stored in batch {
            // What a newer build writes is not ours to judge.
            let Some(of) = word(stored).ok().as_ref().and_then(epoch) else {
                continue;
            };
            if of > self.publisher.epoch() {
                return Err(Ended::Rival);
            }
            if of < self.publisher.epoch() && !stored.record.value.is_empty() {
                left.push(gone(stored.record.key.clone()));
            }
        }
        self.append(left).await
    }
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

/// Some of these entities as they are now, at least one; the header is read on both sides, because a store may be
/// cleared by whoever opens it.
fn read(store: &dyn SnapshotStore, addresses: &[Address], bytes_max: usize) -> Result<Page, Ended> {
    let (_, as_of) = position(store)?.ok_or(Ended::Cleared)?;
    let mut entities = Vec::new();
    let mut bytes = 0;
    for address in addresses {
        let body = body(store, address)?;
        bytes += body.as_ref().map_or(0, |body| body.record.len());
        entities.push((address.clone(), body));
        if bytes > bytes_max {
            break;
        }
    }
    match position(store)? {
        Some((_, again)) if again == as_of => Ok(Page { as_of, entities }),
        _ => Err(Ended::Cleared),
    }
}

fn body(store: &dyn SnapshotStore, address: &Address) -> Result<Option<Body>, StoreError> {
    let Some(record) = store.entity(address)? else {
        return Ok(None);
    };
    // What an earlier epoch has of it is whole, and would be removed.
    if let Err(error) = snapshot::unsealed(&record) {
        let damaged = format!("what is stored of {address} is not published: {error}");
        return Err(StoreError(damaged));
    }
    let pending = store.pending_of(address)?;
    Ok(Some(Body { record, pending }))
}

#[cfg(test)]
mod tests;
