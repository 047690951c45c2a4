//! The header of records on `outbound`. The key is the entity's address; the value is the payloads of
//! its deliveries, one behind the other.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::codec::Format;
use crate::codes::{CloseCode, FaultCode};
use crate::frame::RequestId;
use crate::ids::{
    ConnectionId, DialAttempt, Epoch, Incarnation, MessageNumber, Offset, PartitionId, Revision,
};

/// What the platform knows of one outbound record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// The record's place in the entity's chain; `None` for what stands outside it (R19).
    pub link: Option<Link>,
    /// What is delivered, in this order.
    pub deliveries: Vec<Delivery>,
}

impl Format for Outbound {
    const NAME: &'static str = "outbound";
    /// 2 has what flow control needs (R42), and the pieces and portions of what is too large for one record (R41),
    /// behind the items of 1.
    const VERSION: u8 = 2;
    const OLDEST: u8 = 1;
}

/// A place in the chain of an entity's records on one outbound partition (R19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The commit's revision.
    pub revision: Revision,
    /// The revision of the record before it; 0 for the first.
    pub prev: Revision,
}

/// One frame, close or notice, and whom it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whom it concerns.
    pub to: Recipients,
    /// What it is.
    pub item: Item,
    /// How many bytes of the value are its payload; the next delivery's follow.
    pub payload_bytes: u32,
}

/// A session's socket (R24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Socket {
    /// The session's id, chosen by the client.
    pub connection: ConnectionId,
    /// Which of its sockets.
    pub attempt: DialAttempt,
}

/// Whom a delivery concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recipients {
    /// Every session the entity has accepted.
    Everybody,
    /// Every accepted session but these.
    Except(Vec<Socket>),
    /// These sockets and no other.
    Only(Vec<Socket>),
}

/// What is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// What one commit shows.
    Event {
        /// The commit's revision.
        revision: Revision,
        /// Whether the payload is text.
        text: bool,
    },
    /// A volatile output.
    Ephemeral {
        /// Whether the payload is text.
        text: bool,
    },
    /// The domain's yes.
    Reply {
        /// What is answered.
        id: RequestId,
        /// The commit's revision, or the one a query saw.
        revision: Revision,
        /// Whether the payload is text.
        text: bool,
    },
    /// The domain's no.
    Reject {
        /// What is refused.
        id: RequestId,
        /// As for a reply.
        revision: Revision,
        /// Whether the payload is text.
        text: bool,
    },
    /// Taken, without effect.
    Fault {
        /// The command or query that failed.
        id: RequestId,
        /// As for a reply.
        revision: Revision,
        /// The kind of failure, as in `docs/codes/`.
        code: FaultCode,
    },
    /// The session is accepted and starts from this payload. Outside the chain (R31).
    Welcome {
        /// The edge incarnation that holds the socket (R28).
        edge: Incarnation,
        /// The revision the payload was rendered from: what the session has from now on.
        revision: Revision,
        /// The last `send` taken.
        n: MessageNumber,
        /// Whether the payload is text.
        text: bool,
    },
    /// The answer to a resume begins: the session is accepted, and the `event`s and answers behind this
    /// delivery in the same record are all it missed after `since` (R21). Outside the chain.
    Resumed {
        /// The edge incarnation that holds the socket (R28).
        edge: Incarnation,
        /// Where it goes on from.
        since: Revision,
        /// What the session has when all of this record is delivered.
        upto: Revision,
        /// The last `send` taken.
        n: MessageNumber,
        /// Whether the client needs a `welcome … resumed` (it connected), or not (the edge repaired a gap).
        announce: bool,
    },
    /// The socket is to be closed after all before it.
    Close {
        /// The code of the close frame.
        code: CloseCode,
    },
    /// Every message before this one has been taken, or will never be (R42). About a partition and no entity: outside
    /// the chain, in a record without a key.
    Taken {
        /// The partition of `inbound`.
        partition: PartitionId,
        /// The next message to be taken.
        upto: Offset,
    },
    /// Messages of this edge may have been lost on their way: it answers with a `Disconnect` for each of the sockets
    /// that it does not hold (R42). Outside the chain.
    StillThere {
        /// The edge incarnation that is asked.
        edge: Incarnation,
    },
    /// One piece, but the last, of a record that is too large for the log (R41): the next bytes of its value.
    /// Outside the chain.
    Piece {
        /// Which record it is a piece of.
        transfer: Transfer,
        /// Its place, from 0, without holes.
        index: u32,
    },
    /// The last piece: the record is whole, and its value is all pieces one behind the other.
    LastPiece {
        /// Which record it is a piece of.
        transfer: Transfer,
        /// Its place; the first when there is only one.
        index: u32,
        /// How the whole record is read.
        deliveries: Vec<Delivery>,
    },
    /// A portion of the answer to a resume that is too large for one record (R41): as `Resumed`, and more
    /// portions follow until the session has `until`. Outside the chain.
    Resuming {
        /// The edge incarnation that holds the socket (R28).
        edge: Incarnation,
        /// Where this portion goes on from: where the one before it ended.
        since: Revision,
        /// What the session has when all of this record is delivered.
        upto: Revision,
        /// What it has after the last portion.
        until: Revision,
        /// The last `send` taken.
        n: MessageNumber,
        /// Whether the client needs a `welcome … resumed`: of the first portion, when it connected.
        announce: bool,
    },
}

/// Names a record that is sent in pieces: no two of one entity have the same name (R41).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// The epoch of the owner that cut it.
    pub epoch: Epoch,
    /// Rises within the epoch.
    pub number: u64,
}

impl Outbound {
    /// Adds a delivery, and its payload to `value`.
    ///
    /// # Panics
    /// When the payload has 4 GiB or more; records are bounded far below.
    pub fn deliver(&mut self, value: &mut BytesMut, to: Recipients, item: Item, payload: &[u8]) {
        let payload_bytes =
            u32::try_from(payload.len()).expect("records are bounded far below 4 GiB");
        value.extend_from_slice(payload);
        self.deliveries.push(Delivery {
            to,
            item,
            payload_bytes,
        });
    }

    /// Each delivery with its payload, a slice of `value` without a copy; `None` when the lengths do not fit.
    #[must_use]
    pub fn split(&self, value: &Bytes) -> Option<Vec<(&Delivery, Bytes)>> {
        let mut rest = value.clone();
        let mut parts = Vec::with_capacity(self.deliveries.len());
        for delivery in &self.deliveries {
            let length = delivery.payload_bytes as usize;
            if length > rest.len() {
                return None;
            }
            parts.push((delivery, rest.split_to(length)));
        }
        rest.is_empty().then_some(parts)
    }
}
