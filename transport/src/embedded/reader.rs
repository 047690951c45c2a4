//! Following one partition of an embedded log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use xp_protocol::{Offset, PartitionId};

use super::partition::Look;
use super::tail::unpack;
use super::topic::{Topic, out_of_range};
use crate::log::{Bounds, ReadError, Reader, Stored, TopicPartition};

/// A reader of a partition that exists.
pub(super) struct Follower {
    topic: Arc<Topic>,
    partition: PartitionId,
    position: Offset,
    /// After an error the reader is at an end.
    failed: Option<ReadError>,
}

impl Follower {
    pub(super) fn new(topic: Arc<Topic>, partition: PartitionId, from: Offset) -> Self {
        Self {
            topic,
            partition,
            position: from,
            failed: None,
        }
    }

    /// Changes nothing before it has the records in hand, so that it can be dropped at any `await`.
    async fn step(&mut self) -> Result<Vec<Stored>, ReadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
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

    async fn find(&self) -> Result<Vec<Stored>, ReadError> {
        let partition = &self.topic.partitions[self.partition.0 as usize];
        let bytes_max = self.topic.config.read_bytes as u64;
        let at = || self.topic.at(self.partition);
        match partition.wait(self.position, bytes_max).await {
            Look::Batches(batches) => Ok(unpack(&batches, self.position)),
            Look::OnDisk(bounds) => self.find_on_disk(bounds).await,
            Look::OutOfRange(bounds) => Err(out_of_range(at(), self.position, bounds)),
            Look::Closed | Look::AtEnd => Err(ReadError::Broken {
                at: at(),
                reason: "the log is closed; open it again".to_owned(),
            }),
        }
    }

    async fn find_on_disk(&self, bounds: Bounds) -> Result<Vec<Stored>, ReadError> {
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
