//! The append queues of one lane, by partition: what clients say, in order, one request in flight each; what arrives
//! meanwhile goes into the next.

mod appender;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};
use xp_protocol::flow::weight;
use xp_protocol::inbound::Inbound;
use xp_protocol::lane::{inbound_topic, outbound_topic};
use xp_protocol::{Address, Offset, PartitionId, codec};
use xp_transport::{Record, TopicPartition};

use crate::config;
use crate::flow::{Account, BUDGET_MIN, CALM, Charge, Room, Share};
use crate::passage::QueuedAppend;
use crate::send_queue::SendQueue;

pub(crate) use appender::Appender;

/// An owner of which nothing was heard for so long, although much waits, takes nothing.
const TAKES_WITHIN: Duration = Duration::from_secs(5);

/// How much one partition takes before it sheds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) unanswered_max: usize,
    pub(crate) bytes_max: usize,
    /// What may wait for the owner, of all edges together.
    pub(crate) behind_max: u64,
}

/// One lane, as this edge writes to it.
pub(crate) struct Lane {
    partitions: Vec<Arc<Partition>>,
}

/// One partition's `inbound`.
pub(crate) struct Partition {
    at: TopicPartition,
    /// Where its owner answers.
    outbound: Arc<str>,
    bounds: Bounds,
    queue: Mutex<Queue>,
    filled: Notify,
    /// Something that must arrive was acknowledged.
    paid: Notify,
    /// Commands and queries of this edge's sockets without an answer.
    unanswered: AtomicUsize,
    /// What its owner has not taken (R42).
    pub(crate) account: Arc<Account>,
    /// What the edge itself says.
    own: Arc<Share>,
    /// Whether it was said that the owner is behind.
    behind: AtomicBool,
    /// When its owner last said that it had taken something, or when little began to be much.
    took_at: Mutex<Instant>,
    /// The log leaves its appends without an answer, or refuses them.
    stalled: AtomicBool,
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
    With(Arc<SendQueue>),
    /// It is appended again until it is acknowledged (R28).
    Owed,
    /// It may be lost, and is while the partition is stalled.
    Loose,
}

struct Entry {
    record: Record,
    fate: Fate,
    charge: Charge,
}

fn bytes(record: &Record) -> usize {
    record.key.len() + record.header.len() + record.value.len()
}

impl QueuedAppend for Entry {
    fn is_loose(&self) -> bool {
        matches!(self.fate, Fate::Loose)
    }

    fn is_lost(&self) -> bool {
        matches!(&self.fate, Fate::With(send_queue) if send_queue.is_lost())
    }
}

impl Lane {
    pub(crate) fn new(lane: &config::Lane, bounds: Bounds) -> Self {
        let topic: Arc<str> = inbound_topic(&lane.name).into();
        let outbound: Arc<str> = outbound_topic(&lane.name).into();
        let partition = |index| {
            let account = Account::new(bounds.behind_max.max(BUDGET_MIN));
            Arc::new(Partition {
                own: account.share(""),
                account,
                behind: AtomicBool::new(false),
                took_at: Mutex::new(Instant::now()),
                at: TopicPartition {
                    topic: Arc::clone(&topic),
                    partition: PartitionId(index),
                },
                outbound: Arc::clone(&outbound),
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

    /// What it takes of a subject.
    pub(crate) fn room(&self, share: &Share) -> Room {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        if self.is_stalled() {
            Room::Nothing
        } else if unanswered >= self.bounds.unanswered_max || self.is_full() {
            share.room().max(Room::NothingNew)
        } else {
            share.room()
        }
    }

    /// Which of its lane it is.
    pub(crate) fn index(&self) -> PartitionId {
        self.at.partition
    }

    /// Whether its owner answers on this topic.
    pub(crate) fn speaks_on(&self, outbound: &str) -> bool {
        *self.outbound == *outbound
    }

    /// So many edges share what may wait for the owner.
    pub(crate) fn share_with(&self, edges: u64) {
        let budget = self.bounds.behind_max / edges.max(1);
        self.account.set_budget(budget.max(BUDGET_MIN));
    }

    /// Whether its owner is so far behind that everybody is held back, or takes nothing of what waits.
    pub(crate) fn is_behind(&self) -> bool {
        let waits = self.account.waiting() >= CALM;
        self.account.is_behind() || waits && self.took_at().elapsed() >= TAKES_WITHIN
    }

    fn took_at(&self) -> MutexGuard<'_, Instant> {
        self.took_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner has taken everything before `upto` (R42).
    pub(crate) fn taken(&self, upto: Offset) {
        self.account.taken(upto);
        *self.took_at() = Instant::now();
        let caught_up = self.account.waiting() < CALM;
        if caught_up && self.behind.swap(false, Ordering::Relaxed) {
            info!(target: "xp_edge::lane", at = %self.at, "the partition's owner has caught up");
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

    /// Queues what the edge itself says.
    pub(crate) fn say(&self, address: &Address, header: &Inbound, value: Bytes, fate: Fate) {
        self.append(address, header, value, fate, &self.own);
    }

    /// Queues one message of a subject behind all before it.
    pub(crate) fn append(
        &self,
        address: &Address,
        header: &Inbound,
        value: Bytes,
        fate: Fate,
        share: &Arc<Share>,
    ) {
        if matches!(fate, Fate::Loose) && self.is_stalled() {
            return;
        }
        let record = Record {
            key: Bytes::copy_from_slice(address.as_str().as_bytes()),
            header: codec::encode(header).into(),
            value,
            ..Record::default()
        };
        let bytes = bytes(&record);
        let charge = share.charge(weight(bytes));
        let entry = Entry {
            record,
            fate,
            charge,
        };
        let mut queue = self.lock();
        queue.bytes += bytes;
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

    /// All that waits.
    fn group(&self) -> Vec<Entry> {
        let mut queue = self.lock();
        queue.bytes = 0;
        std::mem::take(&mut queue.entries).into()
    }

    /// The log has it, and the owner has it to take.
    fn settle(&self, entry: Entry) -> Charge {
        if matches!(entry.fate, Fate::Owed) {
            self.lock().owed -= 1;
            self.paid.notify_waiters();
        }
        entry.charge
    }

    /// The log has these.
    fn landed(&self, charges: Vec<(Offset, Charge)>) {
        if self.account.waiting() < CALM {
            *self.took_at() = Instant::now();
        }
        self.account.landed(charges);
        if self.account.is_behind() && !self.behind.swap(true, Ordering::Relaxed) {
            warn!(
                target: "xp_edge::lane", at = %self.at,
                "the partition's owner does not take as much as clients say; most is answered busy until it has"
            );
        }
    }
}
