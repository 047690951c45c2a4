//! The outbox of an owner, everything that leaves for `outbound`: chain records, plain outputs and what is large, each
//! behind the record that it follows (R11–R14, R41).

use std::sync::Arc;

use xp_protocol::outbound::Item;
use xp_protocol::rules::Rule;
use xp_protocol::{Address, CloseCode, Offset, PartitionId, Seq, TimeMs};
use xp_transport::{Now, Record};

use super::super::core::Core;
use super::appends::Appends;
use crate::action::Action;
use crate::draft::Deliveries;
use crate::entity::Session;
use crate::gate::{Bound, Emitter, Gate, Output};
use crate::large::{Large, Portion, record_bytes};

/// How long to wait before chain records go out again after a failure, in milliseconds.
const EMIT_AGAIN_MS: u64 = 50;

/// For how long a former copy of what left again may still land, in milliseconds: longer than an append is under way.
const FORMER_MS: u64 = 10_000;

/// Outputs that wait for their record, for the lease or for room, and those under way.
pub(super) struct Outbox {
    gate: Gate,
    emitter: Emitter,
    emit_again_at: Option<TimeMs>,
    /// Until then a former copy of a chain record may land: of what left again, or of what the former owner had sent.
    former_until: TimeMs,
    /// Answers to queries that wait for the lease (R13).
    leased: Vec<(PartitionId, Record)>,
    /// Another node should own the partition: queries are answered no more (R13).
    displaced: bool,
    /// What is too large for one record, and what goes out with it at a pace (R41).
    large: Large,
}

impl Outbox {
    pub(super) fn new(core: &Core, now: TimeMs) -> Self {
        let limits = &core.setting.limits;
        let bound = Bound {
            records: limits.outbound.records_max,
            bytes: limits.outbound.bytes_max.bytes(),
        };
        Self {
            gate: Gate::default(),
            emitter: Emitter::new(core.setting.rules, bound),
            emit_again_at: None,
            former_until: now.plus_ms(FORMER_MS),
            leased: Vec::new(),
            displaced: false,
            large: Large::default(),
        }
    }

    /// Puts an output behind everything decided so far (R11).
    pub(super) fn put(&mut self, core: &Core, output: Output) {
        self.gate.push(core.fold.seq, output);
    }

    /// Puts a chain record behind one that is committed already.
    pub(super) fn put_open(&mut self, commit: Offset, partition: PartitionId, record: Record) {
        self.gate
            .push_open(commit, Output::Chain(partition, record));
    }

    /// Puts what is not logged behind everything decided so far.
    pub(super) fn put_plain(&mut self, core: &Core, address: &Address, outputs: Deliveries) {
        for (partition, record) in outputs.records(address, &Default::default()) {
            self.put(core, Output::Plain(partition, record));
        }
    }

    /// Closes a session's socket.
    pub(super) fn close_plain(
        &mut self,
        core: &Core,
        address: &Address,
        session: &Session,
        code: CloseCode,
    ) {
        let mut outputs = Deliveries::default();
        outputs.to_session(session, Item::Close { code }, &[]);
        self.put_plain(core, address, outputs);
    }

    /// Puts a record outside the chain at the gate that is large, or one of many, for one subject or several.
    pub(super) fn put_large(
        &mut self,
        core: &Core,
        at: (PartitionId, Record),
        payer: Option<Box<str>>,
    ) {
        let limits = &core.setting.limits;
        if let Some(cut) = self.large.cut(at, core.epoch(), payer, limits) {
            self.put(core, Output::Large(Box::new(cut)));
        }
    }

    /// The next output that may leave, and the offset of the record that it follows: all before it is committed, and
    /// there is room (R11).
    pub(super) fn next(&mut self, core: &Core, appends: &Appends) -> Option<(Offset, Output)> {
        let committed = match core.holds(Rule::Gate) {
            true => appends.committed(),
            false => Seq(u64::MAX),
        };
        self.gate.open(committed, appends.base());
        self.gate.pop(self.emitter.has_room())
    }

    /// A chain record leaves, and is repeated until it has arrived (R14).
    pub(super) fn emit(
        &mut self,
        core: &mut Core,
        commit: Offset,
        partition: PartitionId,
        record: Record,
    ) {
        let emission = self.emitter.emit(commit, partition, record);
        let (id, record) = (emission.id, emission.record.clone());
        core.actions.push(Action::Emit {
            id,
            partition,
            record,
        });
    }

    /// A record about the whole partition leaves for each of these, behind everything that has left: an emission vouches
    /// for what was before it (R14).
    pub(super) fn emit_last(
        &mut self,
        core: &mut Core,
        commit: Offset,
        to: impl IntoIterator<Item = PartitionId>,
        record: &Record,
    ) {
        // What is to leave again leaves first.
        let waits = self.is_held() || !self.emitter.has_room();
        for partition in to {
            match waits {
                true => self.put_open(commit, partition, record.clone()),
                false => self.emit(core, commit, partition, record.clone()),
            }
        }
    }

    /// What is not logged leaves: at once, or in pieces when it is too large for one record (R41).
    pub(super) fn speak(&mut self, core: &mut Core, partition: PartitionId, record: Record) {
        let limits = Arc::clone(&core.setting.limits);
        let bytes = record_bytes(&record);
        if bytes <= limits.piece_bytes() {
            return core.actions.push(Action::Speak { partition, record });
        }
        let own = &core.setting.partition;
        if self.large.bytes() >= limits.large.bytes_max.bytes() {
            tracing::warn!(partition = %own, bytes, "a large answer was dropped, because others wait already; its client asks again");
            return;
        }
        match self
            .large
            .cut((partition, record), core.epoch(), None, &limits)
        {
            Some(cut) => self.large.push(cut),
            None => {
                tracing::warn!(partition = %own, bytes, "a volatile output was dropped: it is too large for one record");
            }
        }
    }

    /// The answer to a query leaves within the lease, and waits for it otherwise; once another node should own the
    /// partition it never leaves (R13).
    pub(super) fn answer(
        &mut self,
        core: &mut Core,
        partition: PartitionId,
        record: Record,
        now: Now,
    ) {
        if self.may_answer(core, now) || !core.holds(Rule::Lease) {
            self.speak(core, partition, record);
        } else if !self.displaced {
            self.leased.push((partition, record));
        }
    }

    /// R13: within the lease, and only who should own the partition.
    fn may_answer(&self, core: &Core, now: Now) -> bool {
        core.placement.lease.holds(now.running) && !self.displaced
    }

    /// R13: the lease holds again; answers that waited for it leave.
    pub(super) fn release_leased(&mut self, core: &mut Core, now: Now) {
        if !self.may_answer(core, now) {
            return;
        }
        for (partition, record) in std::mem::take(&mut self.leased) {
            self.speak(core, partition, record);
        }
        self.send_large(core, now);
    }

    /// R13: another node should own the partition. Whether that is news.
    pub(super) fn displace(&mut self) -> bool {
        self.leased.clear();
        !std::mem::replace(&mut self.displaced, true)
    }

    /// What is large leaves behind what is large already.
    pub(super) fn push_large(&mut self, cut: crate::large::Cut) {
        self.large.push(cut);
    }

    /// R41: as much of what is large as may leave now.
    pub(super) fn send_large(&mut self, core: &mut Core, now: Now) {
        while let Some(portion) = self.large.next(now.running, &core.setting.limits) {
            let Portion {
                id,
                partition,
                record,
            } = portion;
            core.actions.push(Action::Emit {
                id,
                partition,
                record,
            });
        }
    }

    /// A record was acknowledged, or its append failed (R14).
    pub(super) fn emitted(&mut self, id: u64, arrived: bool, now: Now) {
        if self.large.acknowledged(id) {
            return;
        }
        self.emitter.acknowledged(id, arrived);
        if !arrived {
            let again_at = now.running.plus_ms(EMIT_AGAIN_MS);
            self.emit_again_at.get_or_insert(again_at);
        }
    }

    /// R14: what failed and all later ones leave again, in order, before anything else does.
    pub(super) fn emit_again(&mut self, now: Now) {
        let due = self.emit_again_at.take_if(|at| *at <= now.running);
        if due.is_some() {
            self.gate.take_back(self.emitter.again());
            self.former_until = now.running.plus_ms(FORMER_MS);
        }
    }

    /// What is committed has left, but for what flies and what is held until it has arrived: all effects of records
    /// before this offset have gone out.
    pub(super) fn sent(&self, appends: &Appends) -> Offset {
        debug_assert!(
            self.gate.opened() >= appends.committed(),
            "what is committed has been let out before anybody asks"
        );
        let next = appends.next_commit();
        let held = self.gate.held().unwrap_or(next);
        self.emitter.sent(next).min(held)
    }

    /// Whether chain records about an entity are on their way, or may be: a copy that was given up may land long after
    /// the one that took its place.
    pub(super) fn may_speak_of(&self, address: &Address, now: Now) -> bool {
        let key = address.as_str().as_bytes();
        let is_under_way = self.emitter.speaks_of(key) || self.gate.speaks_of(key);
        is_under_way || now.running < self.former_until
    }

    /// Whether more that is large may be made; what is made waits in memory.
    pub(super) fn has_room(&self, core: &Core) -> bool {
        self.large.bytes() < core.setting.limits.large.bytes_max.bytes()
    }

    /// Whether a subject may have more under way.
    pub(super) fn may_have_more(&self, core: &Core, subject: &str) -> bool {
        self.large.bytes_of(subject) < core.setting.limits.large.subject_bytes_max.bytes()
    }

    /// How many chain records have ever left, and how many of them, the first ones, have arrived.
    pub(super) fn left_and_arrived(&self) -> (u64, u64) {
        (self.emitter.emitted(), self.emitter.arrived())
    }

    /// Whether a record that is committed has not let out all that follows it, for want of room.
    pub(super) fn is_held(&self) -> bool {
        self.gate.held().is_some()
    }

    /// Whether nothing waits for its record.
    pub(super) fn has_left(&self) -> bool {
        self.gate.is_empty()
    }

    /// Whether everything has left, and has arrived where that matters.
    pub(super) fn is_drained(&self) -> bool {
        self.gate.is_empty() && self.emitter.is_empty()
    }

    /// Whether something waits for nothing but the time or the lease.
    pub(super) fn is_waiting(&self) -> bool {
        self.emit_again_at.is_some() || !self.leased.is_empty()
    }

    /// When more of what is large may leave, if it waits for nothing but the time.
    pub(super) fn wakes_at(&self, core: &Core) -> Option<TimeMs> {
        self.large.wakes_at(&core.setting.limits)
    }
}
