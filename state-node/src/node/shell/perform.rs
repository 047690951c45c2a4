//! What the core asks for, done: appends, reads and snapshots that fly until they answer.

use std::sync::Arc;

use xp_protocol::{LanePartition, Offset, PartitionId};
use xp_transport::{Record, TopicPartition};

use super::ahead::Ahead;
use super::read::{fold_anew, read_bounded, read_upto};
use super::{Done, Flight, Left, Shell, writing};
use crate::action::{Action, Telling};
use crate::anew::FoldingAnew;
use crate::store::Batch;
use crate::tells::TellId;

impl Shell<'_> {
    /// Does what the core asks for; outbound records of one batch go out in one append per partition.
    pub(super) fn perform(&mut self) -> Option<Left> {
        let mut outbound: Vec<(PartitionId, Vec<Option<u64>>, Vec<Record>)> = Vec::new();
        let mut told: Vec<(LanePartition, Vec<Option<TellId>>, Vec<Record>)> = Vec::new();
        for action in self.core.actions() {
            let (id, partition, record) = match action {
                Action::Emit {
                    id,
                    partition,
                    record,
                } => (Some(id), partition, record),
                Action::Speak { partition, record } => (None, partition, record),
                Action::Tell(telling) => {
                    let Telling { target, id, record } = *telling;
                    match told.iter_mut().find(|(to, ..)| *to == target) {
                        Some((_, ids, records)) => {
                            ids.push(id);
                            records.push(record);
                        }
                        None => told.push((target, vec![id], vec![record])),
                    }
                    continue;
                }
                other => {
                    if let Some(left) = self.act(other) {
                        return Some(left);
                    }
                    continue;
                }
            };
            match outbound.iter_mut().find(|(at, ..)| *at == partition) {
                Some((_, ids, records)) => {
                    ids.push(id);
                    records.push(record);
                }
                None => outbound.push((partition, vec![id], vec![record])),
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

    fn act(&mut self, action: Action) -> Option<Left> {
        match action {
            Action::ReadInbound { from } => {
                self.events = None;
                if !self.inbound.read.begins_at(from) {
                    self.inbound = Ahead::open(self, from);
                }
            }
            Action::Follow { from } => {
                self.events = Some(self.shared.log.read(&self.topics.events, from));
                let inbound = self.core.fold().inbound;
                if !self.inbound.read.has_heard(inbound) {
                    self.inbound = Ahead::open(self, inbound);
                }
            }
            Action::Save(batch) => self.save(batch),
            Action::Clear => self.clears = true,
            Action::Lost(why) => {
                tracing::warn!(place = %self.place, why, "a partition was lost and is opened anew");
                return Some(Left::Lost);
            }
            Action::Stop(reason) => return Some(Left::Stopped(reason)),
            flies => self.fly(flies),
        }
        None
    }

    /// What answers later.
    fn fly(&mut self, action: Action) {
        let (log, events) = (&self.shared.log, &self.topics.events);
        let flight: Flight = match action {
            Action::Claim(record) => {
                let acknowledged = log.append(events, vec![record]);
                Box::pin(async move { Done::Claimed(acknowledged.await.iter().all(Result::is_ok)) })
            }
            Action::Append {
                first,
                round,
                records,
            } => {
                let acknowledged = log.append(events, records);
                Box::pin(async move {
                    Done::Appended {
                        first,
                        round,
                        results: acknowledged.await,
                    }
                })
            }
            Action::FindInboundEnd => {
                let (log, inbound) = (Arc::clone(log), self.topics.inbound.clone());
                Box::pin(async move { Done::InboundEnd(log.bounds(&inbound).await) })
            }
            Action::ReadGap { from, upto } => {
                let reader = log.read(events, from);
                Box::pin(async move { Done::Gap(read_upto(reader, upto.next()).await) })
            }
            Action::Rescan {
                id,
                from,
                upto,
                bytes_max,
            } => {
                let reader = log.read(events, from);
                Box::pin(async move {
                    Done::Rescanned {
                        id,
                        batch: read_bounded(reader, upto, bytes_max).await,
                    }
                })
            }
            Action::FoldAnew { upto, entities } => {
                let folding = FoldingAnew::new(&self.shared.domain, entities, upto);
                let reader = log.read(events, Offset(0));
                Box::pin(async move { Done::FoldedAnew(fold_anew(reader, folding).await) })
            }
            _ => return,
        };
        self.flying.push(flight);
    }

    /// R34: what failed is repeated at once, and what is lost later when the target does not confirm it.
    fn tell(&mut self, target: LanePartition, ids: Vec<Option<TellId>>, records: Vec<Record>) {
        let Some(lane) = self.shared.lanes.get(&target.lane) else {
            return;
        };
        let at = TopicPartition {
            topic: Arc::clone(&lane.inbound),
            partition: target.partition,
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
                tracing::error!(%place, %error, "a snapshot was not written; the log keeps everything. Make room on the disk of the data directory, or mend it");
            }
            Done::Saved(written.is_ok())
        }));
    }
}
