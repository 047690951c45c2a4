//! Following one partition of an embedded log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use xp_protocol::{Offset, PartitionId};

use super::partition::{Look, Partition, ReaderId};
use super::segment::Portion;
use super::tail::unpack;
use super::topic::{Topic, out_of_range};
use crate::log::{Bounds, ReadError, Reader, Stored, TopicPartition};

/// A reader of a partition that exists.
pub(super) struct Follower {
    topic: Arc<Topic>,
    partition: PartitionId,
    position: Offset,
    /// Where a record goes once it is read.
    reads_as: Option<ReaderId>,
    /// After an error the reader is at an end.
    failed: Option<ReadError>,
}

impl Follower {
    pub(super) fn new(topic: Arc<Topic>, partition: PartitionId, from: Offset) -> Self {
        let goes_once_read = topic.config.cleanup.goes_once_read();
        let reads_as = goes_once_read.then(|| topic.partitions[partition.0 as usize].enter(from));
        Self {
            topic,
            partition,
            position: from,
            reads_as,
            failed: None,
        }
    }

    /// Changes nothing before it has the records in hand, so that it can be dropped at any `await`.
    async fn step(&mut self) -> Result<Vec<Stored>, ReadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // Who asks for more has done with what it got.
        if let Some(reader) = self.reads_as {
            self.partition().passed(reader, self.position);
        }
        match self.find().await {
            Ok(found) => {
                self.position = found
                    .last()
                    .map_or(self.position, |last| last.offset.next());
                Ok(found)
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn partition(&self) -> &Partition {
        &self.topic.partitions[self.partition.0 as usize]
    }

    async fn find(&mut self) -> Result<Vec<Stored>, ReadError> {
        let topic = Arc::clone(&self.topic);
        let partition = &topic.partitions[self.partition.0 as usize];
        let bytes_max = topic.config.read_bytes as u64;
        let at = || topic.at(self.partition);
        loop {
            match partition.wait(self.position, bytes_max).await {
                Look::Batches(batches) => return Ok(unpack(&batches, self.position)),
                Look::OnDisk(bounds) => {
                    let found = self.find_on_disk(bounds).await?;
                    if !found.records.is_empty() {
                        return Ok(found.records);
                    }
                    // There are holes from here on.
                    self.position = found.reached;
                }
                Look::OutOfRange(bounds) => {
                    return Err(out_of_range(at(), self.position, bounds));
                }
                Look::Closed | Look::AtEnd => {
                    return Err(ReadError::Broken {
                        at: at(),
                        reason: "the log is closed; open it again".to_owned(),
                    });
                }
            }
        }
    }

    async fn find_on_disk(&self, bounds: Bounds) -> Result<Portion, ReadError> {
        let (topic, partition, from) = (Arc::clone(&self.topic), self.partition, self.position);
        let read = move || topic.read_disk(partition, from, bounds.next);
        match tokio::task::spawn_blocking(read).await {
            Ok(found) => found,
            Err(error) => Err(ReadError::Broken {
                at: self.topic.at(self.partition),
                reason: format!("reading the disk was interrupted: {error}"),
            }),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(reader) = self.reads_as {
            self.partition().leave(reader);
        }
    }
}

impl Reader for Follower {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        Box::pin(self.step())
    }
}

/// What reads a partition that does not exist.
pub(super) struct Nowhere(pub(super) TopicPartition);

impl Reader for Nowhere {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        let at = self.0.clone();
        Box::pin(async move { Err(ReadError::Unknown { at }) })
    }
}
