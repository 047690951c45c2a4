//! The execution of a core's actions: appends, reads and snapshots that are in flight until they answer.

use std::sync::Arc;

use xp_protocol::{Address, LanePartition, Offset, PartitionId, Revision, Seq};
use xp_transport::{Record, TopicPartition};

use super::ahead::Ahead;
use super::read::{self, read_bounded, read_upto};
use super::{Done, Left, Shell, writing};
use crate::action::{Action, Telling};
use crate::anew::FoldingAnew;
use crate::store::Batch;
use crate::tells::TellId;

impl Shell<'_> {
    /// Does what the core asks for; outbound records of one batch go out in one append per partition.
    pub(super) fn perform(&mut self) -> Option<Left> {
        let (mut outbound, mut told) = (Vec::new(), Vec::new());
        for action in self.core.actions() {
            match action {
                Action::Emit {
                    id,
                    partition,
                    record,
                } => group(&mut outbound, partition, Some(id), record),
                Action::Speak { partition, record } => {
                    group(&mut outbound, partition, None, record);
                }
                Action::Tell(telling) => {
                    let Telling { target, id, record } = *telling;
                    group(&mut told, target, id, record);
                }
                Action::Claim(record) => self.claim(record),
                Action::Append {
                    first,
                    round,
                    records,
                } => self.append(first, round, records),
                Action::ReadInbound { from } => self.hear_inbound(from),
                Action::Follow { from } => self.follow(from),
                Action::FindInboundEnd => self.find_inbound_end(),
                Action::ReadGap { from, upto } => self.read_gap(from, upto),
                Action::Rescan {
                    id,
                    from,
                    upto,
                    bytes_max,
                } => self.rescan(id, from, upto, bytes_max),
                Action::FoldAnew { upto, entities } => self.fold_anew(upto, entities),
                Action::Save(batch) => self.save(batch),
                Action::Diverged(address) => {
                    tracing::error!(entity = %address, "the domain's code computes another state from the same events: its `apply` must depend on nothing but the state and the event");
                }
                Action::Clear => self.clears = true,
                Action::Lost(why) => {
                    tracing::warn!(partition = %self.place, why, "a partition was lost and is opened anew");
                    return Some(Left::Lost);
                }
                Action::Stop(reason) => return Some(Left::Stopped(reason)),
            }
        }
        for (partition, ids, records) in outbound {
            self.emit(partition, ids, records);
        }
        for (target, ids, records) in told {
            self.tell(target, ids, records);
        }
        None
    }

    fn emit(&mut self, partition: PartitionId, ids: Vec<Option<u64>>, records: Vec<Record>) {
        let at = TopicPartition {
            topic: Arc::clone(&self.topics.outbound),
            partition,
        };
        let acknowledged = self.shared.log.append(&at, records);
        if ids.iter().any(Option::is_some) {
            self.flying.push(Box::pin(async move {
                Done::Emitted {
                    ids,
                    results: acknowledged.await,
                }
            }));
        }
    }

    fn hear_inbound(&mut self, from: Offset) {
        self.events = None;
        if !self.inbound.read.begins_at(from) {
            self.inbound = Ahead::open(self, from);
        }
    }

    fn follow(&mut self, from: Offset) {
        self.events = Some(self.shared.log.read(&self.topics.events, from));
        let inbound = self.core.fold().inbound;
        if !self.inbound.read.has_heard(inbound) {
            self.inbound = Ahead::open(self, inbound);
        }
    }

    fn claim(&mut self, record: Record) {
        let acknowledged = self.shared.log.append(&self.topics.events, vec![record]);
        self.flying.push(Box::pin(async move {
            Done::Claimed(acknowledged.await.iter().all(Result::is_ok))
        }));
    }

    fn append(&mut self, first: Seq, round: u64, records: Vec<Record>) {
        let acknowledged = self.shared.log.append(&self.topics.events, records);
        self.flying.push(Box::pin(async move {
            Done::Appended {
                first,
                round,
                results: acknowledged.await,
            }
        }));
    }

    fn find_inbound_end(&mut self) {
        let (log, inbound) = (Arc::clone(&self.shared.log), self.topics.inbound.clone());
        self.flying.push(Box::pin(async move {
            Done::InboundEnd(log.bounds(&inbound).await)
        }));
    }

    fn read_gap(&mut self, from: Offset, upto: Offset) {
        let reader = self.shared.log.read(&self.topics.events, from);
        self.flying.push(Box::pin(async move {
            Done::Gap(read_upto(reader, upto.next()).await)
        }));
    }

    fn rescan(&mut self, id: u64, from: Offset, upto: Offset, bytes_max: usize) {
        let reader = self.shared.log.read(&self.topics.events, from);
        self.flying.push(Box::pin(async move {
            Done::Rescanned {
                id,
                batch: read_bounded(reader, upto, bytes_max).await,
            }
        }));
    }

    fn fold_anew(&mut self, upto: Offset, entities: Vec<(Address, Revision)>) {
        let folding = FoldingAnew::new(self.shared.hosting.domain(), entities, upto);
        let reader = self.shared.log.read(&self.topics.events, Offset(0));
        self.flying.push(Box::pin(async move {
            Done::FoldedAnew(read::fold_anew(reader, folding).await)
        }));
    }

    /// R34: what failed is repeated at once, and what is lost later when the target does not confirm it.
    fn tell(&mut self, target: LanePartition, ids: Vec<Option<TellId>>, records: Vec<Record>) {
        let Some(at) = self.shared.hosting.inbound(&target) else {
            return;
        };
        let acknowledged = self.shared.log.append(&at, records);
        if ids.iter().any(Option::is_some) {
            self.flying.push(Box::pin(async move {
                Done::Told {
                    target,
                    ids,
                    results: acknowledged.await,
                }
            }));
        }
    }

    fn save(&self, batch: Batch) {
        let place = self.place.clone();
        let writing = writing::write(Arc::clone(&self.store), Arc::clone(&self.writing), batch);
        self.flying.push(Box::pin(async move {
            let written = writing.await;
            if let Err(error) = &written {
                tracing::error!(partition = %place, %error, "a snapshot was not written; the log keeps everything. Make room on the disk of the data directory, or mend it");
            }
            Done::Saved(written.is_ok())
        }));
    }
}

/// Records that go out in one append, and what each is known by when it is answered.
type Group<K, I> = (K, Vec<Option<I>>, Vec<Record>);

fn group<K: PartialEq, I>(groups: &mut Vec<Group<K, I>>, key: K, id: Option<I>, record: Record) {
    match groups.iter_mut().find(|(known, ..)| *known == key) {
        Some((_, ids, records)) => {
            ids.push(id);
            records.push(record);
        }
        None => groups.push((key, vec![id], vec![record])),
    }
}
