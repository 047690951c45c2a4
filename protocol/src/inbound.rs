//! The header of records on `inbound`. The record's key is the entity's address; its value is the payload.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::codec::Format;
use crate::frame::Tag;
use crate::ids::{
    ConnectionId, DialAttempt, Incarnation, MessageNumber, Offset, PartitionId, Revision, TimeMs,
};
use crate::lane::LanePartition;

/// What the platform knows of one inbound message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// When the edge took it, or when the telling commit was decided.
    pub time: TimeMs,
    /// The W3C trace context.
    pub trace: Option<Box<str>>,
    /// Who says what.
    pub message: Message,
}

impl Format for Inbound {
    const NAME: &'static str = "inbound";
    const VERSION: u8 = 1;
}

/// Who says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A client, through its edge.
    Client {
        /// The edge that holds the socket.
        edge: Incarnation,
        /// The session's id, chosen by the client.
        connection: ConnectionId,
        /// The socket of the session (R27).
        attempt: DialAttempt,
        /// What it does.
        action: ClientAction,
    },
    /// Another entity, which may be of this partition too.
    Tell {
        /// The partition that tells.
        source: LanePartition,
        /// Dense per (source, target), from 1 (R34).
        number: u64,
        /// The entity that tells.
        from: Address,
        /// What it says.
        what: TellContent,
    },
    /// `taker` has committed all tells of this partition up to `number`; they need no repetition.
    /// Has no key, and may be lost or repeated.
    TellsTaken {
        /// The partition that took them.
        taker: LanePartition,
        /// The last number taken.
        number: u64,
    },
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAction {
    /// A socket wants in. Value: the token's claims as JSON.
    Connect {
        /// The token's subject.
        subject: Box<str>,
        /// The last revision the client saw, when it wants to go on from there.
        since: Option<Revision>,
        /// Where the edge listens (R25).
        outbound: PartitionId,
        /// Where the edge's incarnation joined the `cluster` log (R29).
        joined: Offset,
    },
    /// The socket is gone (R28).
    Disconnect {
        /// Whether the client said goodbye for good (close code 1000).
        left: bool,
    },
    /// A command. Value: the payload.
    Send {
        /// Its number (R30).
        n: MessageNumber,
        /// Whether it came in a text frame.
        text: bool,
    },
    /// A query. Value: the payload.
    Ask {
        /// Names the answer.
        tag: Tag,
        /// Whether it came in a text frame.
        text: bool,
    },
    /// A command that may be dropped. Value: the payload.
    Ephemeral {
        /// Whether it came in a text frame.
        text: bool,
    },
    /// A fresh token has other claims. Value: the claims as JSON.
    Claims,
    /// The edge missed records of the chain: repeat what followed `since` for this session (R20).
    Resume {
        /// The last revision this session was shown.
        since: Revision,
    },
}

/// What one entity says to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TellContent {
    /// A signal. Value: its JSON.
    Signal {
        /// Present for an `ask`: the asker's name for this conversation, carried back with the answer.
        conversation: Option<u64>,
    },
    /// The answer to an `ask`. Value: the encoded reply or rejection.
    Answer {
        /// The asker's name for the conversation.
        conversation: u64,
        /// What kind of answer it is.
        kind: AnswerKind,
    },
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerKind {
    /// The domain's yes.
    Reply,
    /// The domain's no.
    Rejection,
    /// There is none: domain code failed, or a ticket went unanswered.
    Fault,
}
