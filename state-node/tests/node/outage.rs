//! A log of which parts can be away for one node: its topics' appends, or what it reads of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use xp_protocol::{LogIdentity, Offset, PartitionId};
use xp_transport::{
    Acknowledged, Bounds, Eventually, Log, ReadError, Reader, Record, Stored, TopicPartition,
};

/// What waits until it is let go again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Appends to `cluster` and `main.events` land, and are not answered.
    pub(crate) answers: bool,
    /// What `cluster` says is not heard.
    pub(crate) cluster: bool,
    /// Reading `main.inbound` of this partition fails.
    pub(crate) broken: Option<PartitionId>,
}

#[derive(Clone)]
pub(crate) struct Outage {
    log: Arc<dyn Log>,
    held: watch::Sender<Held>,
}

impl Outage {
    pub(crate) fn of(log: Arc<dyn Log>) -> Self {
        let held = watch::channel(Held::default()).0;
        Self { log, held }
    }

    pub(crate) fn hold(&self, held: Held) {
        self.held.send_replace(held);
    }
}

async fn until(held: &mut watch::Receiver<Held>, free: impl Fn(&Held) -> bool) {
    drop(held.wait_for(|held| free(held)).await);
}

impl Log for Outage {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        let answer = self.log.append(at, records);
        if matches!(&*at.topic, "main.inbound" | "main.outbound") {
            return answer;
        }
        let mut held = self.held.subscribe();
        Box::pin(async move {
            until(&mut held, |held| !held.answers).await;
            answer.await
        })
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        let reader = self.log.read(at, from);
        let held = self.held.subscribe();
        match &*at.topic {
            "cluster" => Box::new(Deaf { reader, held }),
            "main.inbound" => {
                let at = at.clone();
                Box::new(Breaking { at, reader, held })
            }
            _ => reader,
        }
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        self.log.bounds(at)
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        self.log.identity(at)
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        self.log.partitions(topic)
    }
}

struct Breaking {
    at: TopicPartition,
    reader: Box<dyn Reader>,
    held: watch::Receiver<Held>,
}

impl Reader for Breaking {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        let at = self.at.clone();
        Box::pin(async move {
            tokio::select! {
                batch = self.reader.next() => batch,
                () = until(&mut self.held, |held| held.broken == Some(at.partition)) => {
                    let reason = "one disk block of it".to_owned();
                    Err(ReadError::Broken { at: at.clone(), reason })
                }
            }
        })
    }
}

struct Deaf {
    reader: Box<dyn Reader>,
    held: watch::Receiver<Held>,
}

impl Reader for Deaf {
    fn next(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Stored>, ReadError>> + Send + '_>> {
        Box::pin(async move {
            loop {
                until(&mut self.held, |held| !held.cluster).await;
                let mut held = self.held.clone();
                tokio::select! {
                    batch = self.reader.next() => return batch,
                    () = until(&mut held, |held| held.cluster) => {}
                }
            }
        })
    }
}
