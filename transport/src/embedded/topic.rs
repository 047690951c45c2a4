//! One topic, as its handle, its journal and its readers share it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::oneshot;
use xp_protocol::{LogIdentity, Offset, PartitionId, TimeMs};

use super::config::{Durability, Retention, TopicConfig};
use super::error::OpenError;
use super::frame::{Batch, record_bytes};
use super::machine::Machine;
use super::partition::{Kept, Partition};
use super::queue::{Answer, Append, Queue, Refused};
use super::segment::{Portion, Segment, Segments, Wanted, holding};
use crate::log::{Acknowledged, AppendError, Bounds, ReadError, Record, TopicPartition};

/// A topic that is open.
pub(super) struct Topic {
    pub(super) config: TopicConfig,
    pub(super) identity: LogIdentity,
    pub(super) machine: Arc<dyn Machine>,
    pub(super) partitions: Vec<Partition>,
    /// What waits for the disk; unused in memory.
    pub(super) queue: Queue,
    /// Empty in memory.
    pub(super) segments: RwLock<Segments>,
    /// What nobody needs any more lies before these offsets.
    released: Mutex<Vec<Offset>>,
}

impl Topic {
    pub(super) fn in_memory(config: TopicConfig, machine: Arc<dyn Machine>) -> Self {
        let partitions = (0..config.partitions)
            .map(|_| Partition::in_memory())
            .collect();
        let identity = machine.fresh_identity();
        Self::new(config, identity, machine, partitions, Segments::new())
    }

    pub(super) fn new(
        config: TopicConfig,
        identity: LogIdentity,
        machine: Arc<dyn Machine>,
        partitions: Vec<Partition>,
        segments: Segments,
    ) -> Self {
        Self {
            queue: Queue::new(config.queue_bytes),
            segments: RwLock::new(segments),
            released: Mutex::new(vec![Offset(0); partitions.len()]),
            config,
            identity,
            machine,
            partitions,
        }
    }

    pub(super) fn at(&self, partition: PartitionId) -> TopicPartition {
        TopicPartition {
            topic: Arc::clone(&self.config.name),
            partition,
        }
    }

    pub(super) fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(partition.0 as usize)
    }

    /// As [`crate::log::Log::append`], for a partition that exists.
    pub(super) fn append(&self, partition: PartitionId, records: Vec<Record>) -> Acknowledged {
        if let Some(too_large) = records
            .iter()
            .map(record_bytes)
            .find(|bytes| *bytes > self.config.record_bytes)
        {
            let limit = self.config.record_bytes;
            return self.refuse(partition, records.len(), |at| AppendError::Broken {
                at,
                reason: format!(
                    "a record takes {too_large} bytes and the topic's record_bytes is {limit}"
                ),
            });
        }
        // What is served from memory is what a restart reads from the disk.
        let records = records.into_iter().map(Record::unlabelled).collect();
        match self.config.durability {
            Durability::Fsync => self.enqueue(partition, records),
            Durability::Memory => self.append_in_memory(partition, records),
        }
    }

    fn refuse(
        &self,
        partition: PartitionId,
        count: usize,
        error: impl FnOnce(TopicPartition) -> AppendError,
    ) -> Acknowledged {
        let answer = vec![Err(error(self.at(partition))); count];
        Box::pin(async move { answer })
    }

    fn enqueue(&self, partition: PartitionId, records: Vec<Record>) -> Acknowledged {
        let (answer, answered) = oneshot::channel();
        let count = records.len();
        let append = Append {
            partition,
            records,
            answer,
        };
        if let Err((_, refused)) = self.queue.push(append) {
            return self.refuse(partition, count, |at| self.refusal(at, &refused));
        }
        let lost = AppendError::Broken {
            at: self.at(partition),
            reason: "the log's writer has stopped; start the process again".to_owned(),
        };
        Box::pin(async move { answered.await.unwrap_or_else(|_| vec![Err(lost); count]) })
    }

    fn refusal(&self, at: TopicPartition, refused: &Refused) -> AppendError {
        match refused {
            Refused::Closed => closed_to_appends(at),
            Refused::Full => AppendError::Unacknowledged {
                at,
                reason: format!(
                    "{} bytes wait for the disk already, which is the topic's queue_bytes; append again",
                    self.config.queue_bytes
                ),
            },
        }
    }

    fn append_in_memory(&self, partition: PartitionId, records: Vec<Record>) -> Acknowledged {
        let now = self.machine.now();
        let count = records.len();
        let mut answer: Answer = Vec::with_capacity(count);
        for records in split(records, self.config.batch_bytes) {
            let landed = records.len() as u64;
            let make = |base| Batch {
                partition,
                base,
                time: now,
                records,
            };
            match self.partitions[partition.0 as usize].append(make, self.kept(now)) {
                Some(base) => {
                    answer.extend((base.0..base.0 + landed).map(|offset| Ok(Offset(offset))))
                }
                None => return self.refuse(partition, count, closed_to_appends),
            }
        }
        Box::pin(async move { answer })
    }

    fn kept(&self, now: TimeMs) -> Kept {
        let Retention { bytes, age_ms } = self.config.cleanup.retention();
        Kept {
            bytes_max: bytes.unwrap_or(u64::MAX),
            oldest: age_ms.map(|age_ms| TimeMs(now.0.saturating_sub(age_ms))),
        }
    }

    /// As [`crate::log::Log::release`], for a partition that exists.
    pub(super) fn release(&self, partition: PartitionId, before: Offset) {
        if self.config.durability == Durability::Memory {
            self.partitions[partition.0 as usize].release(before);
            return;
        }
        if !self.config.cleanup.waits_for_release() {
            return;
        }
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut released[partition.0 as usize];
        if before > *known {
            *known = before;
            drop(released);
            self.queue.nudge();
        }
    }

    /// A partition whose records before its offset in `firsts` are not all released, and up to where they are.
    pub(super) fn unreleased(&self, firsts: &[Offset]) -> Option<(PartitionId, Offset)> {
        if !self.config.cleanup.waits_for_release() {
            return None;
        }
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        let mut partitions = (0..).map(PartitionId).zip(released.iter().zip(firsts));
        let held = partitions.find(|(_, (released, first))| released < first);
        held.map(|(partition, (released, _))| (partition, *released))
    }

    /// Reads what is no longer in memory. Blocks on the disk.
    pub(super) fn read_disk(
        &self,
        partition: PartitionId,
        from: Offset,
        until: Offset,
    ) -> Result<Portion, ReadError> {
        let wanted = Wanted {
            partition,
            from,
            until,
            bytes_max: self.config.read_bytes as u64,
        };
        let found = self.find(&wanted);
        let bounds = self.partitions[partition.0 as usize].bounds();
        // Retention may have taken the segment away meanwhile.
        if from < bounds.first {
            return Err(out_of_range(self.at(partition), from, bounds));
        }
        found.map_err(|error| ReadError::Broken {
            at: self.at(partition),
            reason: error.full(),
        })
    }

    fn find(&self, wanted: &Wanted) -> Result<Portion, OpenError> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        if self.config.cleanup.compaction().is_some() {
            // The lock is held, because compaction puts other files in the place of these.
            return self.find_between_holes(&segments, *wanted);
        }
        let held = segments.clone();
        drop(segments);
        let Some((segment, next)) = holding(&held, wanted.partition, wanted.from)? else {
            return Ok(nothing(wanted));
        };
        let found = segment.read(&*self.machine, wanted, next.as_deref())?;
        match found.records.first() {
            Some(first) if first.offset == wanted.from => Ok(found),
            _ => Err(misplaced(&segment, wanted)),
        }
    }

    fn find_between_holes(
        &self,
        segments: &Segments,
        mut wanted: Wanted,
    ) -> Result<Portion, OpenError> {
        while wanted.from < wanted.until {
            let Some((segment, next)) = holding(segments, wanted.partition, wanted.from)? else {
                break;
            };
            let found = segment.read(&*self.machine, &wanted, next.as_deref())?;
            if found.reached <= wanted.from {
                return Err(misplaced(&segment, &wanted));
            }
            if !found.records.is_empty() {
                return Ok(found);
            }
            wanted.from = found.reached;
        }
        Ok(nothing(&wanted))
    }

    pub(super) fn close(&self) {
        self.queue.close();
        self.partitions.iter().for_each(Partition::close);
    }
}

fn nothing(wanted: &Wanted) -> Portion {
    Portion {
        records: Vec::new(),
        reached: wanted.from,
    }
}

fn misplaced(segment: &Segment, wanted: &Wanted) -> OpenError {
    OpenError::damaged(
        &segment.path,
        0,
        format!(
            "offset {} of partition {} is not where the index says",
            wanted.from, wanted.partition
        ),
    )
}

fn closed_to_appends(at: TopicPartition) -> AppendError {
    AppendError::Broken {
        at,
        reason: "the log is closed; open it again".to_owned(),
    }
}

pub(super) fn out_of_range(at: TopicPartition, wanted: Offset, bounds: Bounds) -> ReadError {
    ReadError::OutOfRange {
        at,
        wanted,
        first: bounds.first,
        next: bounds.next,
    }
}

/// Splits records into batches of at most `bytes_max`, but for a single larger record.
pub(super) fn split(records: Vec<Record>, bytes_max: usize) -> Vec<Vec<Record>> {
    let mut batches: Vec<Vec<Record>> = Vec::new();
    let mut left = 0;
    for record in records {
        let bytes = record_bytes(&record);
        match batches.last_mut() {
            Some(batch) if bytes <= left => {
                batch.push(record);
                left -= bytes;
            }
            _ => {
                batches.push(vec![record]);
                left = bytes_max.saturating_sub(bytes);
            }
        }
    }
    batches
}
