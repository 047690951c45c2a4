//! The seam between typed domain code and the platform: bytes in, bytes out, no generics.
//!
//! Domain developers never meet this module; the state node and the test kit drive entities through it.
//! Everything here is plain data and pure calls: no clock, no randomness, no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::{Address, ConnectionId, MessageNumber, Revision, TicketId, TimeMs};

use crate::word::{Codec, Unreadable, Word};

/// One kind of entity with its types erased.
pub trait Host: Send + Sync + 'static {
    /// The category it answers for.
    fn category(&self) -> &'static str;
    /// Rises when older snapshots and hashes must be set aside.
    fn state_version(&self) -> u32;
    /// For how many milliseconds an entity is kept that nobody uses; `None` keeps it for ever.
    fn retention_ms(&self) -> Option<u64>;
    /// The claims that are kept of a token, by name; all others go no further than the edge.
    fn claims(&self) -> &'static [&'static str];
    /// Whether outputs, replies and rejections are text (JSON) rather than binary.
    fn is_text(&self) -> bool;
    /// An entity before its first event.
    fn fresh(&self) -> Box<dyn Instance>;
    /// An entity from [`Instance::encode`]d state; one of another version goes through the domain's upcaster.
    ///
    /// # Errors
    /// [`Fault::StateVersion`] when the domain has no upcaster for that version, [`Fault::Unreadable`] when the bytes are
    /// none of that version.
    fn load(&self, state: &[u8]) -> Result<Box<dyn Instance>, Fault>;
    /// Whether a signal that was set aside for later can be read, as it stands in a timer.
    ///
    /// # Errors
    /// As [`Instance::decide`] would give.
    fn reads_signal(&self, signal: &[u8]) -> Result<(), Fault>;
    /// The payload of one `event` frame: `outputs`, each encoded on its own, as one sequence.
    fn sequence(&self, outputs: &[&[u8]]) -> Bytes;
    /// The events of several decisions, each as [`Decided::events`] holds them, as one such sequence.
    ///
    /// # Errors
    /// When one of them is no sequence.
    fn concat(&self, events: &[&[u8]]) -> Result<Bytes, Fault>;
    /// The encoded default reply: the answer of a decision that names none.
    fn default_reply(&self) -> Bytes;
}

/// One living entity with its types erased, and the typed claims of its sessions beside it.
pub trait Instance: Send {
    /// Decides one input. Pure: the same instance, input and scene give the same result. A panic in
    /// domain code is caught and returned as [`Fault::Panicked`].
    ///
    /// # Errors
    /// A [`Fault`] when the payload cannot be read or domain code is broken; nothing has happened then.
    fn decide(&self, input: &Input<'_>, scene: &SceneData<'_>) -> Result<Decided, Fault>;

    /// Answers a query of `by`; changes nothing.
    ///
    /// # Errors
    /// As for [`Self::decide`].
    fn answer(
        &self,
        by: ConnectionId,
        payload: &Payload<'_>,
        scene: &SceneData<'_>,
    ) -> Result<Outcome, Fault>;

    /// What `by` is shown first.
    ///
    /// # Errors
    /// As for [`Self::decide`].
    fn welcome(&self, by: ConnectionId, scene: &SceneData<'_>) -> Result<Welcome, Fault>;

    /// Applies the events of one commit, as they stand in the log.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] leaves the instance as it was. A panic leaves it unusable: the caller must drop it and load it
    /// again.
    fn apply(&mut self, events: &[u8]) -> Result<(), Fault>;

    /// Keeps the roster of sessions that `Cx` shows, claims decoded once.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] when the claims lack what the domain's `Claims` needs. The session stands in the roster all the
    /// same, and whatever needs its claims fails: what an older build stored condemns nobody else.
    fn roster(&mut self, change: &RosterChange<'_>) -> Result<(), Fault>;

    /// The state for snapshots and hashes; equal states give equal bytes.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn encode(&self) -> Result<Vec<u8>, Fault>;
}

/// What a session is shown first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The payload, as one sequence of outputs.
    pub shown: Bytes,
    /// Whether it is the same for every session at this revision: the domain asked nothing about this one.
    pub for_all: bool,
}

/// A payload as it came from a client: text and binary frames are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The bytes, unread so far.
    pub bytes: &'a [u8],
    /// Whether they came in a text frame.
    pub text: bool,
}

impl Payload<'_> {
    /// One word from all of the payload; text frames hold JSON, binary frames binary words.
    ///
    /// # Errors
    /// When it is no such word, or came in the wrong kind of frame.
    pub fn read<W: Word>(&self, codec: Codec) -> Result<W, Unreadable> {
        match (codec.is_text(), self.text) {
            (true, false) => Err(Unreadable::new(
                "this entity speaks JSON: send a text frame",
            )),
            (false, true) => Err(Unreadable::new(
                "this entity speaks binary: send a binary frame",
            )),
            _ => W::read(codec, self.bytes),
        }
    }
}

/// What an entity is asked to decide.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A session begins; it stands in the roster already.
    Connected(ConnectionId),
    /// A session's socket is gone; its grace begins. The roster learns of it afterwards.
    Disconnected(ConnectionId),
    /// A session has a socket again. The roster learns of it, and of its new claims, afterwards.
    Reconnected(ConnectionId),
    /// A session is over, once; it leaves the roster afterwards.
    Terminated(ConnectionId, Termination),
    /// A client's command. `n` is `None` for `ephemeral`, whose decision may hold volatile outputs only.
    Command {
        /// Who sent it.
        by: ConnectionId,
        /// Its number in the session.
        n: Option<MessageNumber>,
        /// The command's bytes.
        payload: Payload<'a>,
    },
    /// A signal: from a timer or from another entity, never from a client. JSON.
    Signal {
        /// Where it came from.
        origin: Origin<'a>,
        /// The signal's JSON.
        payload: &'a [u8],
    },
    /// The answer to an `ask` of ours.
    Answer {
        /// The entity that was asked.
        from: &'a Address,
        /// What `ask` left behind, in [`Tell::continuation`].
        continuation: &'a [u8],
        /// The other entity's outcome.
        outcome: &'a Outcome,
    },
}

/// Where a signal came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A timer of this entity, by name.
    Timer(&'a str),
    /// Another entity (or this one) told it; `asked` when it waits for the answer.
    Entity {
        /// Who told it.
        from: &'a Address,
        /// Whether an answer is awaited.
        asked: bool,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// The client said goodbye (close code 1000).
    Left,
    /// The grace passed without a new socket.
    Expired,
    /// The domain ended it with `terminate`.
    ByEntity,
}

/// What surrounds a decision. Beside it stands the roster, which the instance keeps.
#[derive(Clone, Debug)]
pub struct SceneData<'a> {
    /// The entity's address.
    pub address: &'a Address,
    /// Commits so far; the one being decided will be the next.
    pub revision: Revision,
    /// The message's time, never running backwards within an entity.
    pub now: TimeMs,
    /// Fresh ids and random numbers come from here; drawn by the owner, kept in the commit.
    pub seed: u64,
    /// The ticket that `later()` would open for this message.
    pub ticket: TicketId,
}

/// A change of the roster of sessions.
#[derive(Clone, Debug)]
pub enum RosterChange<'a> {
    /// A session, new or again, is attached; or its claims changed.
    Attached {
        /// The session, by the id under which its client comes back.
        connection: ConnectionId,
        /// The token's subject.
        subject: &'a str,
        /// The token's claims as a JSON object.
        claims: &'a [u8],
    },
    /// Its socket is gone.
    Detached(ConnectionId),
    /// It is over.
    Ended(ConnectionId),
}

/// An answer: the domain's yes or its typed no, or a fault.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// The encoded `Reply`.
    Reply(Bytes),
    /// The encoded `Rejection`.
    Rejection(Bytes),
    /// There is no answer of the domain's: its code failed, or the ticket went unanswered.
    Fault,
}

/// Everything one decision wants, as data. Committed as one record or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The events as they will stand in the log: one encoded array; empty when there are none.
    pub events: Bytes,
    /// How many events that is.
    pub event_count: u32,
    /// The answer to the message being decided.
    pub reply: Reply,
    /// Deferred answers given now.
    pub answers: Vec<(TicketId, Outcome)>,
    /// What is shown, in the order decided.
    pub shows: Vec<Show>,
    /// Words to other entities.
    pub tells: Vec<Tell>,
    /// Timers set (due time and signal JSON) or cleared (`None`), by name.
    pub timers: Vec<(String, Option<(TimeMs, Bytes)>)>,
    /// Sessions to end.
    pub terminate: Vec<ConnectionId>,
    /// Whether the entity is over, behind all of this.
    pub ends: bool,
}

/// The answer to the message being decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// At once; [`Outcome::Rejection`] is the domain's no, whether or not events were recorded.
    Now(Outcome),
    /// From a later decision, by [`SceneData::ticket`].
    Later,
}

/// One output and who sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    /// Who sees it.
    pub to: Audience,
    /// The encoded output.
    pub output: Bytes,
    /// May be lost, is never resent, and leaves no trace (`glimpse`).
    pub volatile: bool,
}

/// Who sees an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All sessions that the entity has accepted.
    Everybody,
    /// These sessions only.
    Only(Vec<ConnectionId>),
    /// Every session but this one.
    Except(ConnectionId),
}

/// A word to another entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// Who is told.
    pub to: Address,
    /// The other's signal, as JSON.
    pub signal: Bytes,
    /// Present for an `ask`: what turns the answer into a signal of ours. Stored by the platform and
    /// handed back in [`Input::Answer`].
    pub continuation: Option<Bytes>,
}

/// A bug in domain code or bytes it cannot read. The message has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes that the domain's types cannot be read from.
    #[error("unreadable {what}: {reason}")]
    Unreadable {
        /// "command", "event", "state", …
        what: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// A stored state of another version, for which the domain has no upcaster.
    #[error(
        "the state has version {found}, this build has {known} and no `read_state` for the other"
    )]
    StateVersion {
        /// The version found.
        found: u32,
        /// The domain's version.
        known: u32,
    },
    /// Domain code panicked.
    #[error("{handler} panicked: {message}")]
    Panicked {
        /// The handler's name.
        handler: &'static str,
        /// The panic's message.
        message: String,
    },
    /// Domain code asked for what the platform cannot do, such as recording in an `ephemeral`.
    #[error("{0}")]
    Misuse(String),
}

impl Fault {
    /// Whether a client has said what this domain does not take: a command, a query or claims. Nobody here can mend that.
    #[must_use]
    pub fn is_of_client(&self) -> bool {
        matches!(
            self,
            Self::Unreadable {
                what: "command" | "query" | "claims",
                ..
            }
        )
    }

    /// Whether it is a signal that this build cannot read. Another build has set the timer or told the word, and one that
    /// can read it will come.
    #[must_use]
    pub fn is_unread_signal(&self) -> bool {
        match self {
            Self::Unreadable { what, .. } => *what == SIGNAL,
            Self::Panicked { handler, .. } => *handler == READ_SIGNAL,
            Self::StateVersion { .. } | Self::Misuse(_) => false,
        }
    }
}

/// What a fault calls a signal.
pub(crate) const SIGNAL: &str = "signal";
/// What a fault calls [`Entity::read_signal`](crate::Entity::read_signal).
pub(crate) const READ_SIGNAL: &str = "read_signal";

/// The registry: which kinds of entity a node hosts.
#[derive(Clone, Default)]
pub struct Registry {
    hosts: BTreeMap<&'static str, Arc<dyn Host>>,
}

impl Registry {
    /// Adds a kind of entity.
    ///
    /// # Panics
    /// When the category is hosted already: two kinds under one name is a mistake in `main`.
    pub fn add(&mut self, host: Arc<dyn Host>) {
        let category = host.category();
        let former = self.hosts.insert(category, host);
        assert!(
            former.is_none(),
            "the category {category:?} is hosted twice"
        );
    }

    /// The kind of entity behind `category`.
    #[must_use]
    pub fn get(&self, category: &str) -> Option<&Arc<dyn Host>> {
        self.hosts.get(category)
    }

    /// All categories, in alphabetical order.
    pub fn categories(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.hosts.keys().copied()
    }
}
