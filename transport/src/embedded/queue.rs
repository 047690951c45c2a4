//! The queue of appends that wait for a journal's next write. It is bounded, and knows no files.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use xp_protocol::{Offset, PartitionId};

use super::frame::record_bytes;
use crate::log::{AppendError, Record};

/// The answer to one call of `append`.
pub(super) type Answer = Vec<Result<Offset, AppendError>>;

/// One call of `append`.
pub(super) struct Append {
    pub(super) partition: PartitionId,
    pub(super) records: Vec<Record>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Append {
    pub(super) fn bytes(&self) -> usize {
        self.records.iter().map(record_bytes).sum()
    }
}

/// What the journal's thread finds.
pub(super) enum Taken {
    Group(Vec<Append>),
    /// Nothing came for a while, or somebody nudged: time to look after retention.
    Idle,
    Closed,
}

/// Why an append did not enter the queue.
pub(super) enum Refused {
    Full,
    Closed,
}

/// A bounded queue that is emptied a group at a time.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    appends: VecDeque<(Append, usize)>,
    bytes: usize,
    closed: bool,
    nudged: bool,
}

impl Waiting {
    fn take(&mut self, bytes_max: usize) -> Vec<Append> {
        let mut taken = Vec::new();
        let mut left = bytes_max;
        while let Some((append, bytes)) = self.appends.pop_front() {
            if !taken.is_empty() && bytes > left {
                self.appends.push_front((append, bytes));
                break;
            }
            left = left.saturating_sub(bytes);
            self.bytes -= bytes;
            taken.push(append);
        }
        taken
    }
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            bytes_max,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an append; one that finds the queue empty enters whatever its size.
    pub(super) fn push(&self, append: Append) -> Result<(), (Append, Refused)> {
        let bytes = append.bytes();
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err((append, Refused::Closed));
        }
        if waiting.bytes > 0 && waiting.bytes + bytes > self.bytes_max {
            return Err((append, Refused::Full));
        }
        waiting.bytes += bytes;
        waiting.appends.push_back((append, bytes));
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that waits, up to `bytes_max`. What was queued before the close is still handed out.
    pub(super) fn take(&self, bytes_max: usize, patience: Duration) -> Taken {
        let is_idle = |waiting: &mut Waiting| {
            waiting.appends.is_empty() && !waiting.closed && !waiting.nudged
        };
        let (mut waiting, _) = self
            .filled
            .wait_timeout_while(self.waiting(), patience, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut waiting.nudged) {
            return Taken::Idle;
        }
        match waiting.take(bytes_max) {
            group if !group.is_empty() => Taken::Group(group),
            _ if waiting.closed => Taken::Closed,
            _ => Taken::Idle,
        }
    }

    /// Lets the journal look after retention soon, however much waits.
    pub(super) fn nudge(&self) {
        self.waiting().nudged = true;
        self.filled.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.filled.notify_one();
    }
}
