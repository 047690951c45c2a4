//! The bounded buffer of one partition's records, in order, between the thread that fetches and the task that reads.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xp_protocol::Offset;

use crate::log::{ReadError, Stored};

/// At so many bytes the partition is fetched no further until its reader has caught up.
const BYTES_MAX: usize = 8 << 20;
/// The most bytes a reader gets at once, but for a single larger record.
const BATCH_BYTES: usize = 1 << 20;

pub(super) struct Mailbox {
    state: Mutex<State>,
    filled: Notify,
}

struct State {
    queue: VecDeque<Stored>,
    bytes: usize,
    /// The offset that comes next from the broker.
    expected: Offset,
    error: Option<ReadError>,
    is_closed: bool,
}

/// What the fetching thread should do about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReaderState {
    /// Its reader keeps up.
    Reading,
    /// Enough is waiting.
    Full,
    /// Nobody reads any more.
    Gone,
}

fn bytes(stored: &Stored) -> usize {
    let record = &stored.record;
    record.key.len() + record.header.len() + record.value.len()
}

impl Mailbox {
    pub(super) fn from(expected: Offset) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            expected,
            error: None,
            is_closed: false,
        };
        Self {
            state: Mutex::new(state),
            filled: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expected(&self) -> Offset {
        self.lock().expected
    }

    /// Adds records whose offsets rise; what was there before is dropped.
    pub(super) fn put(&self, batch: Vec<Stored>) {
        let mut state = self.lock();
        for stored in batch {
            if stored.offset >= state.expected && state.error.is_none() {
                state.expected = stored.offset.next();
                state.bytes += bytes(&stored);
                state.queue.push_back(stored);
            }
        }
        drop(state);
        self.filled.notify_one();
    }

    /// The last thing this mailbox takes; what came before is read first.
    pub(super) fn fail(&self, error: ReadError) {
        self.lock().error.get_or_insert(error);
        self.filled.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    pub(super) fn reader_state(&self) -> ReaderState {
        let state = self.lock();
        match () {
            () if state.is_closed || state.error.is_some() => ReaderState::Gone,
            () if state.bytes >= BYTES_MAX => ReaderState::Full,
            () => ReaderState::Reading,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Cancel-safe: what is taken is handed out at once.
    pub(super) async fn next(&self) -> Result<Vec<Stored>, ReadError> {
        loop {
            let filled = self.filled.notified();
            if let Some(batch) = self.take() {
                return batch;
            }
            filled.await;
        }
    }

    fn take(&self) -> Option<Result<Vec<Stored>, ReadError>> {
        let mut state = self.lock();
        let mut batch = Vec::new();
        let mut taken = 0;
        while let Some(stored) = state.queue.front() {
            taken += bytes(stored);
            if taken > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            state.bytes -= bytes(stored);
            batch.extend(state.queue.pop_front());
        }
        match (batch.is_empty(), &state.error) {
            (false, _) => Some(Ok(batch)),
            (true, Some(error)) => Some(Err(error.clone())),
            (true, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::{PartitionId, TimeMs};

    use super::*;
    use crate::log::{Record, TopicPartition};

    fn stored(offset: u64, bytes: usize) -> Stored {
        Stored {
            offset: Offset(offset),
            time: TimeMs(0),
            record: Record {
                value: Bytes::from(vec![0; bytes]),
                ..Record::default()
            },
        }
    }

    fn offsets(batch: &[Stored]) -> Vec<u64> {
        batch.iter().map(|stored| stored.offset.0).collect()
    }

    #[tokio::test]
    async fn what_was_there_before_is_not_read_again() {
        let mailbox = Mailbox::from(Offset(5));
        mailbox.put(vec![stored(4, 1), stored(5, 1), stored(6, 1)]);
        mailbox.put(vec![stored(6, 1), stored(7, 1)]);
        assert_eq!(offsets(&mailbox.next().await.unwrap()), [5, 6, 7]);
        assert_eq!(mailbox.expected(), Offset(8));
    }

    #[tokio::test]
    async fn an_error_comes_after_the_records_before_it_and_stays() {
        let mailbox = Mailbox::from(Offset(0));
        mailbox.put(vec![stored(0, 1)]);
        let at = TopicPartition {
            topic: "t".into(),
            partition: PartitionId(0),
        };
        mailbox.fail(ReadError::Unknown { at });
        mailbox.put(vec![stored(1, 1)]);
        assert_eq!(offsets(&mailbox.next().await.unwrap()), [0]);
        assert!(mailbox.next().await.is_err() && mailbox.next().await.is_err());
        assert_eq!(mailbox.reader_state(), ReaderState::Gone);
    }

    #[tokio::test]
    async fn batches_are_bounded_and_a_full_mailbox_says_so() {
        let mailbox = Mailbox::from(Offset(0));
        mailbox.put((0..9).map(|offset| stored(offset, 1 << 20)).collect());
        assert_eq!(mailbox.reader_state(), ReaderState::Full);
        assert_eq!(offsets(&mailbox.next().await.unwrap()), [0]);
        assert_eq!(offsets(&mailbox.next().await.unwrap()), [1]);
        assert_eq!(mailbox.reader_state(), ReaderState::Reading);
        let large = Mailbox::from(Offset(0));
        large.put(vec![stored(0, 20 << 20), stored(1, 1)]);
        assert_eq!(offsets(&large.next().await.unwrap()), [0]);
    }
}
