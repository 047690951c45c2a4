use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use xp_protocol::{Address, ConnectionId, TimeMs};

use super::{Answer, At, Entity, Session, Ticket};
use crate::word::{Codec, Word};

/// Everything a handler wants, as a value. Committed as one record, or not at all.
///
/// It starts at `cx.decision()` and grows by its methods; what is shown is shown in the order given.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use xp_domain_sdk::prelude::*;
/// # use xp_domain_sdk::testkit::{Scenario, user};
/// # use std::time::Duration;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Door { open: bool }
/// # #[derive(Clone, Serialize, Deserialize)]
/// # enum Event { Opened, Closed }
/// # #[derive(Serialize, Deserialize)]
/// # enum Signal { Close }
/// # impl Entity for Door {
/// #     const CATEGORY: Category = Category::new("door");
/// #     type Claims = (); type Command = (); type Query = Never; type Signal = Signal;
/// #     type Event = Event; type Output = Event; type Reply = String; type Rejection = Never;
/// // A door opens for whoever knocks, and a timer closes it.
/// fn decide(&self, _knock: (), cx: &Cx<Self>) -> Outcome<Self> {
///     Ok(cx.decision()
///         .publish(Event::Opened)
///         .schedule("close", Duration::from_secs(5), Signal::Close)
///         .reply(format!("come in, {}", cx.subject())))
/// }
/// fn signal(&self, signal: Signal, cx: &SignalCx<Self>) -> Outcome<Self> {
///     let Signal::Close = signal;
///     Ok(cx.decision().publish(Event::Closed))
/// }
/// #     fn apply(&mut self, event: Event) { self.open = matches!(event, Event::Opened); }
/// # }
/// Scenario::<Door>::new()
///     .when(()).from(user("ana")).then_events([Event::Opened]).then_reply("come in, ana".into())
///     .after(Duration::from_secs(5)).then_events([Event::Closed]);
/// ```
#[must_use = "a decision does nothing until the handler returns it"]
pub struct Decision<E: Entity> {
    now: TimeMs,
    seed: u64,
    sender: Option<ConnectionId>,
    pub(crate) events: Vec<E::Event>,
    pub(crate) given: Option<Given<E>>,
    pub(crate) answers: Vec<(Ticket, TicketAnswer<E>)>,
    pub(crate) shows: Vec<Showing<E::Output>>,
    pub(crate) tells: Vec<TellDraft<E::Signal>>,
    pub(crate) timers: Vec<(String, TimerSetting<E::Signal>)>,
    pub(crate) terminate: Vec<To>,
    pub(crate) ends: bool,
    pub(crate) misuse: Option<String>,
}

/// What a ticket is answered with.
pub(crate) type TicketAnswer<E> = Result<<E as Entity>::Reply, <E as Entity>::Rejection>;

/// When a timer fires and what it says; `None` clears it.
pub(crate) type TimerSetting<S> = Option<(TimeMs, S)>;

/// How the message being decided is answered.
pub(crate) enum Given<E: Entity> {
    Reply(E::Reply),
    Rejection(E::Rejection),
    Later,
}

/// One output and who sees it.
pub(crate) struct Showing<O> {
    pub(crate) to: To,
    pub(crate) output: O,
    pub(crate) volatile: bool,
}

/// A word to another entity, and the signal that will carry its answer.
pub(crate) struct TellDraft<S> {
    pub(crate) to: Address,
    pub(crate) signal: Bytes,
    pub(crate) asked: Option<AskDraft<S>>,
}

/// A signal with a marker where the answer will stand, and how the other entity's words are written.
pub(crate) struct AskDraft<S> {
    pub(crate) signal: S,
    pub(crate) marker: String,
    pub(crate) codec: Codec,
}

/// Which sessions: a connection, or all of a subject's, or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// One session, whether or not it has a socket now.
    Connection(ConnectionId),
    /// All sessions of one person.
    Subject(String),
    /// All sessions that the entity has accepted, attached or detached.
    Everybody,
    /// Every session but this one.
    Except(ConnectionId),
}

impl From<ConnectionId> for To {
    fn from(connection: ConnectionId) -> Self {
        Self::Connection(connection)
    }
}

impl<C> From<&Session<C>> for To {
    fn from(session: &Session<C>) -> Self {
        Self::Connection(session.connection())
    }
}

impl From<&str> for To {
    fn from(subject: &str) -> Self {
        Self::Subject(subject.to_owned())
    }
}

impl From<&String> for To {
    fn from(subject: &String) -> Self {
        Self::Subject(subject.clone())
    }
}

/// When a timer fires: at a time, or after a duration from `cx.now()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time; at once when it is past.
    At(TimeMs),
    /// So long after the message being decided.
    In(Duration),
}

impl From<TimeMs> for When {
    fn from(time: TimeMs) -> Self {
        Self::At(time)
    }
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::In(duration)
    }
}

impl<E: Entity> Decision<E> {
    pub(crate) fn new(now: TimeMs, seed: u64, sender: Option<ConnectionId>) -> Self {
        Self {
            now,
            seed,
            sender,
            events: Vec::new(),
            given: None,
            answers: Vec::new(),
            shows: Vec::new(),
            tells: Vec::new(),
            timers: Vec::new(),
            terminate: Vec::new(),
            ends: false,
            misuse: None,
        }
    }

    /// Adds an event. Events are recorded and applied in the order of these calls.
    pub fn record(mut self, event: E::Event) -> Self {
        self.events.push(event);
        self
    }

    /// This happened, and everybody sees it: [`record`](Self::record) and [`broadcast`](Self::broadcast).
    pub fn publish(self, event: E::Event) -> Self
    where
        E::Event: Clone + Into<E::Output>,
    {
        self.broadcast(event.clone().into()).record(event)
    }

    /// The answer. Without it, the default of `Reply`.
    pub fn reply(self, reply: E::Reply) -> Self {
        self.give(Given::Reply(reply))
    }

    /// The answer is no, and the events stand nevertheless. (A handler's `Err` records nothing.)
    pub fn refuse(self, rejection: E::Rejection) -> Self {
        self.give(Given::Rejection(rejection))
    }

    /// The answer comes from a later decision, through [`cx.ticket()`](super::Scene::ticket). Where nobody waits for
    /// an answer (timers, tells, the life of a session) it means nothing.
    pub fn later(self) -> Self {
        self.give(Given::Later)
    }

    /// Answers a ticket of an earlier message. A ticket that is answered already, or whose session is over, stays
    /// as it is.
    pub fn answer(mut self, ticket: Ticket, answer: Result<E::Reply, E::Rejection>) -> Self {
        self.answers.push((ticket, answer));
        self
    }

    /// Everybody sees this.
    pub fn broadcast(self, output: E::Output) -> Self {
        self.show(To::Everybody, output, false)
    }

    /// Everybody but the session that this is about sees this.
    pub fn broadcast_others(self, output: E::Output) -> Self {
        let others = self.others();
        self.show(others, output, false)
    }

    /// Only this connection, or this subject's connections, see this; nobody, when they are not here.
    pub fn whisper(self, to: impl Into<To>, output: E::Output) -> Self {
        self.show(to.into(), output, false)
    }

    /// Everybody who is attached sees this, unless it gets lost: it leaves no trace and is never sent again.
    pub fn glimpse(self, output: E::Output) -> Self {
        self.show(To::Everybody, output, true)
    }

    /// As [`glimpse`](Self::glimpse), but not to the session that this is about.
    pub fn glimpse_others(self, output: E::Output) -> Self {
        let others = self.others();
        self.show(others, output, true)
    }

    /// Says something to another entity, which hears it exactly once, after this is committed.
    pub fn tell<O: Entity>(mut self, other: At<O>, signal: O::Signal) -> Self {
        match signal.write(Codec::Json) {
            Ok(json) => self.tells.push(TellDraft {
                to: other.address().clone(),
                signal: json.into(),
                asked: None,
            }),
            Err(error) => self.note(format!(
                "the signal for {other:?} has no JSON form: {error}"
            )),
        }
        self
    }

    /// Asks another entity; its reply, rejection or fault comes back as a signal of ours, exactly once.
    ///
    /// `then` runs at once, and only says which signal will carry the answer. It is data in the commit from then on,
    /// so a takeover in between changes nothing.
    pub fn ask<O: Entity>(
        self,
        other: At<O>,
        signal: O::Signal,
        then: impl FnOnce(Answer<O>) -> E::Signal,
    ) -> Self {
        let marker = self.marker();
        let to = other.address().clone();
        let mut asking = self.tell(other, signal);
        if let Some(told) = asking.tells.last_mut().filter(|told| told.to == to) {
            let signal = then(Answer::unanswered(marker.clone()));
            told.asked = Some(AskDraft {
                signal,
                marker,
                codec: O::CODEC,
            });
        }
        asking
    }

    /// Sets the timer of this name; one that runs already is moved. A time that is now or past fires at once, behind
    /// what waits already: also when a firing sets its own timer to the time at which it was due.
    pub fn schedule(
        mut self,
        timer: impl Into<String>,
        when: impl Into<When>,
        signal: E::Signal,
    ) -> Self {
        let due = match when.into() {
            When::At(time) => time,
            When::In(duration) => self
                .now
                .plus_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        };
        self.timers.push((timer.into(), Some((due, signal))));
        self
    }

    /// Clears the timer of this name, if it runs.
    pub fn cancel(mut self, timer: impl Into<String>) -> Self {
        self.timers.push((timer.into(), None));
        self
    }

    /// Ends sessions; each sees `terminated` afterwards.
    pub fn terminate(mut self, whom: impl Into<To>) -> Self {
        self.terminate.push(whom.into());
        self
    }

    /// The entity is over: deleted. Behind everything else that this decision says (its events are recorded, its
    /// outputs shown, its reply given), the state is again what it was before the first event, timers and answers that it
    /// waited for are void, open tickets go unanswered, and every session ends with close code `terminated`. It is
    /// the end of the entity, so [`terminated`](Entity::terminated) is not asked about its sessions.
    ///
    /// Snapshots lose it everywhere once its sessions are no longer remembered (ten minutes by default; until then a
    /// command that is sent again gets its stored answer). What `events` keeps of it goes with that topic's
    /// retention.
    ///
    /// Whoever connects afterwards, or tells it something, begins a new life of it, from `Default`; refuse in
    /// [`connected`](Entity::connected) what must not come to be that way. Its revisions go on above those of the life
    /// before, so that no two commits with events of one address ever have the same.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use xp_domain_sdk::prelude::*;
    /// # use xp_domain_sdk::testkit::Scenario;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Game { moves: u32 }
    /// # #[derive(Serialize, Deserialize)]
    /// # enum Command { Move, Resign }
    /// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum Event { Moved, Resigned { by: String } }
    /// # impl Entity for Game {
    /// #     const CATEGORY: Category = Category::new("game");
    /// #     type Claims = (); type Command = Command; type Query = Never; type Signal = Never;
    /// #     type Event = Event; type Output = Event; type Reply = u32; type Rejection = Never;
    /// fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
    ///     Ok(match command {
    ///         Command::Move => cx.decision().publish(Event::Moved).reply(self.moves + 1),
    ///         Command::Resign => cx
    ///             .decision()
    ///             .publish(Event::Resigned { by: cx.subject().into() })
    ///             .reply(self.moves)
    ///             .end(),
    ///     })
    /// }
    /// #     fn apply(&mut self, event: Event) { if event == Event::Moved { self.moves += 1 } else { self.moves = 0 } }
    /// # }
    /// Scenario::<Game>::new()
    ///     .when(Command::Move).from("ana").then_reply(1)
    ///     .when(Command::Resign).from("ana").then_reply(1).then_ended()
    ///     .when(Command::Move).from("ben").then_reply(1);
    /// ```
    pub fn end(mut self) -> Self {
        self.ends = true;
        self
    }

    fn give(mut self, given: Given<E>) -> Self {
        if self.given.replace(given).is_some() {
            self.note("one decision answers its message twice".to_owned());
        }
        self
    }

    fn show(mut self, to: To, output: E::Output, volatile: bool) -> Self {
        self.shows.push(Showing {
            to,
            output,
            volatile,
        });
        self
    }

    fn others(&self) -> To {
        self.sender.map_or(To::Everybody, To::Except)
    }

    fn note(&mut self, misuse: String) {
        self.misuse.get_or_insert(misuse);
    }

    /// A text that no client can have put into a signal, because it is drawn from a stream of its own of the seed
    /// that the owner drew after the client spoke.
    fn marker(&self) -> String {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(1 + self.tells.len() as u64);
        format!(
            "the answer will stand here {:016x}{:016x}",
            random.next_u64(),
            random.next_u64()
        )
    }
}
