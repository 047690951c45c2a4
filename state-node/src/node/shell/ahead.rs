//! The reader of `inbound`. A mirror keeps it open, and what it has read beyond the last message that it knows as taken:
//! when it takes over, it assigns nothing and goes on with what is here.

use std::collections::VecDeque;

use xp_protocol::Offset;
use xp_transport::{ReadError, Reader, Stored};

use super::Shell;

/// A reader, and what it has read and nobody has heard.
pub(super) struct Ahead {
    reader: Option<Box<dyn Reader>>,
    /// Without holes up to where the reader is.
    read: VecDeque<Stored>,
    bytes: usize,
    bytes_max: usize,
    /// The first offset that is here or will come.
    begin: Offset,
    /// Whether what is here is to be heard now.
    heard: bool,
}

impl Ahead {
    /// One that reads nothing.
    pub(super) fn closed() -> Self {
        Self {
            reader: None,
            read: VecDeque::new(),
            bytes: 0,
            bytes_max: 0,
            begin: Offset(0),
            heard: false,
        }
    }

    /// One that reads from an offset on.
    pub(super) fn open(shell: &Shell<'_>, begin: Offset) -> Self {
        let shared = shell.shared;
        Self {
            reader: Some(shared.log.read(&shell.topics.inbound, begin)),
            bytes_max: shared.limits(shell.place).ahead_bytes_max,
            begin,
            ..Self::closed()
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) fn close(&mut self) {
        *self = Self::closed();
    }

    /// What comes next. Cancel-safe, as the reader is.
    pub(super) async fn next(&mut self) -> Result<Vec<Stored>, ReadError> {
        super::next(&mut self.reader).await
    }

    /// A mirror's batch: kept from `from` on, as far as there is room.
    pub(super) fn keep(&mut self, batch: Vec<Stored>, from: Offset) {
        for stored in batch {
            self.bytes += size(&stored);
            self.read.push_back(stored);
        }
        self.forget_before(from);
        while self.bytes > self.bytes_max {
            self.forget_first();
        }
    }

    /// What is known as taken.
    pub(super) fn forget_before(&mut self, from: Offset) {
        while self.read.front().is_some_and(|first| first.offset < from) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.read.pop_front() {
            self.bytes -= size(&first);
            self.begin = first.offset.next();
        }
    }

    /// Whether an owner can begin at `from` with what is here; then it will.
    pub(super) fn begins_at(&mut self, from: Offset) -> bool {
        self.heard = self.is_open() && self.begin <= from;
        self.heard
    }

    /// What an owner is to hear before it reads on.
    pub(super) fn take(&mut self) -> Option<Vec<Stored>> {
        if !self.heard || self.read.is_empty() {
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.read).into())
    }

    /// Whether an owner that is one no longer has heard everything before `from` and nothing behind it; then it reads
    /// on as a mirror.
    pub(super) fn has_heard(&mut self, from: Offset) -> bool {
        let heard = self.is_open() && self.begin == from;
        self.heard = false;
        heard
    }

    /// An owner has heard a batch up to here.
    pub(super) fn passed(&mut self, next: Offset) {
        self.begin = next;
    }
}

fn size(stored: &Stored) -> usize {
    stored.record.key.len() + stored.record.header.len() + stored.record.value.len()
}
