//! The newest records of a partition in memory: all there is of a memory topic, and what followers
//! of a durable one are served from.

use std::collections::VecDeque;
use std::sync::Arc;

use xp_protocol::{Offset, TimeMs};

use super::frame::{Batch, record_bytes};
use crate::log::{Record, Stored};

/// An empty tail has room for so many batches at the most.
const BATCHES_KEPT: usize = 64;

/// Batches in rising offsets without holes, up to `next`.
#[derive(Debug)]
pub(super) struct Tail {
    batches: VecDeque<(Arc<Batch>, u64)>,
    bytes: u64,
    next: Offset,
}

impl Tail {
    pub(super) fn new(next: Offset) -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
            next,
        }
    }

    /// The oldest offset here; the end when there is none.
    pub(super) fn first(&self) -> Offset {
        self.batches
            .front()
            .map_or(self.next, |(batch, _)| batch.base)
    }

    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Takes a batch that starts where the tail ends.
    pub(super) fn push(&mut self, batch: Batch) {
        let bytes = batch.records.iter().map(held_bytes).sum();
        self.next = batch.next();
        self.bytes += bytes;
        self.batches.push_back((Arc::new(batch), bytes));
    }

    /// Drops the oldest batches until at most `bytes_max` are left and none is older than `oldest`.
    /// The newest batch stays, whatever its size, unless it is too old.
    pub(super) fn trim(&mut self, bytes_max: u64, oldest: Option<TimeMs>) {
        while let Some((batch, bytes)) = self.batches.front() {
            let too_many = self.bytes > bytes_max && self.batches.len() > 1;
            if !too_many && oldest.is_none_or(|oldest| batch.time >= oldest) {
                break;
            }
            self.bytes -= bytes;
            self.batches.pop_front();
        }
    }

    /// Drops the batches that lie before an offset.
    pub(super) fn release(&mut self, before: Offset) {
        while let Some((_, bytes)) = self
            .batches
            .pop_front_if(|(batch, _)| batch.next() <= before)
        {
            self.bytes -= bytes;
        }
        // A load that is over leaves no room behind.
        if self.batches.is_empty() {
            self.batches.shrink_to(BATCHES_KEPT);
        }
    }

    /// The batches from the one that holds `from`, until they make up `bytes_max`; at least one.
    /// Cheap, so that it can be done under a lock.
    pub(super) fn from(&self, from: Offset, bytes_max: u64) -> Vec<Arc<Batch>> {
        let first = self
            .batches
            .partition_point(|(batch, _)| batch.next() <= from);
        let mut left = bytes_max;
        let mut chosen = Vec::new();
        for (batch, bytes) in self.batches.range(first..) {
            if !chosen.is_empty() && *bytes > left {
                break;
            }
            left = left.saturating_sub(*bytes);
            chosen.push(Arc::clone(batch));
        }
        chosen
    }
}

/// What a record costs in memory: its bytes and the three handles to them.
fn held_bytes(record: &Record) -> u64 {
    (record_bytes(record) + size_of::<Record>()) as u64
}

/// What readers get of `batches` from `from` on.
pub(super) fn unpack(batches: &[Arc<Batch>], from: Offset) -> Vec<Stored> {
    batches
        .iter()
        .flat_map(|batch| batch.stored_from(from))
        .collect()
}
