//! A partition's readers: of `events` while it follows, and of `inbound`. A mirror keeps that one open, and what it has
//! read: when it takes over, it assigns nothing.

use std::sync::Arc;

use xp_protocol::Offset;
use xp_protocol::rules::AllRules;
use xp_transport::{Log, ReadError, Reader, Stored};

use crate::node::hosting::Topics;
use crate::read_ahead::ReadAhead;

/// What a partition reads.
pub(super) struct Readers {
    log: Arc<dyn Log>,
    topics: Topics,
    /// How much of `inbound` a mirror keeps.
    ahead_bytes_max: usize,
    pub(super) events: Source,
    pub(super) inbound: Source,
    /// What was read of `inbound` and nobody has heard.
    ahead: ReadAhead,
}

/// Where records come from; from one that is closed none ever come.
pub(super) struct Source(Option<Box<dyn Reader>>);

impl Source {
    /// What comes next. Cancel-safe, as the reader is.
    pub(super) async fn next(&mut self) -> Result<Vec<Stored>, ReadError> {
        match &mut self.0 {
            Some(reader) => reader.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Readers {
    /// Those of a partition that follows `events` from an offset on, and does not read `inbound` yet.
    pub(super) fn new(
        log: Arc<dyn Log>,
        topics: Topics,
        ahead_bytes_max: usize,
        from: Offset,
    ) -> Self {
        Self {
            events: Source(Some(log.read(&topics.events, from))),
            inbound: Source(None),
            ahead: ReadAhead::closed(),
            log,
            topics,
            ahead_bytes_max,
        }
    }

    /// The partition follows `events` from an offset on, and has taken `inbound` up to another.
    pub(super) fn follow(&mut self, from: Offset, inbound: Offset) {
        self.events = Source(Some(self.log.read(&self.topics.events, from)));
        if !self.ahead.has_heard(inbound) {
            self.open_inbound(inbound);
        }
    }

    /// The partition is owned, and hears `inbound` from an offset on: with what is read already, where that reaches.
    pub(super) fn hear(&mut self, from: Offset) {
        self.events = Source(None);
        if !self.ahead.begins_at(from) {
            self.open_inbound(from);
        }
    }

    /// A mirror reads `inbound` ahead from here, unless it does already.
    pub(super) fn read_ahead(&mut self, from: Offset) {
        if !self.ahead.is_open() {
            self.open_inbound(from);
        }
    }

    /// R42: `inbound` has dropped what a mirror has not read yet; it goes on at the first record that there is.
    pub(super) fn skip_to(&mut self, first: Offset) {
        self.open_inbound(first);
    }

    pub(super) fn close_inbound(&mut self) {
        self.inbound = Source(None);
        self.ahead = ReadAhead::closed();
    }

    /// A mirror's batch of `inbound`: kept from `from` on, as far as there is room.
    pub(super) fn keep(&mut self, batch: Vec<Stored>, from: Offset) {
        self.ahead.keep(batch, from);
    }

    /// Everything of `inbound` before an offset is known as taken.
    pub(super) fn forget_before(&mut self, from: Offset) {
        self.ahead.forget_before(from);
    }

    /// What an owner is to hear before it reads on.
    pub(super) fn take(&mut self) -> Option<Vec<Stored>> {
        self.ahead.take()
    }

    /// An owner has heard a batch.
    pub(super) fn heard(&mut self, batch: &[Stored]) {
        if let Some(last) = batch.last() {
            self.ahead.passed(last.offset.next());
        }
    }

    fn open_inbound(&mut self, begin: Offset) {
        self.inbound = Source(Some(self.log.read(&self.topics.inbound, begin)));
        self.ahead = ReadAhead::open(begin, self.ahead_bytes_max, &AllRules);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::{PartitionId, TimeMs};
    use xp_transport::simulated::Simulated;
    use xp_transport::{Record, TopicPartition};

    use super::*;

    fn at(topic: &str) -> TopicPartition {
        TopicPartition {
            topic: topic.into(),
            partition: PartitionId(0),
        }
    }

    /// Readers of a partition with so many messages on `inbound`.
    async fn readers(messages: usize) -> Readers {
        let topics = Topics {
            events: at("main.events"),
            inbound: at("main.inbound"),
            snapshots: at("main.snapshots"),
            outbound: "main.outbound".into(),
        };
        let log = Simulated::new(&[("main.events", 1), ("main.inbound", 1)], TimeMs(0));
        let record = Record {
            key: Bytes::from_static(b"board/1"),
            header: Bytes::new(),
            value: Bytes::new(),
            label: None,
        };
        let acknowledged = log.append(&topics.inbound, vec![record; messages]);
        assert!(acknowledged.await.iter().all(Result::is_ok));
        Readers::new(Arc::new(log), topics, 1 << 20, Offset(0))
    }

    fn offsets(batch: &[Stored]) -> Vec<u64> {
        batch.iter().map(|stored| stored.offset.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_mirror_that_takes_over_hears_what_it_has_read_ahead() {
        let mut readers = readers(4).await;
        readers.read_ahead(Offset(1));
        let batch = readers.inbound.next().await.expect("it can be read");
        readers.keep(batch, Offset(2));
        assert!(readers.take().is_none(), "a mirror hears nothing");
        readers.hear(Offset(2));
        let ahead = readers.take().expect("it was read ahead");
        assert_eq!(offsets(&ahead), [2, 3]);
        readers.heard(&ahead);
        assert!(readers.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_that_was_displaced_reads_again_what_was_not_taken() {
        let mut readers = readers(4).await;
        readers.hear(Offset(0));
        let batch = readers.inbound.next().await.expect("it can be read");
        readers.heard(&batch);
        // Of the four that it heard, two count.
        readers.follow(Offset(0), Offset(2));
        let batch = readers.inbound.next().await.expect("it can be read");
        assert_eq!(offsets(&batch), [2, 3]);
    }
}
