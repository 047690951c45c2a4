//! What an edge's process appends to one inbound partition: one group in flight, in order, as its real shell does.

use std::collections::VecDeque;
use std::sync::Arc;

use xp_edge::flow::{Account, BUDGET_MIN, Charge, Room};
use xp_protocol::Offset;
use xp_protocol::flow::weight;
use xp_transport::Record;
use xp_transport::simulated::ProducerId;

use super::agenda::{Asker, Due as Planned, EdgeAck as Ack, EdgeDue as Due};
use super::names::{EdgeId, SocketId};
use super::place::Place;
use super::stage::{Stage, inbound};

/// How long to wait after a failed append, in milliseconds.
const RETRY_MS: u64 = 50;

/// What becomes of an entry whose append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its socket is closed, and what queued behind it is dropped (R30).
    With(SocketId),
    /// It is appended again (R28).
    Owed,
    /// Nothing.
    Loose,
}

struct Entry {
    record: Record,
    fate: Fate,
    charge: Charge,
}

pub(super) struct Lane {
    place: Place,
    /// What its owner has not taken (R42).
    account: Arc<Account>,
    queue: VecDeque<Entry>,
    flying: Vec<(Entry, Option<Option<Offset>>)>,
    group: u64,
    waits: bool,
}

impl Lane {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            account: Account::new(BUDGET_MIN),
            queue: VecDeque::new(),
            flying: Vec::new(),
            group: 0,
            waits: false,
        }
    }

    /// What it takes of a subject.
    pub(super) fn room(&self, subject: &str) -> Room {
        self.account.share(subject).room()
    }

    /// Its owner has taken everything before `upto`.
    pub(super) fn taken(&self, upto: Offset) {
        self.account.taken(upto);
    }

    pub(super) fn push(&mut self, record: Record, fate: Fate, subject: &str) {
        let bytes = record.key.len() + record.header.len() + record.value.len();
        let charge = self.account.share(subject).charge(weight(bytes));
        self.queue.push_back(Entry {
            record,
            fate,
            charge,
        });
    }

    /// Drops what queued for a socket that lost a record (R30).
    pub(super) fn forget(&mut self, socket: SocketId) {
        self.queue.retain(|entry| entry.fate != Fate::With(socket));
    }

    /// Sends what waits, unless something is under way.
    pub(super) fn send(&mut self, me: (EdgeId, ProducerId), stage: &mut Stage) {
        if !self.flying.is_empty() || self.waits {
            return;
        }
        self.group += 1;
        let queue = std::mem::take(&mut self.queue);
        for entry in queue {
            let ack = Ack::Lane(self.place, self.group, self.flying.len());
            let asker = Asker::Edge(me.0, ack);
            stage.append(me.1, &inbound(self.place), entry.record.clone(), asker);
            self.flying.push((entry, None));
        }
    }

    pub(super) fn retry(&mut self) {
        self.waits = false;
    }

    /// One answer. Returns the sockets that lost a record, once the whole group is answered.
    pub(super) fn answered(
        &mut self,
        me: EdgeId,
        (group, index): (u64, usize),
        offset: Option<Offset>,
        stage: &mut Stage,
    ) -> Vec<SocketId> {
        if group != self.group {
            return Vec::new();
        }
        if let Some((_, answer)) = self.flying.get_mut(index) {
            *answer = Some(offset);
        }
        if self.flying.iter().any(|(_, answer)| answer.is_none()) {
            return Vec::new();
        }
        let mut failed = Vec::new();
        for (entry, answer) in std::mem::take(&mut self.flying) {
            match answer.flatten() {
                Some(offset) => self.account.landed([(offset, entry.charge)]),
                None => failed.push(entry),
            }
        }
        if !failed.is_empty() {
            self.waits = true;
            let due = Due::Retry(self.place);
            stage.after(RETRY_MS, Planned::Edge(me, due));
        }
        let mut lost = Vec::new();
        for entry in failed.into_iter().rev() {
            match entry.fate {
                Fate::With(socket) => lost.push(socket),
                Fate::Owed => self.queue.push_front(entry),
                Fate::Loose => {}
            }
        }
        lost
    }
}
