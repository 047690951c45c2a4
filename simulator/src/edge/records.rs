//! The way from outbound records to sockets.

use bytes::Bytes;
use xp_edge::watch::{Effect, FrameKind, strangers};
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound};
use xp_protocol::{Address, codec};
use xp_transport::Stored;

use super::{Edge, READ_MAX, Shown};
use crate::agenda::EdgeDue as Due;
use crate::lane::Fate;
use crate::names::SocketId;
use crate::partition_name::PartitionName;
use crate::stage::{Stage, outbound};

impl Edge {
    pub(super) fn read_outbound(&mut self, lane: &'static str, stage: &mut Stage) {
        let partition = self.hears(lane);
        // It reads once it has joined.
        let Some(from) = self.outbound_next.get(&partition).copied() else {
            return;
        };
        let count = 1 + stage.up_to(READ_MAX);
        let batch = stage.read(&outbound(partition), from, count as usize);
        let Some(last) = batch.last() else { return };
        self.outbound_next.insert(partition, last.offset.next());
        for stored in &batch {
            match stored.record.key.is_empty() {
                true => self.about_partition(lane, stored),
                false => self.record(stored, stage),
            }
        }
        self.process.plan(stage, 1, Due::PollOutbound(lane));
        self.send(stage);
    }

    /// How far an owner is (R42).
    fn about_partition(&mut self, lane: &'static str, stored: &Stored) {
        let header: Outbound =
            codec::decode(&stored.record.header).expect("owners write what edges read");
        for delivery in header.deliveries {
            if let Item::Taken { partition, upto } = delivery.item {
                self.lanes.to(PartitionName { lane, partition }).taken(upto);
            }
        }
    }

    pub(super) fn record(&mut self, stored: &Stored, stage: &mut Stage) {
        let key = std::str::from_utf8(&stored.record.key).expect("keys are addresses");
        let address: Address = key.parse().expect("keys are addresses");
        let header: Outbound =
            codec::decode(&stored.record.header).expect("owners write what edges read");
        let parts = header.split(&stored.record.value);
        let parts = parts.expect("owners write lengths that add up");
        let now = self.now(stage).running;
        match self.watches.get_mut(&address) {
            Some(watch) => {
                let effects = watch.on_record(now, header.link, &parts);
                self.apply(&address, effects, stage);
            }
            None => self.unwatched(&address, &header, stage),
        }
    }

    pub(super) fn unwatched(&mut self, address: &Address, header: &Outbound, stage: &mut Stage) {
        for socket in strangers(self.process.incarnation, header) {
            self.disconnect(address, socket, false, stage);
        }
    }

    /// Does what a watch asks for. Its order among sockets is that of a hash map, and none of the rules'
    /// business, so it is sorted here to be the same in every run.
    pub(super) fn apply(
        &mut self,
        address: &Address,
        mut effects: Vec<Effect<SocketId>>,
        stage: &mut Stage,
    ) {
        sort_resumes(&mut effects);
        for effect in effects {
            match effect {
                Effect::Show {
                    mut to,
                    shown,
                    kind,
                } => {
                    to.sort_unstable();
                    for socket in to {
                        self.show(socket, &shown.bytes, shown.text, &kind, stage);
                    }
                }
                Effect::Close { to, code } => self.close(to, code, stage),
                Effect::Resume { of, since } => {
                    if let Some(connection) = self.connections.get(&of) {
                        let socket = connection.socket;
                        let action = ClientAction::Resume { since };
                        self.pass(address, socket, action, Bytes::new(), Fate::Loose, stage);
                    }
                }
                Effect::Coming { to } => {
                    let now = self.now(stage);
                    if let Some(connection) = self.connections.get_mut(&to) {
                        connection.session.coming(now);
                    }
                }
                Effect::Gone(socket) => self.disconnect(address, socket, false, stage),
            }
        }
    }

    pub(super) fn show(
        &mut self,
        socket: SocketId,
        frame: &Bytes,
        text: bool,
        kind: &FrameKind,
        stage: &mut Stage,
    ) {
        let Some(connection) = self.connections.get_mut(&socket) else {
            return;
        };
        match kind {
            FrameKind::Accepted(n) => connection.session.accepted(*n),
            FrameKind::Answer(id) => connection.session.answered(id),
            FrameKind::Repeated | FrameKind::News => {}
        }
        let counts = matches!(kind, FrameKind::News);
        let shown = Shown {
            bytes: frame.clone(),
            text,
            counts,
        };
        match counts {
            true => connection.backlog.push(frame.len(), shown),
            false => connection.backlog.push_now(shown),
        };
        let held = match kind {
            FrameKind::Accepted(_) => std::mem::take(&mut connection.held),
            _ => Default::default(),
        };
        self.write(socket, stage);
        for (frame, text) in held {
            self.frame(socket, &frame, text, stage);
        }
    }
}

fn sort_resumes(effects: &mut [Effect<SocketId>]) {
    let is_resume = |effect: &Effect<SocketId>| matches!(effect, Effect::Resume { .. });
    for run in effects.chunk_by_mut(|a, b| is_resume(a) && is_resume(b)) {
        run.sort_by_key(|effect| match effect {
            Effect::Resume { of, .. } => of.0,
            _ => 0,
        });
    }
}
