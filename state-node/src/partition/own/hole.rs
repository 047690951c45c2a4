//! A hole in `inbound`: messages that are gone before they were taken, because the log keeps only so much of them and
//! the partition was too far behind (R42).
//!
//! Whatever they were, nobody was told that they had been taken. Commands and queries their clients send again, tells
//! and words about tells their sources. Only who said goodbye says it once, so the edges are asked which of the
//! sockets that count as attached they still hold; when they have the question, the partition goes on behind the hole.
//! Until then its position stays before it: a successor finds the same hole, and asks as well.

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::events::Attachment;
use xp_protocol::outbound::{Item, Recipients, Socket};
use xp_protocol::{Address, Incarnation, Offset, PartitionId};
use xp_transport::Now;

use super::super::{Hole, Partition};
use crate::action::Action;
use crate::draft::Deliveries;
use crate::gate::Output;

/// How many sockets one question names: some 40 KB.
const SOCKETS_MAX: usize = 1_000;
/// How often a partition that is overrun again and again says so, in milliseconds.
const SAID_AGAIN_MS: u64 = 10_000;

impl Partition {
    /// R42: `inbound` begins at `first` now, and what was before it and not taken is gone.
    pub fn missed(&mut self, first: Offset, now: Now) {
        let Some(owner) = self.owner() else { return };
        let from = owner.inbound;
        if first <= from {
            return self.actions.push(Action::ReadInbound { from });
        }
        owner.hole = Some(Hole { first, left: None });
        self.report_hole(from, first, now);
        if self.setting.rules.ask_after_a_hole {
            self.ask_edges();
        }
        self.put_behind(Output::Mark);
        self.drain(now);
    }

    fn report_hole(&mut self, from: Offset, first: Offset, now: Now) {
        let place = self.setting.place.clone();
        let Some(owner) = self.owner() else { return };
        owner.missed += first.0 - from.0;
        if owner
            .missed_said
            .is_some_and(|said| now.running.since_ms(said) < SAID_AGAIN_MS)
        {
            return;
        }
        owner.missed_said = Some(now.running);
        let missed = std::mem::take(&mut owner.missed);
        tracing::warn!(
            %place, missed, %from, %first,
            "messages were dropped from inbound before they were taken, none of them acknowledged to a client; they \
             come again, and the partition goes on: it is slower than what it is told, or inbound keeps too little"
        );
    }

    /// Each edge is asked for the sockets that count as attached.
    fn ask_edges(&mut self) {
        let quarantined = self.quarantined.iter();
        let quarantined = quarantined.flat_map(|address| self.edges_of(address));
        let watched: Vec<_> = self.watched.iter().cloned().chain(quarantined).collect();
        for (edge, address) in watched {
            if let Err(reason) = self.load(&address) {
                return self.set_aside(&reason);
            }
            for (partition, sockets) in self.attached(&address, edge) {
                for sockets in sockets.chunks(SOCKETS_MAX) {
                    self.ask_edge(&address, edge, partition, sockets);
                }
            }
        }
    }

    /// The edges of an entity in quarantine, which nothing wakes: what they answer is parked (R44).
    fn edges_of(&self, address: &Address) -> BTreeSet<(Incarnation, Address)> {
        let entity = self.entities.get(address).into_iter();
        let sessions = entity.flat_map(|entity| entity.runtime.sessions());
        let attached = sessions.filter(|session| session.is_attached());
        attached
            .map(|session| (session.socket.edge, address.clone()))
            .collect()
    }

    pub(super) fn ask_edge(
        &mut self,
        address: &Address,
        edge: Incarnation,
        partition: PartitionId,
        sockets: &[Socket],
    ) {
        let mut question = Deliveries::default();
        let to = Recipients::Only(sockets.to_vec());
        question.push(Some(partition), to, Item::StillThere { edge }, &[]);
        for (partition, record) in question.records(address, &Default::default()) {
            self.put_behind(Output::Chain(partition, record));
        }
    }

    /// An entity's attached sockets on one edge, by where it listens.
    fn attached(&self, address: &Address, edge: Incarnation) -> BTreeMap<PartitionId, Vec<Socket>> {
        let entity = self.entities.get(address).into_iter();
        let sessions = entity.flat_map(|entity| entity.runtime.sessions());
        let mut attached: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for session in sessions.filter(|session| session.is_attached()) {
            let Attachment {
                connection,
                attempt,
                outbound,
                ..
            } = session.socket;
            if session.socket.edge == edge {
                attached.entry(outbound).or_default().push(Socket {
                    connection,
                    attempt,
                });
            }
        }
        attached
    }

    /// The questions have left the gate.
    pub(super) fn mark(&mut self) {
        if let Some(owner) = self.owner() {
            let left = owner.emitter.emitted();
            if let Some(hole) = &mut owner.hole {
                hole.left = Some(left);
            }
        }
    }

    /// The edges have the questions: the partition goes on behind the hole, and says so in the log (R15).
    pub(super) fn close_hole(&mut self, now: Now) {
        let Some(owner) = self.owner() else { return };
        let arrived = owner.emitter.arrived();
        let asked = |hole: &mut Hole| hole.left.is_some_and(|left| left <= arrived);
        let Some(Hole { first, .. }) = owner.hole.take_if(asked) else {
            return;
        };
        if owner.held.is_empty() {
            owner.inbound = owner.inbound.max(first);
        }
        if owner.may_decide() {
            self.append_checkpoint(now.running);
        }
        self.say_taken_to_all();
        self.actions.push(Action::ReadInbound { from: first });
    }
}
