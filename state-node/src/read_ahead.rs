//! The messages that a mirror has read of `inbound` beyond the last one that it knows as taken: when it takes over, it
//! goes on with them.
//!
//! No I/O: whoever drives it has the reader, and the simulator runs it as it is.

use std::collections::VecDeque;

use xp_protocol::Offset;
use xp_protocol::rules::{AllRules, Rule, Rules};
use xp_transport::Stored;

/// Messages without holes, from `begin` up to where the reader is.
#[derive(Debug)]
pub struct ReadAhead {
    is_open: bool,
    read: VecDeque<Stored>,
    bytes: usize,
    bytes_max: usize,
    /// The first offset that is here or will come.
    begin: Offset,
    /// Whether what is here is to be heard now.
    heard: bool,
    rules: &'static dyn Rules,
}

impl ReadAhead {
    /// Nothing is read.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            is_open: false,
            read: VecDeque::new(),
            bytes: 0,
            bytes_max: 0,
            begin: Offset(0),
            heard: false,
            rules: &AllRules,
        }
    }

    /// A reader begins at an offset; a mirror keeps up to `bytes_max`, the newest.
    #[must_use]
    pub fn open(begin: Offset, bytes_max: usize, rules: &'static dyn Rules) -> Self {
        Self {
            is_open: true,
            bytes_max,
            begin,
            rules,
            ..Self::closed()
        }
    }

    /// Whether there is a reader.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// A mirror's batch: kept from `from` on, as far as there is room.
    pub fn keep(&mut self, batch: Vec<Stored>, from: Offset) {
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
    pub fn forget_before(&mut self, from: Offset) {
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
    pub fn begins_at(&mut self, from: Offset) -> bool {
        let reaches = self.begin <= from || !self.rules.holds(Rule::AheadReaches);
        self.heard = self.is_open && reaches;
        self.heard
    }

    /// What an owner is to hear before it reads on.
    pub fn take(&mut self) -> Option<Vec<Stored>> {
        if !self.heard || self.read.is_empty() {
            return None;
        }
        self.bytes = 0;
        Some(std::mem::take(&mut self.read).into())
    }

    /// Whether an owner that is one no longer has heard everything before `from` and nothing behind it; then it reads
    /// on as a mirror.
    pub fn has_heard(&mut self, from: Offset) -> bool {
        let heard = self.is_open && self.begin == from;
        self.heard = false;
        heard
    }

    /// An owner has heard a batch up to here.
    pub fn passed(&mut self, next: Offset) {
        self.begin = next;
    }
}

fn size(stored: &Stored) -> usize {
    stored.record.key.len() + stored.record.header.len() + stored.record.value.len()
}
