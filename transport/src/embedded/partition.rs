//! One partition as readers see it: its bounds, its batches in memory, and waking those who wait for more. It reads no
//! files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xp_protocol::{Offset, TimeMs};

use super::frame::Batch;
use super::tail::Tail;
use crate::log::Bounds;

/// One partition. Batches appear here once they may be seen: durable ones after their sync.
pub(super) struct Partition {
    state: Mutex<State>,
    grown: Notify,
}

struct State {
    /// The oldest offset on disk; a memory topic has none.
    disk_first: Option<Offset>,
    tail: Tail,
    /// Where those who read now stand; none where a record stays once it is read.
    readers: BTreeMap<ReaderId, Offset>,
    closed: bool,
}

/// A reader of a partition, as long as it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReaderId(u64);

/// What a reader finds at its position.
pub(super) enum Look {
    Batches(Vec<Arc<Batch>>),
    /// Older than what is in memory.
    OnDisk(Bounds),
    AtEnd,
    OutOfRange(Bounds),
    Closed,
}

impl State {
    fn bounds(&self) -> Bounds {
        Bounds {
            first: self.disk_first.unwrap_or_else(|| self.tail.first()),
            next: self.tail.next(),
        }
    }

    fn look(&self, from: Offset, bytes_max: u64) -> Look {
        let bounds = self.bounds();
        if self.closed {
            Look::Closed
        } else if from < bounds.first || from > bounds.next {
            Look::OutOfRange(bounds)
        } else if from == bounds.next {
            Look::AtEnd
        } else if from < self.tail.first() {
            Look::OnDisk(bounds)
        } else {
            Look::Batches(self.tail.from(from, bytes_max))
        }
    }
}

impl Partition {
    pub(super) fn in_memory() -> Self {
        Self::new(None, Offset(0))
    }

    pub(super) fn on_disk(first: Offset, next: Offset) -> Self {
        Self::new(Some(first), next)
    }

    fn new(disk_first: Option<Offset>, next: Offset) -> Self {
        Self {
            state: Mutex::new(State {
                disk_first,
                tail: Tail::new(next),
                readers: BTreeMap::new(),
                closed: false,
            }),
            grown: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.state().bounds()
    }

    pub(super) fn look(&self, from: Offset, bytes_max: u64) -> Look {
        self.state().look(from, bytes_max)
    }

    /// Makes a batch visible and wakes who waits for it.
    pub(super) fn publish(&self, batch: Batch, bytes_max: u64) {
        let mut state = self.state();
        state.tail.push(batch);
        state.tail.trim(bytes_max, None);
        drop(state);
        self.grown.notify_waiters();
    }

    /// Appends to a memory topic; `None` when it is closed, else the first offset.
    pub(super) fn append(&self, make: impl FnOnce(Offset) -> Batch, kept: Kept) -> Option<Offset> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let base = state.tail.next();
        state.tail.push(make(base));
        state.tail.trim(kept.bytes_max, kept.oldest);
        drop(state);
        self.grown.notify_waiters();
        Some(base)
    }

    /// Somebody reads from here on, and what all readers have had goes.
    pub(super) fn enter(&self, from: Offset) -> ReaderId {
        let mut state = self.state();
        let last = state.readers.last_key_value();
        let id = ReaderId(last.map_or(0, |(last, _)| last.0 + 1));
        state.readers.insert(id, from);
        id
    }

    /// A reader has had everything before an offset.
    pub(super) fn passed(&self, reader: ReaderId, position: Offset) {
        let mut state = self.state();
        state.readers.insert(reader, position);
        if let Some(before) = state.readers.values().min().copied() {
            state.tail.release(before);
        }
    }

    /// A reader reads no more.
    pub(super) fn leave(&self, reader: ReaderId) {
        self.state().readers.remove(&reader);
    }

    /// Drops what lies before an offset from a memory topic, in whole batches.
    pub(super) fn release(&self, before: Offset) {
        self.state().tail.release(before);
    }

    /// What lies before `first` is gone from disk.
    pub(super) fn forget_before(&self, first: Offset) {
        self.state().disk_first = Some(first);
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.grown.notify_waiters();
    }

    /// As [`Self::look`], but waits while there is nothing.
    pub(super) async fn wait(&self, from: Offset, bytes_max: u64) -> Look {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            // Signed up before looking, so that no batch slips in between.
            grown.as_mut().enable();
            match self.look(from, bytes_max) {
                Look::AtEnd => grown.await,
                found => return found,
            }
        }
    }
}

/// What a memory topic keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) bytes_max: u64,
    pub(super) oldest: Option<TimeMs>,
}
