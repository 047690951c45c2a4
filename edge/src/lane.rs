//! Appends what clients say, in order, one request in flight per partition: what arrives meanwhile
//! goes into the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tracing::warn;
use xp_protocol::inbound::Inbound;
use xp_protocol::lane::inbound_topic;
use xp_protocol::{Address, CloseCode, PartitionId, codec};
use xp_transport::{Log, Record, TopicPartition};

use crate::config;
use crate::outlet::Outlet;

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
    /// If it fails, its socket is closed `lane-lost` and what queued behind it is dropped (R30).
    With(Arc<Outlet>),
    /// It is appended again until it is acknowledged (R28).
    Owed,
    /// It may be lost.
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

    /// Whether it takes what may be shed.
    pub(crate) fn has_room(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) < self.bounds.unanswered_max
            && self.lock().bytes < self.bounds.bytes_max
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

    /// Appends until the end of the edge.
    pub(crate) async fn run(self: Arc<Self>, log: Arc<dyn Log>, retry: Duration) {
        loop {
            let group = self.group();
            if group.is_empty() {
                self.filled.notified().await;
            } else if self.send(log.as_ref(), group).await.is_err() {
                tokio::time::sleep(retry).await;
            }
        }
    }

    /// All that waits, less what lost its socket to a failed append.
    fn group(&self) -> Vec<Entry> {
        let mut queue = self.lock();
        let entries = std::mem::take(&mut queue.entries);
        queue.bytes = 0;
        drop(queue);
        let lost = |entry: &Entry| matches!(&entry.fate, Fate::With(outlet) if outlet.is_lost());
        entries.into_iter().filter(|entry| !lost(entry)).collect()
    }

    async fn send(&self, log: &dyn Log, group: Vec<Entry>) -> Result<(), ()> {
        let records = group.iter().map(|entry| entry.record.clone()).collect();
        let answers = log.append(&self.at, records).await;
        let mut owed = VecDeque::new();
        let mut failed = None;
        for (index, entry) in group.into_iter().enumerate() {
            match (answers.get(index), &entry.fate) {
                (Some(Ok(_)), Fate::Owed) => {
                    self.lock().owed -= 1;
                    self.paid.notify_waiters();
                }
                (Some(Ok(_)), _) => {}
                (answer, fate) => {
                    failed = Some(reason(answer));
                    if let Fate::With(outlet) = fate {
                        outlet.lose();
                        outlet.close(CloseCode::LaneLost, reason(answer));
                    }
                    if matches!(fate, Fate::Owed) {
                        owed.push_back(entry);
                    }
                }
            }
        }
        self.put_back(owed);
        match failed {
            Some(reason) => {
                warn!(target: "xp_edge::lane", at = %self.at, reason, "an append failed");
                Err(())
            }
            None => Ok(()),
        }
    }

    /// What must arrive goes before all that queued meanwhile.
    fn put_back(&self, mut entries: VecDeque<Entry>) {
        let mut queue = self.lock();
        queue.bytes += entries.iter().map(Entry::bytes).sum::<usize>();
        entries.append(&mut queue.entries);
        queue.entries = entries;
    }
}

fn reason<E: std::fmt::Display>(answer: Option<&Result<xp_protocol::Offset, E>>) -> String {
    match answer {
        Some(Err(error)) => error.to_string(),
        _ => "the log gave no answer".to_owned(),
    }
}
