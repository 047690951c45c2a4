//! The entity: what a domain developer writes.

mod scene;
mod decision;
mod answer;
mod roster;
mod session;
mod at;
mod category;

pub use answer::{Answer, Refusal};
pub use at::At;
pub use category::Category;
pub use decision::{Decision, To, When};
pub use scene::{Cx, Scene, SignalCx};
pub use session::{Session, Ticket};

pub(crate) use answer::to_json as answer_json;
pub(crate) use decision::{AskDraft, Given, Showing, TellDraft, TicketAnswer, TimerSetting};
pub(crate) use roster::Roster;

use std::fmt::Display;
use std::time::Duration;

use crate::host::{Payload, Termination};
use crate::word::{Codec, DefaultWord, Stored, Unreadable, Word};

/// What a handler returns: a decision, or the domain's typed no.
pub type Outcome<E> = Result<Decision<E>, <E as Entity>::Rejection>;

/// What a client sees first: outputs, in order.
pub type Shown<E> = Vec<<E as Entity>::Output>;

/// A stateful thing that many users share in real time.
///
/// The type that implements it *is* the state (see [`State`](crate::State) for what it derives; no supertrait, so that
/// a forgotten derive is one error where the entity is hosted). It is `Default` before its first event, changes only in
/// [`apply`](Self::apply), and says everything else in eight vocabularies; take [`Never`](crate::Never) for those
/// that are not used (`()` for `Claims` and `Reply`).
///
/// Handlers are pure: the same state, word and [`Cx`] give the same decision. They must not read a clock, draw random
/// numbers or do I/O; `Cx` has the time, ids and randomness, and a [`Decision`] does the rest. Traps:
///
/// * Hash maps in state have another order after a reload; take `BTreeMap` and `BTreeSet`.
/// * `#[serde(skip)]` in state forgets the field at the next takeover.
/// * Arithmetic that overflows panics, and the message becomes a fault. In `apply` that quarantines the entity, so check
///   in `decide`. Release builds check only when the workspace's own `Cargo.toml` says `[profile.release]`
///   `overflow-checks = true`; one that does not is refused at its start.
/// * A wildcard arm in `apply` swallows the event that you add next year; `#![warn(clippy::wildcard_enum_match_arm)]`
///   finds it.
/// * A float that is not finite has no JSON form; refuse it in `decide`.
///
/// [`Scenario`](crate::testkit::Scenario) finds most of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "only an entity can be hosted",
    note = "write `impl Entity for {Self} {{ … }}`, and name the state itself here, not one of its vocabularies"
)]
pub trait Entity: Sized + Send + 'static {
    /// Its kind: the first half of its address. Frozen once released, because it is part of every record's key.
    const CATEGORY: Category;
    /// How its words become bytes.
    const CODEC: Codec = Codec::Json;
    /// Raise it when the state's shape or meaning changes. Each entity's older snapshot goes through
    /// [`read_state`](Self::read_state) when it is touched, or the entity is folded anew from its events.
    const STATE_VERSION: u32 = 1;

    /// For how long an entity is kept that nobody uses: which has no session, remembered ones included, waits for no
    /// timer and no answer, and has seen no message for so long. Then it ends as if it had decided
    /// [`end`](Decision::end), without an event. `None`, the default, keeps it for ever. One that was
    /// changed counts for an entity from its next message on.
    const RETENTION: Option<Duration> = None;

    /// The claims that are kept of a token, by name: all others end at the edge, and reach neither a log nor this entity.
    /// `None` takes the names of the fields of [`Claims`](Self::Claims), so this is for a type that has none of its own: a
    /// map, one with `#[serde(flatten)]`, an enum. A claim is kept as a whole, with all that stands in it.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use serde::{Deserialize, Serialize};
    /// # use xp_domain_sdk::prelude::*;
    /// # use xp_domain_sdk::testkit::{Scenario, user};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Room;
    /// impl Entity for Room {
    ///     const CATEGORY: Category = Category::new("room");
    ///     const CLAIMS: Option<&'static [&'static str]> = Some(&["team", "role"]);
    ///     type Claims = BTreeMap<String, String>;
    /// #   type Command = (); type Query = Never; type Signal = Never; type Event = Never;
    /// #   type Output = Never; type Reply = Vec<String>; type Rejection = Never;
    ///
    ///     fn decide(&self, _: (), cx: &Cx<Self>) -> Outcome<Self> {
    ///         Ok(cx.decision().reply(cx.claims().keys().cloned().collect()))
    ///     }
    /// #   fn apply(&mut self, event: Never) { match event {} }
    /// }
    ///
    /// let ana = user("ana").claims(BTreeMap::from([("role", "judge"), ("email", "ana@example.org")]));
    /// Scenario::<Room>::new().when(()).from(ana).then_reply(vec!["role".to_owned()]);
    /// ```
    const CLAIMS: Option<&'static [&'static str]> = None;

    /// Who asks: what the domain needs from the token's claims. `()` when it needs nothing. Only the claims that it has
    /// fields for are kept of a token (see [`CLAIMS`](Self::CLAIMS)). A session keeps those that it came with: give a
    /// field that you add later `#[serde(default)]`.
    type Claims: Word + Send;
    /// What clients want.
    type Command: Word;
    /// What clients ask; answered without changing anything.
    type Query: Word;
    /// What timers and other entities say, and the answers that others give. No client's frame is ever read as one.
    type Signal: Word;
    /// What happened. Kept for ever: see [`read_event`](Self::read_event).
    type Event: Word;
    /// What is shown to clients.
    type Output: Word;
    /// The answer. A decision that names none answers with the default.
    type Reply: Word + DefaultWord;
    /// The domain's no.
    type Rejection: Word;

    /// What a client's command does. `Err` records nothing.
    ///
    /// # Errors
    /// The domain's no.
    fn decide(&self, command: Self::Command, cx: &Cx<'_, Self>) -> Outcome<Self>;

    /// Stores what an event says. Total: it computes nothing that can fail, for it runs on every takeover, for ever.
    fn apply(&mut self, event: Self::Event);

    /// A timer fired, another entity spoke, or the answer to an `ask` of ours came. Messages decided since then may
    /// have changed everything, so judge again.
    ///
    /// # Errors
    /// The domain's no, to the entity that asked.
    fn signal(&self, signal: Self::Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let _ = (signal, cx);
        panic!("{} has signals and needs `fn signal`", Self::CATEGORY)
    }

    /// The answer to a query.
    ///
    /// # Errors
    /// The domain's no.
    fn answer(
        &self,
        query: Self::Query,
        cx: &Cx<'_, Self>,
    ) -> Result<Self::Reply, Self::Rejection> {
        let _ = (query, cx);
        panic!("{} has queries and needs `fn answer`", Self::CATEGORY)
    }

    /// A session begins; it stands in [`sessions`](Scene::sessions) already. `Err` refuses it: the client is told, and
    /// neither session nor entity comes to be.
    ///
    /// What is shown here is for those who were there before. The newcomer itself sees what
    /// [`welcome`](Self::welcome) makes of the state after these events, and nothing else: a whisper to it from
    /// here is dropped, with a warning in the log, and belongs into its welcome instead.
    ///
    /// # Errors
    /// The domain's no.
    fn connected(&self, cx: &Cx<'_, Self>) -> Outcome<Self> {
        Ok(cx.decision())
    }

    /// The session's socket is gone; for a grace it may come back. It still counts as attached until this is decided.
    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision()
    }

    /// The session has a socket again. It counts as attached, with the claims of its new token, once this is decided.
    fn reconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision()
    }

    /// The session is over; once for each that was connected. It leaves [`sessions`](Scene::sessions) once this is
    /// decided.
    fn terminated(&self, why: Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        let _ = why;
        cx.decision()
    }

    /// What this client sees first, after [`connected`](Self::connected)'s events, and again whenever it must start
    /// over. One that asks `cx` nothing about the session (who it is, its claims, its connection) is made once for all
    /// who come at the same time; ask only where the answer is shown.
    fn welcome(&self, cx: &Cx<'_, Self>) -> Shown<Self> {
        let _ = cx;
        Vec::new()
    }

    /// Reads a command from a client's frame. Override it for frames of a format of your own.
    ///
    /// # Errors
    /// When the frame holds no command; the client gets a fault.
    fn read_command(payload: Payload<'_>) -> Result<Self::Command, Unreadable> {
        payload.read(Self::CODEC)
    }

    /// Reads an event of the log, where every event that was ever written still stands: the upcaster. One stored
    /// event becomes any number of today's. See [`Stored`].
    ///
    /// # Errors
    /// When it is no event of any time; the entity is quarantined until a build comes that can read it. `xp log verify` of
    /// your binary finds such events before it is deployed.
    fn read_event(stored: Stored<'_>) -> Result<Vec<Self::Event>, Unreadable> {
        Ok(vec![stored.read()?])
    }

    /// Reads a state that a build with another [`STATE_VERSION`](Self::STATE_VERSION) stored: the upcaster of snapshots.
    /// `None` says that there is none for this version: the entity is folded anew from its events then, which needs a
    /// log that reaches back to its first one. Where `events` keeps only the last days, a state that changes its shape
    /// needs this.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use xp_domain_sdk::{Codec, Stored, Unreadable};
    /// # use xp_domain_sdk::prelude::*;
    /// /// An auction shows who bid; until version 2 it kept the amount alone.
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Auction {
    ///     high: Option<(String, u64)>,
    /// }
    ///
    /// impl Entity for Auction {
    ///     const CATEGORY: Category = Category::new("auction");
    ///     const STATE_VERSION: u32 = 2;
    /// #   type Claims = (); type Command = Never; type Query = Never; type Signal = Never;
    /// #   type Event = Never; type Output = Never; type Reply = (); type Rejection = Never;
    /// #   fn decide(&self, command: Never, _: &Cx<Self>) -> Outcome<Self> { match command {} }
    /// #   fn apply(&mut self, event: Never) { match event {} }
    ///
    ///     fn read_state(version: u32, stored: Stored<'_>) -> Result<Option<Self>, Unreadable> {
    ///         #[derive(Serialize, Deserialize)]
    ///         struct First { high: Option<u64> }
    ///         Ok(match version {
    ///             1 => {
    ///                 let First { high } = stored.read()?;
    ///                 Some(Self { high: high.map(|amount| ("somebody".to_owned(), amount)) })
    ///             }
    ///             _ => None,
    ///         })
    ///     }
    /// }
    ///
    /// let first = Stored::new(br#"{"high":120}"#, Codec::Json);
    /// let today = Auction::read_state(1, first).unwrap().unwrap();
    /// assert_eq!(today.high, Some(("somebody".to_owned(), 120)));
    /// ```
    ///
    /// # Errors
    /// When it should be readable and is not; the entity is quarantined until a build comes that can read it.
    fn read_state(version: u32, stored: Stored<'_>) -> Result<Option<Self>, Unreadable> {
        let _ = (version, stored);
        Ok(None)
    }

    /// Reads a signal that was set aside for later: of a timer, of another entity, or with the answer to an `ask`. Timers
    /// may have been set by older builds, years ago: an upcaster for signals. They are JSON always.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use xp_domain_sdk::{Codec, Stored, Unreadable};
    /// #[derive(Debug, PartialEq, Serialize, Deserialize)]
    /// #[serde(tag = "type", content = "data")]
    /// enum Signal {
    ///     FlagFell { colour: String },
    /// }
    ///
    /// // Games that began before clocks were called flags have a timer that says `TimeOver`.
    /// fn read_signal(stored: Stored<'_>) -> Result<Signal, Unreadable> {
    ///     match stored.kind().as_deref() {
    ///         Some("TimeOver") => Ok(Signal::FlagFell { colour: stored.data()? }),
    ///         _ => stored.read(),
    ///     }
    /// }
    ///
    /// let old = Stored::new(br#"{"type":"TimeOver","data":"white"}"#, Codec::Json);
    /// assert_eq!(read_signal(old).unwrap(), Signal::FlagFell { colour: "white".into() });
    /// ```
    ///
    /// # Errors
    /// When it is no signal of any time: it is not used up, and the entity is quarantined until a build comes that can read it.
    fn read_signal(stored: Stored<'_>) -> Result<Self::Signal, Unreadable> {
        stored.read()
    }

    /// The address of one of these, by its id.
    ///
    /// # Panics
    /// When the id is empty, longer than 255 bytes, or has a slash or a control character; in a handler that is a
    /// fault. For ids that come from outside take [`At::new`].
    fn at(id: impl Display) -> At<Self> {
        match At::new(&id.to_string()) {
            Ok(at) => at,
            Err(error) => panic!("{error}"),
        }
    }
}
