//! The reads of a node: what its cores want to read.

use xp_protocol::{Address, Offset, Revision};
use xp_state_node::anew::FoldingAnew;
use xp_state_node::large::record_bytes;
use xp_state_node::schedule::Source;
use xp_transport::Stored;

use super::Node;
use crate::agenda::{NodeDue as Due, Part, Scan};
use crate::history::What;
use crate::partition_name::PartitionName;
use crate::plan::Feature;
use crate::stage::{Stage, events, inbound};

/// How many records one reading takes at most.
const READ_MAX: u64 = 12;
/// How long a slow partition takes for what it has read, in milliseconds.
const SLOW_MS: u64 = 40;

/// What lies in a gap, with its end.
pub(super) fn gap(
    partition: PartitionName,
    (from, upto): (Offset, Offset),
    stage: &Stage,
) -> Vec<Stored> {
    let count = upto.0 + 1 - from.0;
    stage.read(&events(partition), from, count as usize)
}

/// A portion of what is asked for; `None` when it is gone.
fn portion(partition: PartitionName, scan: &Scan, stage: &Stage) -> Option<Vec<Stored>> {
    if scan.from < stage.first_event(partition) {
        return None;
    }
    let count = scan.upto.0.saturating_sub(scan.from.0) as usize;
    let batch = stage.read(&events(partition), scan.from, count);
    let mut bytes = 0;
    let portion = batch.into_iter().take_while(|stored| {
        let wanted = bytes < scan.bytes_max;
        bytes += record_bytes(&stored.record);
        wanted
    });
    Some(portion.collect())
}

impl Node {
    pub(super) fn read_events(&mut self, partition: PartitionName, stage: &mut Stage) {
        let now = self.clock.now(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let Some(held) = self.partitions.at(partition) else {
            return;
        };
        let Some(from) = held.core.next_event() else {
            return;
        };
        if from < stage.first_event(partition) {
            // Retention has passed the place where it read.
            return self.lose(partition, stage);
        }
        let at = events(partition);
        if let Some(cursor) = &mut held.cursor
            && let Err(error) = stage.log.read(cursor, 1)
        {
            return self.stop(partition, &error.to_string(), stage);
        }
        let batch = stage.read(&at, from, count as usize);
        let next = batch.last().map_or(from, |last| last.offset.next());
        held.cursor = stage.log.cursor(&at, next).ok();
        if batch.is_empty() {
            return;
        }
        held.core.on_events(&batch, now);
        let taken = held.core.fold().inbound.next();
        held.inbound.ahead().forget_before(taken);
        self.heard(partition, Source::Events, stage);
        self.process.plan(stage, 1, Due::PollEvents(partition));
    }

    pub(super) fn read_inbound(&mut self, partition: PartitionName, stage: &mut Stage) {
        let now = self.clock.now(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let Some(held) = self.partitions.at(partition) else {
            return;
        };
        let Some(from) = held.inbound.next() else {
            return;
        };
        if stage.plan.has(Feature::Flood) && held.inbound.is_busy(stage.now) {
            return;
        }
        if !held.core.is_owner() {
            let taken = held.core.fold().inbound.next();
            if held.inbound.read_ahead(partition, count, taken, stage) {
                self.process.plan(stage, 1, Due::PollInbound(partition));
            }
            return;
        }
        if !held.core.wants_inbound() {
            return self.process.plan(stage, 10, Due::PollInbound(partition));
        }
        if let Some(batch) = held.inbound.ahead().take() {
            return self.hear(partition, &batch, stage);
        }
        let first = stage.first_kept(&inbound(partition));
        if from < first {
            held.inbound.end();
            held.core.missed(first, now);
            let missed = format!("{partition} misses {from} to {first}");
            stage.note(What::Missed(missed));
            return self.perform(partition, stage);
        }
        let batch = stage.read(&inbound(partition), from, count as usize);
        if batch.is_empty() {
            return;
        }
        held.inbound.went_on(&batch);
        self.hear(partition, &batch, stage);
    }

    fn hear(&mut self, partition: PartitionName, batch: &[Stored], stage: &mut Stage) {
        let now = self.clock.now(stage);
        let Some(held) = self.partitions.at(partition) else {
            return;
        };
        let pause = if stage.plan.has(Feature::Flood) {
            SLOW_MS
        } else {
            1
        };
        held.core.on_lease(self.membership.lease(), now);
        held.core.on_inbound(batch, now);
        held.inbound.hear(batch, stage.now.plus_ms(pause));
        self.heard(partition, Source::Inbound, stage);
        self.process.plan(stage, pause, Due::PollInbound(partition));
    }

    /// Entities of another state version, from the beginning of the log.
    pub(super) fn fold_anew(
        &mut self,
        part: Part,
        upto: Offset,
        entities: Vec<(Address, Revision)>,
        stage: &mut Stage,
    ) {
        let at = events(part.partition);
        if stage.end(&at) < upto {
            return self
                .process
                .plan(stage, 5, Due::FoldAnew(part, upto, entities));
        }
        let now = self.clock.now(stage);
        let mut folding = FoldingAnew::new(&self.domain, entities, upto);
        let folded = match stage.first_event(part.partition) {
            Offset(0) => {
                folding.read(&stage.read(&at, Offset(0), upto.0 as usize));
                folding.finish()
            }
            first => folding.fail(&format!("events begin at {first}")),
        };
        if let Some(held) = self.partitions.of(part) {
            held.core.folded_anew(folded, now);
        }
        self.perform(part.partition, stage);
    }

    pub(super) fn rescan(&mut self, part: Part, scan: Scan, stage: &mut Stage) {
        let now = self.clock.now(stage);
        if stage.end(&events(part.partition)) < scan.upto {
            return self.process.plan(stage, 5, Due::Rescan(part, scan));
        }
        let portion = portion(part.partition, &scan, stage);
        if let Some(held) = self.partitions.of(part) {
            held.core.rescanned(scan.id, portion.as_deref(), now);
        }
        self.heard(part.partition, Source::Answers, stage);
    }
}
