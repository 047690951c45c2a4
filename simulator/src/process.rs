//! A process of the platform, node or edge: who it is, and what is done to it.

use xp_cluster::log as record;
use xp_cluster::members::{self, Members};
use xp_cluster::timing::TAIL;
use xp_protocol::cluster::Member;
use xp_protocol::{Incarnation, Offset, TimeMs};
use xp_transport::simulated::ProducerId;

use super::agenda::{Asker, Due, EdgeDue, NodeAck, NodeDue};
use super::names::{EdgeId, NodeId};
use super::stage::{Stage, cluster};

/// Who it is; `I` is what the run knows it by.
pub(super) struct Process<I> {
    pub(super) id: I,
    pub(super) name: String,
    pub(super) incarnation: Incarnation,
    pub(super) producer: ProducerId,
}

impl<I> Process<I> {
    pub(super) fn start(id: I, name: String, stage: &mut Stage) -> Self {
        Self {
            id,
            name,
            incarnation: Incarnation(stage.uuid()),
            producer: ProducerId(stage.name()),
        }
    }

    /// Says something on the `cluster` log.
    pub(super) fn say(&self, member: &Member, asker: Asker, stage: &mut Stage) {
        stage.append(self.producer, &cluster(), record::record(member), asker);
    }
}

impl Process<NodeId> {
    pub(super) fn plan(&self, stage: &mut Stage, after_ms: u64, due: NodeDue) {
        stage.after(after_ms, Due::Node(self.id, due));
    }

    /// Waits for the answer to an append.
    pub(super) fn awaits(&self, ack: NodeAck) -> Asker {
        Asker::Node(self.id, ack)
    }
}

impl Process<EdgeId> {
    pub(super) fn plan(&self, stage: &mut Stage, after_ms: u64, due: EdgeDue) {
        stage.after(after_ms, Due::Edge(self.id, due));
    }
}

/// R37: the fold of the `cluster` log, from the newest record of the fold itself on.
pub(super) fn enter(stage: &Stage) -> Option<Members> {
    let end = stage.end(&cluster());
    let from = Offset(end.0.saturating_sub(TAIL));
    let stored = stage.read(&cluster(), from, usize::MAX);
    let records: Vec<_> = stored
        .iter()
        .filter_map(|stored| Some((stored.offset, stored.time, record::member(stored)?)))
        .collect();
    members::enter(1, (Offset(0), from), &records)
}

/// What is done to a process.
pub(super) struct Condition {
    alive: bool,
    frozen_until: TimeMs,
    /// Until then it does not hear what is said on the `cluster` log.
    deaf_until: TimeMs,
    /// A message has killed the process; nothing that it decided with it is done.
    doomed: bool,
}

impl Condition {
    pub(super) fn well() -> Self {
        Self {
            alive: true,
            frozen_until: TimeMs(0),
            deaf_until: TimeMs(0),
            doomed: false,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }

    /// It ends. Says whether it lived.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.alive)
    }

    /// It has ended by itself, and is ended like others.
    pub(super) fn revive(&mut self) {
        self.alive = true;
    }

    /// When it goes on, if it stands still.
    pub(super) fn frozen_until(&self) -> TimeMs {
        self.frozen_until
    }

    /// When it hears the `cluster` log again, if it is deaf.
    pub(super) fn deaf_until(&self) -> TimeMs {
        self.deaf_until
    }

    /// It stands still at least until then.
    pub(super) fn freeze(&mut self, until: TimeMs) {
        self.frozen_until = self.frozen_until.max(until);
    }

    /// It stands still until then and no longer, whatever was before.
    pub(super) fn freeze_only(&mut self, until: TimeMs) {
        self.frozen_until = until;
    }

    pub(super) fn deafen(&mut self, until: TimeMs) {
        self.deaf_until = self.deaf_until.max(until);
    }

    pub(super) fn doom(&mut self) {
        self.doomed = true;
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.doomed
    }
}
