//! How far the partition is with `inbound` reaches the edges, which hold back what they would append (R42).
//!
//! After so much that both sides have agreed on it says what it has taken, to the edges that it has heard since. Where
//! little is said, nothing is; a successor begins with it, because what the last owner said may have died with it.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use xp_protocol::cluster::Kind;
use xp_protocol::flow::NOTICE;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{Incarnation, Offset, PartitionId, codec};
use xp_transport::Record;

use super::super::{Owner, Partition};
use crate::gate::Output;

impl Partition {
    /// A successor tells all edges where it begins.
    pub(super) fn say_where_it_begins(&mut self) {
        if self.owner().is_some_and(|owner| owner.inbound > Offset(0)) {
            self.say_taken_to_all();
        }
    }

    /// Says to every edge what was taken.
    pub(super) fn say_taken_to_all(&mut self) {
        let edges: BTreeSet<_> = self.members.iter().map(|(member, ..)| member).collect();
        if let Some(owner) = self.owner() {
            owner.untold.heard = edges;
            self.say_taken();
        }
    }

    /// Says what was taken, if it is much.
    pub(in crate::partition) fn say_taken_if_much(&mut self) {
        if self
            .owner()
            .is_some_and(|owner| owner.untold.weight >= NOTICE)
        {
            self.say_taken();
        }
    }

    /// Behind everything that has left: an emission vouches for what was before it (R14).
    fn say_taken(&mut self) {
        let partition = self.setting.place.partition;
        let Some(owner) = self.owner() else { return };
        let untold = std::mem::take(&mut owner.untold);
        let commit = owner.next_commit();
        let record = taken(partition, owner.inbound);
        let waits = owner.gate.held().is_some() || !owner.emitter.has_room();
        for outbound in self.listened(&untold.heard) {
            let record = record.clone();
            match self.owner().filter(|_| waits) {
                // What is to leave again leaves first.
                Some(owner) => owner
                    .gate
                    .push_open(commit, Output::Chain(outbound, record)),
                None => self.emit(commit, outbound, record),
            }
        }
    }

    /// Where these edges listen.
    fn listened(&self, edges: &BTreeSet<Incarnation>) -> BTreeSet<PartitionId> {
        let members = self.members.iter();
        let outbound = members.filter_map(|(member, who, _)| match who.kind {
            Kind::Edge { outbound } if edges.contains(&member) => Some(outbound),
            Kind::Edge { .. } | Kind::StateNode => None,
        });
        outbound.collect()
    }
}

impl Owner {
    /// Whatever leaves outside of any commit holds `sent` back no further than what is committed.
    fn next_commit(&self) -> Offset {
        Offset(self.base + self.committed.0 + 1)
    }
}

/// A record about a partition has no key.
fn taken(partition: PartitionId, upto: Offset) -> Record {
    let mut header = Outbound::default();
    let item = Item::Taken { partition, upto };
    header.deliver(&mut BytesMut::new(), Recipients::Everybody, item, &[]);
    Record {
        key: Bytes::new(),
        header: codec::encode(&header).into(),
        value: Bytes::new(),
    }
}
