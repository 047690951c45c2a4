use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::Entity;
use crate::host;
use crate::word::{Codec, Unreadable, Word};

/// The answer of an `E` to a [`Decision::ask`](super::Decision::ask) of ours.
///
/// Inside `ask`'s closure it has not come yet: the closure only says which signal will carry it. Look at it where
/// that signal arrives.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use xp_domain_sdk::prelude::*;
/// # use xp_domain_sdk::testkit::Scenario;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Kitchen { cooked: u32 }
/// # impl Entity for Kitchen {
/// #     const CATEGORY: Category = Category::new("kitchen");
/// #     type Claims = (); type Command = Never; type Query = Never; type Signal = String;
/// #     type Event = String; type Output = Never; type Reply = (); type Rejection = String;
/// #     fn decide(&self, command: Never, _: &Cx<Self>) -> Outcome<Self> { match command {} }
/// // The kitchen cooks everything but fish.
/// fn signal(&self, dish: String, cx: &SignalCx<Self>) -> Outcome<Self> {
///     if dish == "fish" {
///         return Err("no fish today".into());
///     }
///     Ok(cx.decision().record(dish))
/// }
/// #     fn apply(&mut self, _: String) { self.cooked += 1; }
/// # }
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Table { served: Vec<String> }
/// #[derive(Serialize, Deserialize)]
/// enum Signal {
///     Cooked { dish: String, guest: Ticket, answer: Answer<Kitchen> },
/// }
/// # impl Entity for Table {
/// #     const CATEGORY: Category = Category::new("table");
/// #     type Claims = (); type Command = String; type Query = Never; type Signal = Signal;
/// #     type Event = String; type Output = Never; type Reply = (); type Rejection = String;
///
/// // The table asks the kitchen, and the guest waits.
/// fn decide(&self, dish: String, cx: &Cx<Self>) -> Outcome<Self> {
///     let guest = cx.ticket();
///     let cooked = |answer| Signal::Cooked { dish: dish.clone(), guest, answer };
///     Ok(cx.decision().ask(Kitchen::at("1"), dish.clone(), cooked).later())
/// }
/// fn signal(&self, signal: Signal, cx: &SignalCx<Self>) -> Outcome<Self> {
///     let Signal::Cooked { dish, guest, answer } = signal;
///     Ok(match answer.result() {
///         Ok(()) => cx.decision().record(dish).answer(guest, Ok(())),
///         Err(Refusal::Rejected(why)) => cx.decision().answer(guest, Err(why)),
///         Err(Refusal::Faulted) => cx.decision().answer(guest, Err("the kitchen is on fire".into())),
///     })
/// }
/// #     fn apply(&mut self, dish: String) { self.served.push(dish); }
/// # }
/// let table = || Scenario::<Table>::new().with::<Kitchen>("1", []);
/// table().when("soup".into()).from("ana").then_events(["soup".into()]).then_reply(());
/// table().when("fish".into()).from("ana").then_rejected("no fish today".into());
/// ```
pub struct Answer<E> {
    state: State,
    from: PhantomData<fn() -> E>,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    /// Stands where the answer will be put, and is found again by its text.
    Unanswered(String),
    Given(host::Outcome),
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<R> {
    /// The other entity's domain said no.
    Rejected(R),
    /// Nobody can say: the other's code failed, or it never answered.
    Faulted,
}

impl<E: Entity> Answer<E> {
    pub(crate) fn unanswered(marker: String) -> Self {
        Self {
            state: State::Unanswered(marker),
            from: PhantomData,
        }
    }

    /// What the other entity said.
    ///
    /// # Errors
    /// Its rejection, or that it failed.
    ///
    /// # Panics
    /// Inside the closure of `ask`, where the answer has not come yet.
    pub fn result(&self) -> Result<E::Reply, Refusal<E::Rejection>> {
        let State::Given(outcome) = &self.state else {
            panic!(
                "the answer of a {} has not come yet: the closure of `ask` runs at once and only makes the signal \
                 that will carry the answer; look at it in `fn signal`",
                E::CATEGORY
            )
        };
        Self::read(outcome).expect("an answer is read before it is delivered")
    }

    fn read(
        outcome: &host::Outcome,
    ) -> Result<Result<E::Reply, Refusal<E::Rejection>>, Unreadable> {
        Ok(match outcome {
            host::Outcome::Reply(bytes) => Ok(Word::read(E::CODEC, bytes)?),
            host::Outcome::Rejection(bytes) => Err(Refusal::Rejected(Word::read(E::CODEC, bytes)?)),
            host::Outcome::Fault => Err(Refusal::Faulted),
        })
    }
}

/// An answer as it stands in a signal's JSON: JSON words as they are, binary ones in hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Reply(Value),
    Rejection(Value),
    Fault,
}

/// The JSON of an answer whose words were written with `codec`.
pub(crate) fn to_json(outcome: &host::Outcome, codec: Codec) -> Result<Vec<u8>, Unreadable> {
    let value = |bytes: &Bytes| match codec {
        Codec::Json => serde_json::from_slice(bytes).map_err(Unreadable::new),
        Codec::Binary => Ok(Value::String(hex(bytes))),
    };
    let written = match outcome {
        host::Outcome::Reply(bytes) => Written::Reply(value(bytes)?),
        host::Outcome::Rejection(bytes) => Written::Rejection(value(bytes)?),
        host::Outcome::Fault => Written::Fault,
    };
    Codec::Json.write(&written)
}

fn from_json(written: Written, codec: Codec) -> Result<host::Outcome, Unreadable> {
    let bytes = |value: Value| match (codec, value) {
        (Codec::Json, value) => Codec::Json.write(&value).map(Bytes::from),
        (Codec::Binary, Value::String(text)) => unhex(&text).map(Bytes::from),
        (Codec::Binary, other) => Err(Unreadable::new(format!("{other} is no hexadecimal text"))),
    };
    Ok(match written {
        Written::Reply(value) => host::Outcome::Reply(bytes(value)?),
        Written::Rejection(value) => host::Outcome::Rejection(bytes(value)?),
        Written::Fault => host::Outcome::Fault,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Unreadable> {
    let digit = |at: usize| {
        text.get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..text.len())
        .step_by(2)
        .map(|at| digit(at).ok_or_else(|| Unreadable::new("no hexadecimal text")))
        .collect()
}

impl<E: Entity> Serialize for Answer<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.state {
            State::Unanswered(marker) => serializer.serialize_str(marker),
            State::Given(outcome) => {
                let json = to_json(outcome, E::CODEC).map_err(serde::ser::Error::custom)?;
                let value: Value =
                    serde_json::from_slice(&json).map_err(serde::ser::Error::custom)?;
                value.serialize(serializer)
            }
        }
    }
}

impl<'de, E: Entity> Deserialize<'de> for Answer<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let outcome = from_json(written, E::CODEC).map_err(D::Error::custom)?;
        let _is_readable = Self::read(&outcome).map_err(D::Error::custom)?;
        Ok(Self {
            state: State::Given(outcome),
            from: PhantomData,
        })
    }
}

impl<E> Clone for Answer<E> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            from: PhantomData,
        }
    }
}

impl<E> PartialEq for Answer<E> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<E> fmt::Debug for Answer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Unanswered(_) => f.write_str("Answer(not yet)"),
            State::Given(outcome) => f.debug_tuple("Answer").field(outcome).finish(),
        }
    }
}
