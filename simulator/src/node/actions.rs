//! The execution of a core's actions: appends, reads and stores.

use xp_state_node::action::Action;
use xp_state_node::schedule::Source;
use xp_state_node::store::Batch;

use super::Node;
use super::held::Flight;
use crate::agenda::{Asker, NodeAck as Ack, NodeDue as Due, Part, Scan};
use crate::history::What;
use crate::ledger;
use crate::partition_name::PartitionName;
use crate::stage::{Stage, events, inbound, outbound};

/// How often a written snapshot reaches the platter at once, per snapshot.
const FLUSH: f64 = 0.4;
/// How often a snapshot cannot be written, per snapshot.
const UNWRITTEN: f64 = 0.05;
/// How often a write of a life that is over still lands.
const LANDS: f64 = 0.5;

impl Node {
    pub(super) fn save(&mut self, part: Part, batch: Batch, stage: &mut Stage) {
        if self.partitions.of(part).is_none() {
            // The shell opens a partition behind the writes of its earlier lives: this one came to nothing, or it
            // lands before anything is cleared.
            if self.closed.is_discarded(part.partition) && stage.chance(LANDS) {
                self.disk.write(part.partition, batch, false);
            }
            return;
        }
        let written = !stage.plan.has_faults() || !stage.chance(UNWRITTEN);
        if written {
            let flushes = stage.chance(FLUSH);
            if let Some(held) = self.partitions.of(part) {
                held.publication.note(&batch);
            }
            self.disk.write(part.partition, batch, flushes);
        }
        if let Some(held) = self.partitions.of(part) {
            held.core.saved(written);
        }
        self.heard(part.partition, Source::Answers, stage);
    }

    /// Does what a core asks for, unless its message has just killed the process.
    pub(super) fn perform(&mut self, partition: PartitionName, stage: &mut Stage) {
        if ledger::has_struck() {
            self.condition.doom();
        }
        while !self.condition.is_doomed()
            && let Some(held) = self.partitions.at(partition)
        {
            let actions = held.core.actions();
            if actions.is_empty() {
                let now = self.clock.now(stage);
                return held.plan_turn(now, &self.process, &mut self.membership, stage);
            }
            for action in actions {
                self.act(partition, action, stage);
            }
        }
    }

    pub(super) fn act(&mut self, partition: PartitionName, action: Action, stage: &mut Stage) {
        let own = partition;
        let me = &self.process;
        let producer = me.producer;
        let Some(held) = self.partitions.at(partition) else {
            return;
        };
        let part = held.part;
        match action {
            Action::Claim(record) => {
                let asker = me.awaits(Ack::Claim(part));
                stage.append(producer, &events(partition), record, asker);
            }
            Action::Append {
                first,
                round,
                records,
            } => {
                let flight = stage.name();
                let under_way = Flight::new(first, round, records.len());
                held.flights.insert(flight, under_way);
                for (index, record) in records.into_iter().enumerate() {
                    let asker = me.awaits(Ack::Batch(part, flight, index));
                    stage.append(producer, &events(partition), record, asker);
                }
            }
            Action::ReadGap { from, upto } => {
                let delay = stage.up_to(10);
                me.plan(stage, delay, Due::Gap(part, from, upto));
            }
            Action::Emit {
                id: emission,
                partition,
                record,
            } => {
                let asker = me.awaits(Ack::Emitted(part, emission));
                let at = outbound(PartitionName { partition, ..own });
                stage.append(producer, &at, record, asker);
            }
            Action::Speak { partition, record } => {
                let at = outbound(PartitionName { partition, ..own });
                stage.append(producer, &at, record, Asker::Nobody);
            }
            Action::Tell(telling) => {
                let target = PartitionName::known(&telling.target);
                let asker = telling.id.map(|told| Ack::Told(part, target, told));
                let asker = asker.map_or(Asker::Nobody, |ack| me.awaits(ack));
                stage.append(producer, &inbound(target), telling.record, asker);
            }
            Action::ReleaseInbound { before } => {
                let epoch = held.core.fold().epoch().unwrap_or_default();
                stage.kept.released.release(partition, epoch, before);
            }
            Action::ReadInbound { from } => {
                let epoch = held.core.fold().epoch().unwrap_or_default();
                stage.begin_inbound(partition, epoch, from);
                if !held.inbound.ahead().begins_at(from) {
                    held.inbound.begin(from, &stage.plan);
                }
                me.plan(stage, 1, Due::PollInbound(partition));
            }
            Action::Rescan {
                id,
                from,
                upto,
                bytes_max,
            } => {
                let scan = Scan {
                    id,
                    from,
                    upto,
                    bytes_max,
                };
                let delay = stage.up_to(20);
                me.plan(stage, delay, Due::Rescan(part, scan));
            }
            Action::FoldAnew { upto, entities } => {
                let delay = stage.up_to(40);
                me.plan(stage, delay, Due::FoldAnew(part, upto, entities));
            }
            Action::Save(batch) => {
                let delay = stage.up_to(60);
                me.plan(stage, delay, Due::Save(part, batch));
            }
            Action::FindInboundEnd => {
                let delay = stage.up_to(10);
                me.plan(stage, delay, Due::InboundEnd(part));
            }
            Action::Follow { .. } => {
                let inbound = held.core.fold().inbound.next();
                if !held.inbound.ahead().has_heard(inbound) {
                    held.inbound.begin(inbound, &stage.plan);
                }
                held.cursor = None;
                me.plan(stage, 1, Due::PollEvents(partition));
            }
            Action::Diverged(address) => {
                let alarm = format!("{address} was folded to another state than the owner's");
                stage.note(What::Alarm(alarm));
            }
            Action::Clear => self.closed.discard(partition),
            Action::Lost(_) => {
                if held.restored && !held.schedule.phase().is_warm() {
                    self.closed.spoil(partition);
                }
                self.lose(partition, stage);
            }
            Action::Stop(reason) => self.stop(partition, &reason, stage),
        }
    }

    /// A life of a partition is over, and another one begins soon.
    pub(super) fn lose(&mut self, partition: PartitionName, stage: &mut Stage) {
        if let Some(held) = self.partitions.close(partition) {
            let faulted = held.core.faulted().clone();
            let due = Due::Reopen(partition, faulted);
            self.process.plan(stage, 10, due);
        }
    }

    /// It cannot go on: it says so, and is not opened again.
    pub(super) fn stop(&mut self, partition: PartitionName, reason: &str, stage: &mut Stage) {
        self.partitions.close(partition);
        self.closed.stop(partition);
        let name = &self.process.name;
        let alarm = format!("{name} stops partition {partition}: {reason}");
        stage.note(What::Alarm(alarm));
    }
}
