//! Appends what clients say, in order, one request in flight per partition: what arrives meanwhile
//! goes into the next.

mod appender;
mod stall;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use xp_protocol::inbound::Inbound;
use xp_protocol::lane::inbound_topic;
use xp_protocol::{Address, PartitionId, codec};
use xp_transport::{Record, TopicPartition};

use crate::config;
use crate::outlet::Outlet;

pub(crate) use appender::Appender;
pub(crate) use stall::Patience;

/// How much one partition takes before it sheds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) unanswered_max: usize,
    pub(crate) bytes_max: usize,
}

/// One lane, as this edge writes to it.
pub(crate) struct Lane {
    partitions: Vec<Arc<Partition>>,
}

/// One partition's `inbound`.
pub(crate) struct Partition {
    at: TopicPartition,
    bounds: Bounds,
    queue: Mutex<Queue>,
    filled: Notify,
    /// Something that must arrive was acknowledged.
    paid: Notify,
    /// Commands and queries of this edge's sockets without an answer.
    unanswered: AtomicUsize,
    /// The log leaves its appends without an answer, or refuses them.
    stalled: AtomicBool,
}

/// What a partition takes right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Everything.
    Free,
    /// Nothing that may be shed.
    Full,
    /// The same; and what was passed and comes again waits here already, or is in the log.
    Stalled,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries that must arrive and are not acknowledged yet.
    owed: usize,
}

/// What one entry is to its socket.
#[derive(Clone)]
pub(crate) enum Fate {
    /// It is appended again for as long as its socket lives; with patience over, the socket is closed
    /// `lane-lost` and what queued behind it is dropped (R30).
    With(Arc<Outlet>),
    /// It is appended again until it is acknowledged (R28).
    Owed,
    /// It may be lost, and is while the partition is stalled.
    Loose,
}

struct Entry {
    record: Record,
    fate: Fate,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.record.key.len() + self.record.header.len() + self.record.value.len()
    }

    /// An append of its socket was given up, so nothing of it may reach the log any more.
    fn is_lost(&self) -> bool {
        matches!(&self.fate, Fate::With(outlet) if outlet.is_lost())
    }
}

impl Lane {
    pub(crate) fn new(lane: &config::Lane, bounds: Bounds) -> Self {
        let topic: Arc<str> = inbound_topic(&lane.name).into();
        let partition = |index| {
            Arc::new(Partition {
                at: TopicPartition {
                    topic: Arc::clone(&topic),
                    partition: PartitionId(index),
                },
                bounds,
                queue: Mutex::default(),
                filled: Notify::new(),
                paid: Notify::new(),
                unanswered: AtomicUsize::new(0),
                stalled: AtomicBool::new(false),
            })
        };
        Self {
            partitions: (0..lane.partitions).map(partition).collect(),
        }
    }

    pub(crate) fn partitions(&self) -> &[Arc<Partition>] {
        &self.partitions
    }

    /// The partition that hears about `address`.
    pub(crate) fn partition(&self, address: &Address) -> &Arc<Partition> {
        let count = u32::try_from(self.partitions.len()).expect("counted in 32 bits at start");
        let PartitionId(index) = address.partition(count);
        &self.partitions[index as usize]
    }
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it takes.
    pub(crate) fn room(&self) -> Room {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        if self.is_stalled() {
            Room::Stalled
        } else if unanswered >= self.bounds.unanswered_max || self.is_full() {
            Room::Full
        } else {
            Room::Free
        }
    }

    /// Whether so much waits to be appended that nobody else may come in.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes >= self.bounds.bytes_max
    }

    /// Whether its log does not answer right now.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// A socket's number of unanswered commands and queries changed.
    pub(crate) fn outstanding(&self, before: usize, after: usize) {
        if after >= before {
            self.unanswered.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.unanswered.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Queues one message behind all before it.
    pub(crate) fn append(&self, address: &Address, header: &Inbound, value: Bytes, fate: Fate) {
        if matches!(fate, Fate::Loose) && self.is_stalled() {
            return;
        }
        let record = Record {
            key: Bytes::copy_from_slice(address.as_str().as_bytes()),
            header: codec::encode(header).into(),
            value,
        };
        let entry = Entry { record, fate };
        let mut queue = self.lock();
        queue.bytes += entry.bytes();
        queue.owed += usize::from(matches!(entry.fate, Fate::Owed));
        queue.entries.push_back(entry);
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until everything that must arrive is acknowledged.
    pub(crate) async fn paid(&self) {
        loop {
            let paid = self.paid.notified();
            if self.lock().owed == 0 {
                return;
            }
            paid.await;
        }
    }

    /// All that waits, less what lost its socket to an append that was given up.
    fn group(&self) -> Vec<Entry> {
        let mut queue = self.lock();
        let entries = std::mem::take(&mut queue.entries);
        queue.bytes = 0;
        drop(queue);
        entries
            .into_iter()
            .filter(|entry| !entry.is_lost())
            .collect()
    }

    /// The log has it.
    fn settle(&self, entry: &Entry) {
        if matches!(entry.fate, Fate::Owed) {
            self.lock().owed -= 1;
            self.paid.notify_waiters();
        }
    }
}
