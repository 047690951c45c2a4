//! The requests in flight: what a partition has asked of the log and of the disk, and has no answer to yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, LanePartition, Offset, PartitionId, Revision, Seq};
use xp_transport::{AppendError, Bounds, Log, ReadError, Record, Stored, TopicPartition};

use super::read::{self, read_bounded, read_upto};
use crate::anew::FoldingAnew;
use crate::node::hosting::Topics;
use crate::partition::FoldedAnew;
use crate::tells::TellId;

/// What something that was asked comes to.
pub(super) enum Done {
    Claimed(bool),
    Appended {
        first: Seq,
        round: u64,
        results: Vec<Result<Offset, AppendError>>,
    },
    Emitted {
        ids: Vec<Option<u64>>,
        results: Vec<Result<Offset, AppendError>>,
    },
    Told {
        target: LanePartition,
        ids: Vec<Option<TellId>>,
        results: Vec<Result<Offset, AppendError>>,
    },
    Gap(Result<Vec<Stored>, ReadError>),
    Rescanned {
        id: u64,
        batch: Option<Vec<Stored>>,
    },
    Saved(bool),
    FoldedAnew(Vec<FoldedAnew>),
    InboundEnd(Result<Bounds, ReadError>),
}

type Flight = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Everything that a partition waits for, besides its readers. What is asked is begun at once, in the order in which it
/// is asked; answers come in any.
pub(super) struct InFlight {
    log: Arc<dyn Log>,
    topics: Topics,
    asked: FuturesUnordered<Flight>,
}

impl InFlight {
    pub(super) fn new(log: Arc<dyn Log>, topics: Topics) -> Self {
        Self {
            log,
            topics,
            asked: FuturesUnordered::new(),
        }
    }

    /// The next answer; none while nothing is in flight.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Done>> {
        self.asked.poll_next_unpin(cx)
    }

    /// The next answer; none when nothing is in flight.
    pub(super) async fn answer(&mut self) -> Option<Done> {
        self.asked.next().await
    }

    /// Nobody needs what lies before this offset of `inbound`.
    pub(super) fn release_inbound(&self, before: Offset) {
        self.log.release(&self.topics.inbound, before);
    }

    /// Something that is not the log's, such as a write to the disk.
    pub(super) fn ask(&mut self, flight: impl Future<Output = Done> + Send + 'static) {
        self.asked.push(Box::pin(flight));
    }

    pub(super) fn claim(&mut self, record: Record) {
        let acknowledged = self.log.append(&self.topics.events, vec![record]);
        self.ask(async move { Done::Claimed(acknowledged.await.iter().all(Result::is_ok)) });
    }

    pub(super) fn append(&mut self, first: Seq, round: u64, records: Vec<Record>) {
        let acknowledged = self.log.append(&self.topics.events, records);
        self.ask(async move {
            Done::Appended {
                first,
                round,
                results: acknowledged.await,
            }
        });
    }

    /// Only records with an id are waited for.
    pub(super) fn emit(
        &mut self,
        partition: PartitionId,
        ids: Vec<Option<u64>>,
        records: Vec<Record>,
    ) {
        let at = TopicPartition {
            topic: Arc::clone(&self.topics.outbound),
            partition,
        };
        let acknowledged = self.log.append(&at, records);
        if ids.iter().any(Option::is_some) {
            self.ask(async move {
                Done::Emitted {
                    ids,
                    results: acknowledged.await,
                }
            });
        }
    }

    /// R34: what failed is repeated at once, and what is lost later when the target does not confirm it. `inbound` is
    /// the target's; only records with an id are waited for.
    pub(super) fn tell(
        &mut self,
        target: LanePartition,
        inbound: &TopicPartition,
        ids: Vec<Option<TellId>>,
        records: Vec<Record>,
    ) {
        let acknowledged = self.log.append(inbound, records);
        if ids.iter().any(Option::is_some) {
            self.ask(async move {
                Done::Told {
                    target,
                    ids,
                    results: acknowledged.await,
                }
            });
        }
    }

    pub(super) fn find_inbound_end(&mut self) {
        let (log, inbound) = (Arc::clone(&self.log), self.topics.inbound.clone());
        self.ask(async move { Done::InboundEnd(log.bounds(&inbound).await) });
    }

    pub(super) fn read_gap(&mut self, from: Offset, upto: Offset) {
        let reader = self.log.read(&self.topics.events, from);
        self.ask(async move { Done::Gap(read_upto(reader, upto.next()).await) });
    }

    pub(super) fn rescan(&mut self, id: u64, from: Offset, upto: Offset, bytes_max: usize) {
        let reader = self.log.read(&self.topics.events, from);
        self.ask(async move {
            Done::Rescanned {
                id,
                batch: read_bounded(reader, upto, bytes_max).await,
            }
        });
    }

    pub(super) fn fold_anew(
        &mut self,
        domain: &Arc<Registry>,
        upto: Offset,
        entities: Vec<(Address, Revision)>,
    ) {
        let folding = FoldingAnew::new(domain, entities, upto);
        let reader = self.log.read(&self.topics.events, Offset(0));
        self.ask(async move { Done::FoldedAnew(read::fold_anew(reader, folding).await) });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use xp_protocol::TimeMs;
    use xp_transport::simulated::Simulated;

    use super::*;

    fn at(topic: &str) -> TopicPartition {
        TopicPartition {
            topic: topic.into(),
            partition: PartitionId(0),
        }
    }

    /// A partition of answers that nobody waits for would keep its node from coming to an end.
    #[tokio::test(start_paused = true)]
    async fn records_without_an_id_are_appended_and_not_waited_for() {
        let log = Simulated::new(&[("main.outbound", 1)], TimeMs(0));
        let topics = Topics {
            events: at("main.events"),
            inbound: at("main.inbound"),
            snapshots: at("main.snapshots"),
            outbound: "main.outbound".into(),
        };
        let mut in_flight = InFlight::new(Arc::new(log), topics);
        let record = || Record {
            key: Bytes::new(),
            header: Bytes::new(),
            value: Bytes::new(),
            label: None,
        };
        in_flight.emit(PartitionId(0), vec![None], vec![record()]);
        assert!(in_flight.answer().await.is_none());
        in_flight.emit(
            PartitionId(0),
            vec![None, Some(7)],
            vec![record(), record()],
        );
        let Some(Done::Emitted { ids, results }) = in_flight.answer().await else {
            panic!("nothing is waited for");
        };
        assert_eq!(ids, [None, Some(7)]);
        let at: Vec<_> = results.into_iter().flatten().collect();
        assert_eq!(at, [Offset(1), Offset(2)]);
    }
}
