//! What an edge's process appends to one inbound partition: one group in flight, in order, as its real shell does.

use std::collections::VecDeque;

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

pub(super) struct Lane {
    place: Place,
    queue: VecDeque<(Record, Fate)>,
    flying: Vec<(Record, Fate, Option<bool>)>,
    group: u64,
    waits: bool,
}

impl Lane {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            queue: VecDeque::new(),
            flying: Vec::new(),
            group: 0,
            waits: false,
        }
    }

    pub(super) fn push(&mut self, record: Record, fate: Fate) {
        self.queue.push_back((record, fate));
    }

    /// Drops what queued for a socket that lost a record (R30).
    pub(super) fn forget(&mut self, socket: SocketId) {
        self.queue.retain(|(_, fate)| *fate != Fate::With(socket));
    }

    /// Sends what waits, unless something is under way.
    pub(super) fn send(&mut self, me: (EdgeId, ProducerId), stage: &mut Stage) {
        if !self.flying.is_empty() || self.waits {
            return;
        }
        self.group += 1;
        let queue = std::mem::take(&mut self.queue);
        for (record, fate) in queue {
            let ack = Ack::Lane(self.place, self.group, self.flying.len());
            let asker = Asker::Edge(me.0, ack);
            stage.append(me.1, &inbound(self.place), record.clone(), asker);
            self.flying.push((record, fate, None));
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
        arrived: bool,
        stage: &mut Stage,
    ) -> Vec<SocketId> {
        if group != self.group {
            return Vec::new();
        }
        if let Some(entry) = self.flying.get_mut(index) {
            entry.2 = Some(arrived);
        }
        if self.flying.iter().any(|(.., answer)| answer.is_none()) {
            return Vec::new();
        }
        let failed: Vec<_> = std::mem::take(&mut self.flying)
            .into_iter()
            .filter(|(.., answer)| *answer == Some(false))
            .collect();
        if !failed.is_empty() {
            self.waits = true;
            let due = Due::Retry(self.place);
            stage.after(RETRY_MS, Planned::Edge(me, due));
        }
        let mut lost = Vec::new();
        for (record, fate, _) in failed.into_iter().rev() {
            match fate {
                Fate::With(socket) => lost.push(socket),
                Fate::Owed => self.queue.push_front((record, fate)),
                Fate::Loose => {}
            }
        }
        lost
    }
}
