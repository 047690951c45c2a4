//! The execution of a core's actions, in the order in which it asks for them.

use xp_transport::Record;

use super::in_flight::Done;
use super::{LoopEnd, Shell};
use crate::action::{Action, Telling};
use crate::store::Batch;

impl Shell<'_> {
    /// Does what the core asks for; outbound records of one batch go out in one append per partition.
    pub(super) fn perform(&mut self) -> Option<LoopEnd> {
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
                Action::Claim(record) => self.in_flight.claim(record),
                Action::Append {
                    first,
                    round,
                    records,
                } => self.in_flight.append(first, round, records),
                Action::ReadInbound { from } => self.readers.hear(from),
                Action::Follow { from } => {
                    self.readers.follow(from, self.core.fold().inbound.next());
                }
                Action::ReleaseInbound { before } => self.in_flight.release_inbound(before),
                Action::FindInboundEnd => self.in_flight.find_inbound_end(),
                Action::ReadGap { from, upto } => self.in_flight.read_gap(from, upto),
                Action::Rescan {
                    id,
                    from,
                    upto,
                    bytes_max,
                } => self.in_flight.rescan(id, from, upto, bytes_max),
                Action::FoldAnew { upto, entities } => {
                    let domain = self.shared.hosting.domain();
                    self.in_flight.fold_anew(domain, upto, entities);
                }
                Action::Save(batch) => self.save(batch),
                Action::Diverged(address) => {
                    tracing::error!(entity = %address, "the domain's code computes another state from the same events: its `apply` must depend on nothing but the state and the event");
                }
                Action::Clear => self.snapshots.spoil(),
                Action::Lost(why) => {
                    tracing::warn!(partition = %self.partition, why, "a partition was lost and is opened anew");
                    return Some(LoopEnd::Lost);
                }
                Action::Stop(reason) => return Some(LoopEnd::Failed(reason)),
            }
        }
        for (partition, ids, records) in outbound {
            self.in_flight.emit(partition, ids, records);
        }
        for (target, ids, records) in told {
            // Lanes that this node does not know have no partitions.
            if let Some(inbound) = self.shared.hosting.inbound(&target) {
                self.in_flight.tell(target, &inbound, ids, records);
            }
        }
        None
    }

    fn save(&mut self, batch: Batch) {
        let partition = self.partition.clone();
        let writing = self.snapshots.write(batch);
        self.in_flight.ask(async move {
            let written = writing.await;
            if let Err(error) = &written {
                tracing::error!(%partition, %error, "a snapshot was not written; the log keeps everything. Make room on the disk of the data directory, or mend it");
            }
            Done::Saved(written.is_ok())
        });
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
