//! The one trait of every backend: topics as partitioned, totally ordered logs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::{LogIdentity, Offset, PartitionId, Revision, TimeMs};

/// What a producer writes. The value is the domain's bytes; the platform's envelope is the header `xp`, on Kafka as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The entity's address, or empty for records about a whole partition.
    pub key: Bytes,
    /// The header named `xp`.
    pub header: Bytes,
    /// The domain's bytes, untouched.
    pub value: Bytes,
    /// What strangers read of it; no reader of ours gets it, and only a log that strangers read has it at all.
    pub label: Option<Arc<Label>>,
}

/// What is known of a commit, for tools that do not know the platform's formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The time that the decision saw.
    pub time: TimeMs,
    /// The entity's revision after it.
    pub revision: Revision,
    /// Whose message caused it, where it was a client's.
    pub subject: Option<Box<str>>,
}

impl Record {
    /// What its header and value take in the log in which they take the most: as text, three bytes take four.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.header.len().div_ceil(3) * 4 + self.value.len()
    }

    /// What a log keeps of it that only we read.
    pub(crate) fn unlabelled(self) -> Self {
        Self {
            label: None,
            ..self
        }
    }
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The record's position in its partition.
    pub offset: Offset,
    /// When the log took it. May jump backwards (a new leader's clock).
    pub time: TimeMs,
    /// The record as it was appended, but for its label.
    pub record: Record,
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's whole name, such as `main.events`.
    pub topic: Arc<str>,
    /// The partition in it.
    pub partition: PartitionId,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The records a log holds now: `first..next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest offset still there.
    pub first: Offset,
    /// The offset the next record will take. A hint: only reading one's own record proves anything.
    pub next: Offset,
}

/// Why an append failed. Whatever it says, the record may or may not be in the log (R12).
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// No acknowledgement in time; appending the identical record again is the cure.
    #[error("no acknowledgement from {at}: {reason}")]
    Unacknowledged {
        /// Where the record should have gone.
        at: TopicPartition,
        /// What the backend said.
        reason: String,
    },
    /// The backend cannot go on (disk full, read-only, closed). Nothing acknowledged is lost.
    #[error("{at} cannot be appended to: {reason}")]
    Broken {
        /// Where the record should have gone.
        at: TopicPartition,
        /// What the backend said, and what would mend it.
        reason: String,
    },
}

/// Why reading stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The asked offset is not in the log: deleted by retention, or the log was truncated.
    #[error("{at} has no offset {wanted}: it holds {first} up to {next}")]
    OutOfRange {
        /// The topic and the partition.
        at: TopicPartition,
        /// The offset that was asked for.
        wanted: Offset,
        /// The oldest offset there is.
        first: Offset,
        /// The end of the log.
        next: Offset,
    },
    /// Stored bytes fail their checksum, or the backend is gone.
    #[error("{at} cannot be read: {reason}")]
    Broken {
        /// The topic and the partition.
        at: TopicPartition,
        /// What is wrong, where, and what would mend it.
        reason: String,
    },
    /// The topic or partition does not exist.
    #[error("{at} does not exist")]
    Unknown {
        /// The topic and the partition that were asked for.
        at: TopicPartition,
    },
}

/// A future without a lifetime.
pub type Eventually<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The acknowledgements of one `append`, one per record, in order. Dropping it does not undo the append.
pub type Acknowledged = Eventually<Vec<Result<Offset, AppendError>>>;

/// A set of topics. Cheap to share.
pub trait Log: Send + Sync + 'static {
    /// Appends `records` in order, after everything appended to `at` by earlier calls of this handle.
    /// Returns at once; the order of calls is the order in the log, and acknowledgements rise with it.
    /// A foreign record may lie between two of them.
    ///
    /// An acknowledged record of a durable topic survives `kill -9` and power loss. A failed one may
    /// be in the log all the same, now or later, once or twice.
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged;

    /// A reader that starts at `from` and follows the end of the log.
    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader>;

    /// The bounds of a partition now.
    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>>;

    /// Names this life of the partition: another identity means that offsets started anew (R4).
    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>>;

    /// How many partitions a topic has; `None` when there is no such topic.
    fn partitions(&self, topic: &str) -> Eventually<Option<u32>>;

    /// Says that nobody needs the records before `before` any more, because what they came to is kept elsewhere (R36).
    /// A log whose retention waits for that may delete them from now on, and what is only in memory goes at once. Others do
    /// not listen: brokers delete by age. It is forgotten with the handle, so it is said anew after every start.
    fn release(&self, _at: &TopicPartition, _before: Offset) {}
}

/// Follows one partition.
pub trait Reader: Send {
    /// The next records, at least one, in rising offsets without holes but for what retention took
    /// before the first read; waits at the end of the log. Batches are bounded in bytes by the backend.
    /// Cancel-safe: a dropped future loses nothing.
    ///
    /// # Errors
    /// After an error the reader is at an end.
    fn next(&mut self)
    -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>>;
}
