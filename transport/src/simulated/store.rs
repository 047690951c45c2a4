//! One partition's records, and reading them without missing a truncation.

use std::collections::VecDeque;

use xp_protocol::{LogIdentity, Offset, TimeMs};

use crate::log::{Bounds, ReadError, Record, Stored, TopicPartition};

/// The records of one partition.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) identity: LogIdentity,
    records: VecDeque<Stored>,
    next: Offset,
    /// Where each truncation so far ended the partition.
    truncations: Vec<Offset>,
    /// How far the clock that stamps records is off.
    pub(super) skew_ms: i64,
}

/// A reader's place. It notices a truncation below itself even when the log has grown over it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) at: TopicPartition,
    pub(super) position: Offset,
    pub(super) identity: LogIdentity,
    pub(super) truncations: usize,
}

impl Cursor {
    /// The offset that will be read next.
    #[must_use]
    pub const fn position(&self) -> Offset {
        self.position
    }

    /// Which partition it reads.
    #[must_use]
    pub const fn at(&self) -> &TopicPartition {
        &self.at
    }
}

impl Store {
    pub(super) fn new(identity: LogIdentity) -> Self {
        Self {
            identity,
            records: VecDeque::new(),
            next: Offset(0),
            truncations: Vec::new(),
            skew_ms: 0,
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            first: self.records.front().map_or(self.next, |first| first.offset),
            next: self.next,
        }
    }

    pub(super) fn land(&mut self, now: TimeMs, record: Record) -> Offset {
        let offset = self.next;
        self.records.push_back(Stored {
            offset,
            time: TimeMs(now.0.saturating_add_signed(self.skew_ms)),
            record,
        });
        self.next = offset.next();
        offset
    }

    /// Drops the records from `next` on; their offsets will be used again.
    pub(super) fn truncate(&mut self, next: Offset) {
        let first = self.bounds().first;
        let kept = next.0.saturating_sub(first.0);
        self.records
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.next = self.next.min(next.max(first));
        self.truncations.push(self.next);
    }

    /// Drops the records before `first`.
    pub(super) fn retain_from(&mut self, first: Offset) {
        while self
            .records
            .front()
            .is_some_and(|oldest| oldest.offset < first)
        {
            self.records.pop_front();
        }
    }

    /// The records from `from` on; empty at the end.
    pub(super) fn records(
        &self,
        at: &TopicPartition,
        from: Offset,
    ) -> Result<impl Iterator<Item = &Stored> + use<'_>, ReadError> {
        let bounds = self.bounds();
        if from < bounds.first || from > bounds.next {
            return Err(self.out_of_range(at, from));
        }
        let skipped = usize::try_from(from.0 - bounds.first.0).unwrap_or(usize::MAX);
        Ok(self.records.range(skipped..))
    }

    pub(super) fn cursor(&self, at: &TopicPartition, from: Offset) -> Cursor {
        Cursor {
            at: at.clone(),
            position: from,
            identity: self.identity,
            truncations: self.truncations.len(),
        }
    }

    /// The records at a cursor, which moves behind them.
    pub(super) fn read(
        &self,
        cursor: &mut Cursor,
        bytes_max: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        let truncated = || {
            self.truncations[cursor.truncations..]
                .iter()
                .any(|end| *end < cursor.position)
        };
        if cursor.identity != self.identity || truncated() {
            return Err(self.out_of_range(&cursor.at, cursor.position));
        }
        let found = first_bytes(self.records(&cursor.at, cursor.position)?, bytes_max);
        cursor.truncations = self.truncations.len();
        cursor.position = found
            .last()
            .map_or(cursor.position, |last| last.offset.next());
        Ok(found)
    }

    fn out_of_range(&self, at: &TopicPartition, wanted: Offset) -> ReadError {
        let Bounds { first, next } = self.bounds();
        ReadError::OutOfRange {
            at: at.clone(),
            wanted,
            first,
            next,
        }
    }
}

fn first_bytes<'a>(records: impl Iterator<Item = &'a Stored>, bytes_max: usize) -> Vec<Stored> {
    let mut taken = 0;
    let fits = |stored: &&Stored| {
        let Record {
            key, header, value, ..
        } = &stored.record;
        let is_first = taken == 0;
        // Even an empty record costs something, so that the first is told from the others.
        taken += 1 + key.len() + header.len() + value.len();
        is_first || taken <= bytes_max
    };
    records.take_while(fits).cloned().collect()
}
