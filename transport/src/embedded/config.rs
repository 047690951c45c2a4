//! The configuration of the embedded log: its topics, and the bounds of each.

mod cleanup;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::OpenError;

pub use cleanup::{Cleanup, Compaction, Retention};

/// The topics of an embedded log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each topic once. What is on disk but not named here stays untouched.
    pub topics: Vec<TopicConfig>,
}

/// Whether an acknowledged record outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged after an fdatasync; survives `kill -9` and power loss. One identity for ever.
    Fsync,
    /// In memory only, acknowledged at once; a new identity with every open (R4).
    Memory,
}

/// One topic and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The whole name, such as `main.events`: letters, digits, `.`, `_` and `-`, starting with a
    /// letter or digit, because it names a directory.
    pub name: Arc<str>,
    /// How many partitions; fixed for the life of a durable topic.
    pub partitions: u32,
    /// Memory or disk.
    pub durability: Durability,
    /// Which records go, and when.
    pub cleanup: Cleanup,
    /// A segment file that has reached this size is sealed and the next one begun. It exceeds it by
    /// at most one group. Opening reads one such file.
    pub segment_bytes: u64,
    /// The most bytes one write and one sync take together. What waits beyond goes into the next.
    pub group_bytes: usize,
    /// The most bytes of one checksummed batch, but for a single larger record.
    pub batch_bytes: usize,
    /// The largest record. A larger one is refused with `Broken`.
    pub record_bytes: usize,
    /// The most bytes that wait for the disk. Beyond it an append is refused with `Unacknowledged`.
    pub queue_bytes: usize,
    /// The most bytes a reader gets at once, but for a single larger batch.
    pub read_bytes: usize,
    /// The newest bytes per partition that readers of a durable topic get from memory; older ones are
    /// read from disk.
    pub tail_bytes: usize,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let mut names = BTreeSet::new();
        for topic in &self.topics {
            topic.check()?;
            if !names.insert(&topic.name) {
                return Err(topic.misconfigured("is configured twice: keep one of them"));
            }
        }
        Ok(())
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

impl TopicConfig {
    /// A durable topic that keeps everything.
    #[must_use]
    pub fn durable(name: &str, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            durability: Durability::Fsync,
            cleanup: Cleanup::default(),
            segment_bytes: 64 * MIB as u64,
            group_bytes: 4 * MIB,
            batch_bytes: 256 * KIB,
            record_bytes: 64 * MIB,
            queue_bytes: 128 * MIB,
            read_bytes: MIB,
            tail_bytes: MIB,
        }
    }

    /// A topic in memory that keeps the newest `bytes` of each partition.
    #[must_use]
    pub fn memory(name: &str, partitions: u32, bytes: u64) -> Self {
        Self {
            durability: Durability::Memory,
            cleanup: Cleanup::default().keeping(Retention {
                bytes: Some(bytes),
                age_ms: None,
            }),
            ..Self::durable(name, partitions)
        }
    }

    /// The same topic with another retention.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        let cleanup = self.cleanup.keeping(retention);
        Self { cleanup, ..self }
    }

    /// The same topic, of which nothing goes before it is released.
    #[must_use]
    pub fn once_released(self) -> Self {
        let cleanup = self.cleanup.once_released();
        Self { cleanup, ..self }
    }

    /// The same topic in memory, of which goes what all readers have had.
    #[must_use]
    pub fn once_read(self) -> Self {
        let cleanup = self.cleanup.once_read();
        Self { cleanup, ..self }
    }

    /// The same topic, compacted.
    #[must_use]
    pub fn compacted(self, compaction: Compaction) -> Self {
        let cleanup = self.cleanup.compacted(compaction);
        Self { cleanup, ..self }
    }

    fn check(&self) -> Result<(), OpenError> {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !self.name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !self.name.chars().all(is_fit)
        {
            return Err(self.misconfigured("names a directory: use letters, digits, '.', '_' and '-', starting with a letter or digit"));
        }
        if self.partitions == 0 {
            return Err(self.misconfigured("has no partition: give it at least one"));
        }
        if let Some(problem) = self.cleanup.problem(self.durability) {
            return Err(self.misconfigured(problem));
        }
        if self.batch_bytes.max(self.record_bytes) > GIB {
            return Err(
                self.misconfigured("has a batch_bytes or record_bytes over 1 GiB: make it smaller")
            );
        }
        Ok(())
    }

    fn misconfigured(&self, what: &'static str) -> OpenError {
        OpenError::Config {
            topic: self.name.to_string(),
            what,
        }
    }
}
