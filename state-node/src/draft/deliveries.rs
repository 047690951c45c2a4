//! Deliveries in order, and the outbound records they become.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use xp_protocol::events::{ChainLink, Commit, Routed};
use xp_protocol::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket};
use xp_protocol::{Address, ConnectionId, PartitionId};
use xp_transport::Record;

use crate::entity::Session;

/// Deliveries in order, and their payloads one behind the other.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// In the order in which they leave; each knows how many bytes of `frames` are its payload.
    pub list: Vec<Routed>,
    /// The payloads of the list, one behind the other without separators.
    pub frames: BytesMut,
}

impl Deliveries {
    /// Adds a delivery behind the others, and its payload to the frames.
    pub fn push(
        &mut self,
        partition: Option<PartitionId>,
        to: Recipients,
        item: Item,
        payload: &[u8],
    ) {
        let payload_bytes =
            u32::try_from(payload.len()).expect("records are bounded far below 4 GiB");
        self.frames.extend_from_slice(payload);
        let delivery = Delivery {
            to,
            item,
            payload_bytes,
        };
        self.list.push(Routed {
            partition,
            delivery,
        });
    }

    /// Adds one for a single session's latest socket.
    pub fn to_session(&mut self, session: &Session, item: Item, payload: &[u8]) {
        let to = Recipients::Only(vec![socket(session)]);
        self.push(Some(session.socket.outbound), to, item, payload);
    }

    /// What a commit keeps of them. `closes` holds but in a simulator (R23).
    #[must_use]
    pub fn delivered(&self, closes: bool) -> Vec<Routed> {
        let mut list = self.list.clone();
        for routed in list.iter_mut().filter(|_| !closes) {
            if matches!(routed.delivery.item, Item::Close { .. }) {
                // For nobody, so that what is behind it keeps its place.
                routed.delivery.to = Recipients::Only(Vec::new());
            }
        }
        list
    }

    /// The records of these deliveries on `partitions`, outside the chain.
    #[must_use]
    pub fn records(
        self,
        address: &Address,
        partitions: &BTreeSet<PartitionId>,
    ) -> Vec<(PartitionId, Record)> {
        let frames = self.frames.freeze();
        let on = |partition: &PartitionId| {
            (
                *partition,
                outbound(address, *partition, None, &self.list, &frames),
            )
        };
        let named = self.list.iter().filter_map(|routed| routed.partition);
        let all = self.list.iter().any(|routed| routed.partition.is_none());
        let mut targets: BTreeSet<_> = named.collect();
        if all {
            targets.extend(partitions);
        }
        targets.iter().map(on).collect()
    }
}

/// A session's latest socket.
#[must_use]
pub fn socket(session: &Session) -> Socket {
    Socket {
        connection: session.socket.connection,
        attempt: session.socket.attempt,
    }
}

/// One outbound record for one partition: those of the deliveries that it needs.
#[must_use]
pub fn outbound(
    address: &Address,
    partition: PartitionId,
    link: Option<Link>,
    deliveries: &[Routed],
    frames: &Bytes,
) -> Record {
    let needs = |routed: &&Routed| routed.partition.is_none_or(|only| only == partition);
    let all = deliveries.iter().all(|routed| needs(&routed));
    let mut value = BytesMut::new();
    let mut at = 0;
    let mut header = Outbound {
        link,
        deliveries: Vec::with_capacity(deliveries.len()),
    };
    for routed in deliveries {
        let end = at + routed.delivery.payload_bytes as usize;
        if needs(&routed) {
            header.deliveries.push(routed.delivery.clone());
            if !all {
                value.extend_from_slice(&frames[at..end]);
            }
        }
        at = end;
    }
    Record {
        key: Bytes::copy_from_slice(address.as_str().as_bytes()),
        header: xp_protocol::codec::encode(&header).into(),
        value: if all { frames.clone() } else { value.freeze() },
        ..Record::default()
    }
}

/// The records by which a commit reaches its chains (R6): the same for the owner that decided it and for a
/// successor that sends them again.
pub fn chain_records<'a>(
    address: &'a Address,
    commit: &'a Commit,
) -> impl Iterator<Item = (PartitionId, Record)> + 'a {
    commit
        .outputs
        .links
        .iter()
        .map(|ChainLink { partition, prev }| {
            let link = Link {
                revision: commit.revision,
                prev: *prev,
            };
            let record = outbound(
                address,
                *partition,
                Some(link),
                &commit.outputs.deliveries,
                &commit.outputs.frames,
            );
            (*partition, record)
        })
}

/// The frames of one commit for one session, whichever socket it has (R21).
pub fn frames_for<'a>(
    commit: &'a Commit,
    connection: ConnectionId,
) -> impl Iterator<Item = (&'a Item, Bytes)> + 'a {
    let mut at = 0;
    commit.outputs.deliveries.iter().filter_map(move |routed| {
        let end = at + routed.delivery.payload_bytes as usize;
        let payload = commit.outputs.frames.slice(at..end);
        at = end;
        let shown = !matches!(routed.delivery.item, Item::Close { .. });
        (shown && concerns(&routed.delivery.to, connection))
            .then_some((&routed.delivery.item, payload))
    })
}

fn concerns(to: &Recipients, connection: ConnectionId) -> bool {
    let names = |sockets: &[Socket]| sockets.iter().any(|socket| socket.connection == connection);
    match to {
        Recipients::Everybody => true,
        Recipients::Except(sockets) => !names(sockets),
        Recipients::Only(sockets) => names(sockets),
    }
}
