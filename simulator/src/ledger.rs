//! The domain of the simulation: every word of it carries an id, so that each can be found again.

mod room;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use xp_domain_sdk::Domain;
use xp_domain_sdk::prelude::*;

use super::plan::LANES;
use room::greet;

pub use room::Room;
pub(super) use room::is_room;

/// Notes down what it is told, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book<const SIDE: bool> {
    /// How many events it has seen.
    pub entries: u64,
    /// A hash over all of them, in order.
    pub digest: u64,
    /// Sessions, and whether they have a socket.
    pub here: BTreeMap<String, bool>,
    /// Reminders that have not fired.
    pub reminders: BTreeMap<String, u64>,
    /// Whether something is in it that has no encoded form.
    #[serde(
        default,
        skip_serializing_if = "is_sound",
        serialize_with = "without_form"
    )]
    pub spoilt: bool,
}

fn is_sound(spoilt: &bool) -> bool {
    !spoilt
}

fn without_form<S: Serializer>(_: &bool, _: S) -> Result<S::Ok, S::Error> {
    Err(S::Error::custom("it is spoilt"))
}

/// Of the one lane.
pub type Ledger = Book<false>;
/// Of the other.
pub type Journal = Book<true>;

/// Which kind of book a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of the one lane.
    Ledger,
    /// Of the other.
    Journal,
}

impl Whose {
    /// The first numbers are ledgers'.
    #[must_use]
    pub fn of(id: u64) -> Self {
        match id < LANES[0].entities {
            true => Self::Ledger,
            false => Self::Journal,
        }
    }
}

/// The claims of every token: nobody can be told apart by them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct User {}

/// What clients want.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Command {
    /// Noted and shown to everybody.
    Add { id: u64 },
    /// Noted, and shown to the sender alone.
    Whisper { id: u64 },
    /// Noted, and shown to everybody else.
    Boast { id: u64 },
    /// Answered with no; nothing is noted.
    Refuse { id: u64 },
    /// Answered with no, and noted nevertheless.
    RefuseNoted { id: u64 },
    /// Answered once the other book has answered.
    Ask { id: u64, other: u64 },
    /// Told to the other book.
    Tell { id: u64, other: u64 },
    /// Fires once, later.
    Remind { id: u64, after_ms: u64 },
    /// Ends the sender's session.
    Leave { id: u64 },
    /// Noted, and the end of the book.
    End { id: u64 },
    /// Shown to whoever watches and stored nowhere.
    Wave { id: u64 },
    /// Kills the process that decides it.
    Poison { id: u64 },
    /// Noted, and the book can no longer be encoded until something else is.
    Spoil { id: u64 },
    /// Noted, and told to another entity, where it leaves no trace.
    Greet { id: u64, other: u64 },
}

/// What clients ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Query {
    /// The state as it is.
    State,
}

/// What timers and other books say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Signal {
    /// A reminder is due.
    Due { id: u64 },
    /// Told by another book.
    Note { id: u64 },
    /// Told by another entity, and of no consequence.
    Greeted { id: u64 },
    /// Asked by another book.
    Consent { id: u64 },
    /// The answer of a ledger.
    Consented {
        id: u64,
        ticket: Ticket,
        answer: Answer<Ledger>,
    },
    /// The answer of a journal.
    ConsentedAside {
        id: u64,
        ticket: Ticket,
        answer: Answer<Journal>,
    },
}

/// What a book stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    Added { id: u64 },
    Whispered { id: u64 },
    Boasted { id: u64 },
    Refused { id: u64 },
    Spoilt { id: u64 },
    Ended { id: u64 },
    Asking { id: u64 },
    Asked { id: u64, yes: bool },
    Told { id: u64 },
    Reminding { id: u64 },
    Reminded { id: u64 },
    Noted { id: u64 },
    Consented { id: u64 },
    Came { connection: ConnectionId },
    Lost { connection: ConnectionId },
    Back { connection: ConnectionId },
    Gone { connection: ConnectionId },
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Output {
    Happened(Event),
    State { entries: u64, digest: u64 },
    Waved { id: u64 },
}

/// What a command or a query is answered, with the book as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub id: u64,
    pub entries: u64,
    pub digest: u64,
}

/// The reasons for which a book refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Rejection {
    Refused { id: u64 },
    Full { id: u64 },
}

/// A ledger that has seen so many events takes no more additions.
pub const ENTRIES_MAX: u64 = 4_000;

thread_local! {
    /// Whether a poisonous message was decided: the process that did so is dead, though this thread goes on.
    static STRUCK: Cell<bool> = const { Cell::new(false) };
}

/// Whether a message has just killed the process that decided it. Asked once per death.
pub(super) fn has_struck() -> bool {
    STRUCK.replace(false)
}

/// All kinds of entity.
pub(super) fn domain() -> Domain {
    Domain::new()
        .host::<Ledger>()
        .host::<Journal>()
        .host::<Room>()
}

/// The process that decides this is dead.
pub(super) fn strike() {
    STRUCK.set(true);
}

impl From<Event> for Output {
    fn from(event: Event) -> Self {
        Self::Happened(event)
    }
}

impl<const SIDE: bool> Entity for Book<SIDE> {
    const CATEGORY: Category = Category::new(LANES[SIDE as usize].categories[0]);
    type Claims = User;
    type Command = Command;
    type Query = Query;
    type Signal = Signal;
    type Event = Event;
    type Output = Output;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match command {
            Command::Add { id } if self.entries >= ENTRIES_MAX => {
                return Err(Rejection::Full { id });
            }
            Command::Refuse { id } => return Err(Rejection::Refused { id }),
            Command::Add { id } => decision.publish(Event::Added { id }).reply(self.say(id)),
            Command::Whisper { id } => decision
                .record(Event::Whispered { id })
                .whisper(cx.connection(), Event::Whispered { id }.into())
                .reply(self.say(id)),
            Command::Boast { id } => decision
                .record(Event::Boasted { id })
                .broadcast_others(Event::Boasted { id }.into())
                .reply(self.say(id)),
            Command::RefuseNoted { id } => decision
                .publish(Event::Refused { id })
                .refuse(Rejection::Refused { id }),
            Command::Ask { id, other } => self.ask(id, other, cx),
            Command::Tell { id, other } => {
                let decision = decision.publish(Event::Told { id }).reply(self.say(id));
                match Whose::of(other) {
                    Whose::Ledger => decision.tell(Ledger::at(other), Signal::Note { id }),
                    Whose::Journal => decision.tell(Journal::at(other), Signal::Note { id }),
                }
            }
            Command::Remind { id, after_ms } => decision
                .publish(Event::Reminding { id })
                .schedule(
                    id.to_string(),
                    Duration::from_millis(after_ms),
                    Signal::Due { id },
                )
                .reply(self.say(id)),
            Command::Spoil { id } => decision.publish(Event::Spoilt { id }).reply(self.say(id)),
            Command::Leave { id } => decision
                .publish(Event::Added { id })
                .terminate(cx.connection())
                .reply(self.say(id)),
            Command::End { id } => decision
                .publish(Event::Ended { id })
                .reply(self.say(id))
                .end(),
            Command::Wave { id } => decision.glimpse_others(Output::Waved { id }),
            Command::Greet { id, other } => {
                let decision = decision.publish(Event::Added { id }).reply(self.say(id));
                greet(decision, other, id)
            }
            Command::Poison { id } => {
                strike();
                decision.publish(Event::Added { id }).reply(self.say(id))
            }
        })
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> Outcome<Self> {
        let decision = cx.decision();
        Ok(match signal {
            Signal::Due { id } => decision.publish(Event::Reminded { id }),
            Signal::Greeted { .. } => decision,
            Signal::Note { id } => decision.publish(Event::Noted { id }),
            Signal::Consent { id } if id % 5 == 0 => return Err(Rejection::Refused { id }),
            Signal::Consent { id } => decision
                .publish(Event::Consented { id })
                .reply(self.say(id)),
            Signal::Consented { id, ticket, answer } => {
                let answer = answer.result().map_err(|_| Rejection::Refused { id });
                let yes = answer.is_ok();
                let decision = decision.publish(Event::Asked { id, yes });
                decision.answer(ticket, answer)
            }
            Signal::ConsentedAside { id, ticket, answer } => {
                let answer = answer.result().map_err(|_| Rejection::Refused { id });
                let yes = answer.is_ok();
                let decision = decision.publish(Event::Asked { id, yes });
                decision.answer(ticket, answer)
            }
        })
    }

    fn answer(&self, query: Query, _: &Cx<'_, Self>) -> Result<Reply, Rejection> {
        let Query::State = query;
        Ok(self.say(0))
    }

    fn apply(&mut self, event: Event) {
        let bytes = serde_json::to_vec(&event).expect("events have a JSON form");
        self.entries += 1;
        self.digest = bytes.iter().fold(self.digest, |digest, byte| {
            digest
                .wrapping_mul(1_099_511_628_211)
                .wrapping_add(u64::from(*byte) + 1)
        }) & ((1 << 53) - 1);
        self.spoilt = match event {
            Event::Spoilt { .. } => true,
            // These leave it as it is, and no message of the others is one that leaves it spoilt.
            Event::Whispered { .. }
            | Event::Boasted { .. }
            | Event::Refused { .. }
            | Event::Lost { .. }
            | Event::Gone { .. } => self.spoilt,
            _ => false,
        };
        match event {
            Event::Came { connection } | Event::Back { connection } => {
                self.here.insert(connection.to_string(), true);
            }
            Event::Lost { connection } => {
                self.here.insert(connection.to_string(), false);
            }
            Event::Gone { connection } => {
                self.here.remove(&connection.to_string());
            }
            Event::Reminding { id } => {
                self.reminders.insert(id.to_string(), id);
            }
            Event::Reminded { id } => {
                self.reminders.remove(&id.to_string());
            }
            Event::Added { .. }
            | Event::Whispered { .. }
            | Event::Boasted { .. }
            | Event::Refused { .. }
            | Event::Spoilt { .. }
            | Event::Ended { .. }
            | Event::Asking { .. }
            | Event::Asked { .. }
            | Event::Told { .. }
            | Event::Noted { .. }
            | Event::Consented { .. } => {}
        }
    }

    fn connected(&self, cx: &Cx<'_, Self>) -> Outcome<Self> {
        let connection = cx.connection();
        Ok(cx.decision().publish(Event::Came { connection }))
    }

    fn disconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        let connection = cx.connection();
        cx.decision().publish(Event::Lost { connection })
    }

    fn reconnected(&self, cx: &Cx<'_, Self>) -> Decision<Self> {
        let connection = cx.connection();
        cx.decision().publish(Event::Back { connection })
    }

    fn terminated(&self, _: Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        let connection = cx.connection();
        cx.decision().publish(Event::Gone { connection })
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Shown<Self> {
        vec![Output::State {
            entries: self.entries,
            digest: self.digest,
        }]
    }
}

type Shown<E> = Vec<<E as Entity>::Output>;

impl<const SIDE: bool> Book<SIDE> {
    fn say(&self, id: u64) -> Reply {
        Reply {
            id,
            entries: self.entries,
            digest: self.digest,
        }
    }

    fn ask(&self, id: u64, other: u64, cx: &Cx<'_, Self>) -> Decision<Self> {
        let (ticket, consent) = (cx.ticket(), Signal::Consent { id });
        let decision = cx.decision().publish(Event::Asking { id });
        match Whose::of(other) {
            Whose::Ledger => decision.ask(Ledger::at(other), consent, |answer| Signal::Consented {
                id,
                ticket,
                answer,
            }),
            Whose::Journal => decision.ask(Journal::at(other), consent, |answer| {
                Signal::ConsentedAside { id, ticket, answer }
            }),
        }
        .later()
    }
}
