//! The header of records on `events` (R1). A commit's key is the entity's address, its value the domain's
//! events; the other records have neither.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::codec::Format;
use crate::codes::FaultCode;
use crate::frame::Tag;
use crate::ids::{
    ClaimAttempt, ClaimId, ConnectionId, DialAttempt, Epoch, Incarnation, LogIdentity,
    MessageNumber, Offset, PartitionId, Revision, Seq, TicketId, TimeMs, View,
};
use crate::inbound::TellContent;
use crate::lane::LanePartition;
use crate::outbound::{Delivery, Item};

/// The version of the rules of the log protocol (docs/rules.md) that a claimer keeps.
pub const RULES: u32 = 1;

/// One record of `events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A node takes the partition.
    Claim(Claim),
    /// Everything one message did to one entity.
    Commit(Arc<Commit>),
    /// Moves positions forward without an entity.
    Checkpoint(Checkpoint),
    /// A message is about to be decided that may have taken a node down (R16).
    Trying(Trying),
    /// The owner is done with the partition.
    Release {
        /// The epoch it ends.
        epoch: Epoch,
        /// The epoch's last number.
        seq: Seq,
    },
    /// The same as [`Event::Trying`], of a message that its client sends again until it is answered.
    TryingNamed(Trying, MessageName),
}

impl Format for Event {
    const NAME: &'static str = "events";
    /// Version 2 has answers that stand among the deliveries only, what is parked (R44), and names of suspects (R16);
    /// version 3 has the end of entities (R49).
    const VERSION: u8 = 3;
    const OLDEST: u8 = 1;
}

/// A node takes the partition; its offset becomes the epoch if it is accepted (R2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The same id again is a no-op.
    pub id: ClaimId,
    /// The claiming process.
    pub incarnation: Incarnation,
    /// What it had folded of the `cluster` log.
    pub view: View,
    /// Rises when one process claims again under one view.
    pub attempt: ClaimAttempt,
    /// The version of the log protocol's rules that the claimer keeps, as [`RULES`] counts them.
    pub rules: u32,
    /// The life of the inbound log that causes refer to (R4).
    pub inbound: LogIdentity,
}

/// Everything one message did to one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Dense in the epoch.
    pub seq: Seq,
    /// All effects of records before this offset had gone out (R8, R14).
    pub sent: Offset,
    /// What caused it.
    pub cause: Cause,
    /// The time the decision saw.
    pub now: TimeMs,
    /// The entity's revision after it.
    pub revision: Revision,
    /// The W3C trace context of the message.
    pub trace: Option<Box<str>>,
    /// The seed of the decision's random numbers.
    pub seed: u64,
    /// How many events the value holds.
    pub event_count: u32,
    /// What becomes of sessions, timers, tickets and conversations.
    pub changes: Vec<Change>,
    /// What sessions are shown of it.
    pub outputs: Outputs,
    /// The resolved tells (R6).
    pub tells: Vec<Tell>,
}

/// What sessions are shown of a commit, and the chains that bring it to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The chains that the commit continues: each gets one outbound record (R6, R19).
    pub links: Vec<ChainLink>,
    /// What is delivered, in this order; also to sessions whose socket is gone, for their resume (R21).
    pub deliveries: Vec<Routed>,
    /// The payloads of the deliveries, one behind the other.
    pub frames: Bytes,
}

impl Outputs {
    /// The delivery at an index, and its payload: a slice of the frames, without a copy. `None` where there is none, or
    /// where the frames are too short for it.
    #[must_use]
    pub fn delivery(&self, index: usize) -> Option<(&Delivery, Bytes)> {
        let delivery = &self.deliveries.get(index)?.delivery;
        let bytes = |routed: &Routed| routed.delivery.payload_bytes as usize;
        let start: usize = self.deliveries[..index].iter().map(bytes).sum();
        let end = start + delivery.payload_bytes as usize;
        let payload = (end <= self.frames.len()).then(|| self.frames.slice(start..end));
        Some((delivery, payload?))
    }
}

/// A chain of outbound records about one entity, and where it stood (R19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// The outbound partition.
    pub partition: PartitionId,
    /// The revision of the record before this one on it; 0 for the first.
    pub prev: Revision,
}

/// A delivery and the outbound partition it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// The one partition that needs it; `None` for all that the commit links.
    pub partition: Option<PartitionId>,
    /// To whom, what, and how many bytes of the frames are its payload.
    pub delivery: Delivery,
}

/// One resolved tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// The partition that is told.
    pub target: LanePartition,
    /// Dense per (source, target), from 1 (R34).
    pub number: u64,
    /// The entity that tells.
    pub from: Address,
    /// The entity that is told.
    pub to: Address,
    /// What it is told.
    pub what: TellContent,
    /// The signal or the answer.
    pub payload: Bytes,
}

/// What caused a commit (R4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A message at this offset of the inbound log.
    Inbound(Offset),
    /// A timer of the entity.
    Timer(TimerKey),
    /// An edge was lost (R29).
    Verdict {
        /// The lost edge.
        edge: Incarnation,
    },
}

/// Names a timer of one entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKey {
    /// One of the domain's, by name.
    Domain(Box<str>),
    /// The end of a session's grace (R26).
    Grace(ConnectionId),
    /// The end of the memory of an ended session (R26).
    Forget(ConnectionId),
    /// A ticket goes unanswered.
    Ticket(TicketId),
    /// The first of what was parked is delivered (R44).
    Parked,
    /// Nobody has used the entity for as long as its category keeps such ones.
    Retention,
}

/// Who waits for a deferred answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Awaiter {
    /// A session, for its command.
    Session {
        /// The session, which may have ended by the time the answer comes.
        connection: ConnectionId,
        /// The number of its command (R30).
        n: MessageNumber,
    },
    /// Another entity, for its `ask`.
    Entity {
        /// The entity that asked.
        address: Address,
        /// Its name for the conversation.
        conversation: u64,
    },
}

/// A stored answer (R30).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The domain's yes.
    Reply(Bytes),
    /// The domain's no.
    Reject(Bytes),
    /// Taken, without effect.
    Fault(FaultCode),
}

/// What becomes of an entity's platform state. The fold applies them in order; they decide nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A session begins, or begins a new life.
    SessionBegun(Box<Attachment>),
    /// A known session has a socket again.
    SessionAttached(Box<Attachment>),
    /// Its socket is gone; its grace ends by [`TimerKey::Grace`].
    SessionDetached {
        /// The session whose socket is gone.
        connection: ConnectionId,
        /// When its grace ends; at once unless the socket was merely lost.
        until: TimeMs,
        /// Why the socket is gone.
        why: Ending,
    },
    /// It is over; its memory ends by [`TimerKey::Forget`].
    SessionEnded {
        /// The session that is over.
        connection: ConnectionId,
        /// When its memory ends.
        until: TimeMs,
    },
    /// Its memory is over.
    SessionForgotten(ConnectionId),
    /// Its token has other claims.
    ClaimsChanged {
        /// The session whose token was replaced.
        connection: ConnectionId,
        /// The claims as JSON.
        claims: Bytes,
    },
    /// A command was taken; answers that fall out of the bound of B are dropped (R30).
    Taken {
        /// The session that sent it.
        connection: ConnectionId,
        /// The command's number.
        n: MessageNumber,
    },
    /// A command was answered, now or from a ticket.
    Answered {
        /// The session that sent it.
        connection: ConnectionId,
        /// The command's number.
        n: MessageNumber,
        /// The answer, kept until it falls out of the bound of B (R30).
        answer: Answer,
    },
    /// An answer was put off.
    TicketOpened {
        /// The ticket's id, unique in the entity.
        ticket: TicketId,
        /// The session or the entity that the answer is for.
        awaiter: Awaiter,
        /// When it goes unanswered.
        until: TimeMs,
    },
    /// A ticket is answered or void.
    TicketClosed(TicketId),
    /// A domain timer is set or moved.
    TimerSet {
        /// The timer's name, unique in the entity.
        name: Box<str>,
        /// When it is due.
        due: TimeMs,
        /// The signal's JSON.
        signal: Bytes,
    },
    /// A domain timer is cleared or has fired.
    TimerCleared(Box<str>),
    /// An `ask` went out.
    Asked {
        /// The asker's name for the conversation, by which the answer finds its continuation.
        conversation: u64,
        /// What turns the answer into a signal.
        continuation: Bytes,
    },
    /// The answer came.
    AskClosed(u64),
    /// A tell was taken: the fold header's number for its source rises (R34).
    TellTaken {
        /// The telling partition.
        source: LanePartition,
        /// The tell's number; the one before it was taken (R34).
        number: u64,
    },
    /// A command was answered by what this commit delivers, which says it once for both.
    AnsweredAsShown {
        /// The session that sent it.
        connection: ConnectionId,
        /// The command's number.
        n: MessageNumber,
        /// Which of the commit's deliveries is the answer.
        delivery: u32,
    },
    /// Something came that the entity cannot take now: it waits behind what is parked already (R44).
    Parked(Box<Parked>),
    /// The first of what is parked was delivered (R44).
    Unparked,
    /// The entity is over, behind all else that its commit says (R49): its state is again what it was before the first
    /// event, its timers, tickets and conversations are void, and every session ends.
    EntityEnded {
        /// When the memory of the sessions ends that end with it.
        until: TimeMs,
    },
}

/// Something that came for an entity in quarantine, kept until it can be delivered (R44).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// When it came.
    pub at: TimeMs,
    /// What it is.
    pub what: Waiting,
}

/// What waits for an entity in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// Another entity's tell, whose number is taken already (R34).
    Told {
        /// The entity that tells.
        from: Address,
        /// What it says.
        what: TellContent,
        /// The signal or the answer.
        payload: Bytes,
    },
    /// The end of a socket (R28).
    Disconnect {
        /// The session whose socket is gone.
        connection: ConnectionId,
        /// The socket's attempt; another one of the session is not meant (R27).
        attempt: DialAttempt,
        /// Why it is gone.
        why: Ending,
    },
}

/// Why a session's socket is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It was lost; the client may come back within the grace.
    Lost,
    /// The client said goodbye.
    Left,
    /// The entity ended the session.
    ByEntity,
}

/// A session's socket, as its Connect named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The session, new or known.
    pub connection: ConnectionId,
    /// The socket's attempt, higher than that of each before it (R27).
    pub attempt: DialAttempt,
    /// The token's subject.
    pub subject: Box<str>,
    /// The token's claims as JSON.
    pub claims: Bytes,
    /// The edge that holds the socket.
    pub edge: Incarnation,
    /// Where that edge joined the `cluster` log (R29).
    pub joined: Offset,
    /// Where that edge listens.
    pub outbound: PartitionId,
}

/// Moves positions forward without an entity (R15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Dense in the epoch.
    pub seq: Seq,
    /// As in a commit.
    pub sent: Offset,
    /// The next inbound offset to read.
    pub inbound: Offset,
    /// For each target, the last tell that it is known to have taken.
    pub tells_taken: Vec<(LanePartition, u64)>,
    /// Entities and the hash of their state at a revision, so that whoever folds can compare.
    pub hashes: Vec<StateHash>,
}

/// The hash of one entity's encoded state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHash {
    /// The entity whose state was hashed.
    pub address: Address,
    /// At which revision.
    pub revision: Revision,
    /// The domain's state version; other versions are not compared.
    pub state_version: u32,
    /// crc32c of the encoded state.
    pub hash: u32,
}

/// A message is about to be decided that may have taken a node down (R16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trying {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Dense in the epoch.
    pub seq: Seq,
    /// As in a commit.
    pub sent: Offset,
    /// The message or timer that is about to be decided.
    pub cause: Cause,
}

/// What a message is called when its client sends it again: its offset is another then, and where the inbound log is
/// gone with the process, nobody knows the old one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessageName {
    /// A numbered command of a session.
    Command {
        /// The entity that it is for.
        address: Address,
        /// The session that sends it again.
        connection: ConnectionId,
        /// Its number there (R30).
        n: MessageNumber,
    },
    /// A query of a session.
    Query {
        /// The entity that is asked.
        address: Address,
        /// The session that sends it again.
        connection: ConnectionId,
        /// The name of its answer.
        tag: Tag,
    },
}

impl std::fmt::Display for MessageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command {
                address,
                connection,
                n,
            } => write!(f, "command {n} of {connection} to {address}"),
            Self::Query {
                address,
                connection,
                tag,
            } => write!(f, "query {} of {connection} to {address}", tag.0),
        }
    }
}

impl Commit {
    /// Whether the entity is over with it (R49).
    #[must_use]
    pub fn ends(&self) -> bool {
        let ends = |change: &Change| matches!(change, Change::EntityEnded { .. });
        self.changes.iter().any(ends)
    }

    /// The command that a change says is answered, and how. An answer that stands among the deliveries is a
    /// slice of the frames, without a copy.
    #[must_use]
    pub fn answered(&self, change: &Change) -> Option<(ConnectionId, MessageNumber, Answer)> {
        match change {
            Change::Answered {
                connection,
                n,
                answer,
            } => Some((*connection, *n, answer.clone())),
            Change::AnsweredAsShown {
                connection,
                n,
                delivery,
            } => Some((*connection, *n, self.shown_answer(*delivery)?)),
            _ => None,
        }
    }

    fn shown_answer(&self, delivery: u32) -> Option<Answer> {
        let index = usize::try_from(delivery).ok()?;
        let (delivered, payload) = self.outputs.delivery(index)?;
        match &delivered.item {
            Item::Reply { .. } => Some(Answer::Reply(payload)),
            Item::Reject { .. } => Some(Answer::Reject(payload)),
            Item::Fault { code, .. } => Some(Answer::Fault(*code)),
            _ => None,
        }
    }
}

impl Event {
    /// The (epoch, seq) under which an owner wrote it; `None` for a claim.
    #[must_use]
    pub fn epoch_and_seq(&self) -> Option<(Epoch, Seq)> {
        match self {
            Self::Claim(_) => None,
            Self::Commit(commit) => Some((commit.epoch, commit.seq)),
            Self::Checkpoint(checkpoint) => Some((checkpoint.epoch, checkpoint.seq)),
            Self::Trying(trying) | Self::TryingNamed(trying, _) => Some((trying.epoch, trying.seq)),
            Self::Release { epoch, seq } => Some((*epoch, *seq)),
        }
    }
}
