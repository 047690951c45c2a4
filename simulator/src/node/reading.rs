//! The reads of a node: what its cores want to read.

use xp_protocol::{Address, Offset, Revision};
use xp_state_node::anew::FoldingAnew;
use xp_state_node::large::record_bytes;
use xp_state_node::read_ahead::ReadAhead;
use xp_state_node::schedule::Source;
use xp_transport::Stored;

use super::{Held, Node};
use crate::agenda::{NodeDue as Due, Part, Scan};
use crate::history::What;
use crate::place::Place;
use crate::plan::Plan;
use crate::stage::{Stage, events, inbound};
use crate::switch::Switch;

/// How many records one reading takes at most.
const READ_MAX: u64 = 12;
/// How many bytes a mirror reads ahead: so few that it has to forget some.
const AHEAD_BYTES_MAX: usize = 1 << 10;
/// How long a slow partition takes for what it has read, in milliseconds.
const SLOW_MS: u64 = 40;

impl Held {
    /// A reader of `inbound` begins there.
    pub(super) fn read_from(&mut self, from: Offset, plan: &Plan) {
        let rules = Switch::owner(plan.without);
        self.reads = Some(from);
        self.ahead = ReadAhead::open(from, AHEAD_BYTES_MAX, rules);
    }
}

impl Node {
    pub(super) fn read_events(&mut self, place: Place, stage: &mut Stage) {
        let now = self.clock(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        let Some(from) = held.core.next_event() else {
            return;
        };
        if from < stage.first_event(place) {
            return self.overtaken(place, stage);
        }
        let at = events(place);
        if let Some(cursor) = &mut held.cursor
            && let Err(error) = stage.log.read(cursor, 1)
        {
            return self.stop(place, &error.to_string(), stage);
        }
        let batch = stage.read(&at, from, count as usize);
        let next = batch.last().map_or(from, |last| last.offset.next());
        held.cursor = stage.log.cursor(&at, next).ok();
        if batch.is_empty() {
            return;
        }
        held.core.on_events(&batch, now);
        held.ahead.forget_before(held.core.fold().inbound.next());
        self.heard(place, Source::Events, stage);
        self.plan(stage, 1, Due::PollEvents(place));
    }

    /// Retention has passed the place where it read.
    fn overtaken(&mut self, place: Place, stage: &mut Stage) {
        if let Some(held) = self.partitions.remove(&place) {
            let faulted = held.core.faulted().clone();
            self.plan(stage, 10, Due::Reopen(place, faulted));
        }
    }

    pub(super) fn read_inbound(&mut self, place: Place, stage: &mut Stage) {
        let now = self.clock(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        let Some(from) = held.reads else { return };
        if stage.plan.flood && stage.now < held.busy_until {
            return;
        }
        if !held.core.is_owner() {
            return self.read_ahead(place, from, count, stage);
        }
        if !held.core.wants_inbound() {
            return self.plan(stage, 10, Due::PollInbound(place));
        }
        if let Some(batch) = held.ahead.take() {
            return self.hear(place, &batch, stage);
        }
        let first = stage.first_kept(&inbound(place));
        if from < first {
            held.reads = None;
            held.ahead = ReadAhead::closed();
            held.core.missed(first, now);
            let missed = format!("{place} misses {from} to {first}");
            stage.note(What::Missed(missed));
            return self.perform(place, stage);
        }
        let batch = stage.read(&inbound(place), from, count as usize);
        let Some(last) = batch.last() else { return };
        held.reads = Some(last.offset.next());
        self.hear(place, &batch, stage);
    }

    fn hear(&mut self, place: Place, batch: &[Stored], stage: &mut Stage) {
        let now = self.clock(stage);
        let lease = self.lease;
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        let pause = if stage.plan.flood { SLOW_MS } else { 1 };
        held.busy_until = stage.now.plus_ms(pause);
        held.core.on_lease(lease, now);
        held.core.on_inbound(batch, now);
        if let Some(last) = batch.last() {
            held.ahead.passed(last.offset.next());
        }
        self.heard(place, Source::Inbound, stage);
        self.plan(stage, pause, Due::PollInbound(place));
    }

    /// A mirror keeps what it reads beyond what it knows as taken.
    fn read_ahead(&mut self, place: Place, from: Offset, count: u64, stage: &mut Stage) {
        let first = stage.first_kept(&inbound(place));
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        if from < first {
            held.read_from(first, &stage.plan);
            return self.plan(stage, 1, Due::PollInbound(place));
        }
        let batch = stage.read(&inbound(place), from, count as usize);
        let Some(last) = batch.last() else { return };
        held.reads = Some(last.offset.next());
        held.ahead.keep(batch, held.core.fold().inbound.next());
        self.plan(stage, 1, Due::PollInbound(place));
    }

    pub(super) fn inbound_end(&mut self, part: Part, stage: &mut Stage) {
        let now = self.clock(stage);
        let end = stage.end(&inbound(part.place));
        if let Some(held) = self.part(part) {
            held.core.inbound_end(end, now);
        }
        self.heard(part.place, Source::Answers, stage);
    }

    pub(super) fn gap(&mut self, part: Part, (from, upto): (Offset, Offset), stage: &mut Stage) {
        let now = self.clock(stage);
        let count = upto.0 + 1 - from.0;
        let batch = stage.read(&events(part.place), from, count as usize);
        if let Some(held) = self.part(part) {
            held.core.gap(&batch, now);
        }
        self.heard(part.place, Source::Answers, stage);
    }

    /// Entities of another state version, from the beginning of the log.
    pub(super) fn fold_anew(
        &mut self,
        part: Part,
        upto: Offset,
        entities: Vec<(Address, Revision)>,
        stage: &mut Stage,
    ) {
        let at = events(part.place);
        if stage.end(&at) < upto {
            return self.plan(stage, 5, Due::FoldAnew(part, upto, entities));
        }
        let now = self.clock(stage);
        let mut folding = FoldingAnew::new(&self.domain, entities, upto);
        let folded = match stage.first_event(part.place) {
            Offset(0) => {
                folding.read(&stage.read(&at, Offset(0), upto.0 as usize));
                folding.finish()
            }
            first => folding.fail(&format!("events begin at {first}")),
        };
        if let Some(held) = self.part(part) {
            held.core.folded_anew(folded, now);
        }
        self.perform(part.place, stage);
    }

    pub(super) fn rescan(&mut self, part: Part, scan: Scan, stage: &mut Stage) {
        let now = self.clock(stage);
        let at = events(part.place);
        if stage.end(&at) < scan.upto {
            return self.plan(stage, 5, Due::Rescan(part, scan));
        }
        if scan.from < stage.first_event(part.place) {
            if let Some(held) = self.part(part) {
                held.core.rescanned(scan.id, None, now);
            }
            return self.heard(part.place, Source::Answers, stage);
        }
        let count = scan.upto.0.saturating_sub(scan.from.0) as usize;
        let batch = stage.read(&at, scan.from, count);
        let mut bytes = 0;
        let portion = batch.iter().take_while(|stored| {
            let wanted = bytes < scan.bytes_max;
            bytes += record_bytes(&stored.record);
            wanted
        });
        let portion = portion.count();
        if let Some(held) = self.part(part) {
            held.core.rescanned(scan.id, Some(&batch[..portion]), now);
        }
        self.heard(part.place, Source::Answers, stage);
    }
}
