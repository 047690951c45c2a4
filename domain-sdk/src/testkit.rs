//! Tests of entities, without any of the platform.
//!
//! A [`Scenario`] says what was [given](Scenario::given), what happens when somebody does something, and what then
//! must be so. It hosts as many entities as the story needs, delivers what they tell each other, and keeps virtual
//! time.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use xp_domain_sdk::prelude::*;
//! # use xp_domain_sdk::testkit::{Scenario, user};
//! # use std::time::Duration;
//! # #[derive(Default, Serialize, Deserialize)]
//! # struct Lamp { on: bool }
//! # #[derive(Clone, Serialize, Deserialize)]
//! # enum Event { On, Off }
//! # #[derive(Serialize, Deserialize)]
//! # struct Press;
//! # #[derive(Serialize, Deserialize)]
//! # enum Signal { Timeout }
//! # impl Entity for Lamp {
//! #     const CATEGORY: Category = Category::new("lamp");
//! #     type Claims = (); type Command = Press; type Query = bool; type Signal = Signal;
//! #     type Event = Event; type Output = Event; type Reply = (); type Rejection = String;
//! #     fn decide(&self, _: Press, cx: &Cx<Self>) -> Outcome<Self> {
//! #         if self.on { return Err("it is on".into()); }
//! #         Ok(cx.decision().publish(Event::On).schedule("off", Duration::from_secs(60), Signal::Timeout))
//! #     }
//! #     fn signal(&self, _: Signal, cx: &SignalCx<Self>) -> Outcome<Self> { Ok(cx.decision().publish(Event::Off)) }
//! #     fn apply(&mut self, event: Event) { self.on = matches!(event, Event::On); }
//! # }
//! Scenario::<Lamp>::new()
//!     .when(Press).from(user("ana")).then_events([Event::On]).then_broadcast(Event::On)
//!     .when(Press).from(user("ben")).then_rejected("it is on".into())
//!     .takeover()
//!     .after(Duration::from_secs(60)).then_events([Event::Off]);
//! ```
//!
//! # Silent checks
//! Whatever the story, each run also checks that
//!
//! * every word survives its codec, and today's events come out of `read_event` as they went in;
//! * deciding again on reloaded state gives the same decision, so that a takeover at any point changes nothing;
//! * the encoded state is equal live, reloaded, folded anew from the log, and from a snapshot and the tail behind it;
//! * an event kind that never changed the state is named, unless it was declared [log-only](Scenario::log_only);
//! * every ticket is answered at most once, and none that was never given;
//! * there was no fault but those that the test [expects](Then::then_fault).

mod given;
mod when;
mod saying;
mod then;
mod assertions;
mod run;
mod world;
mod actor;
mod kind;
mod observed;
mod broken;
mod user;

#[cfg(test)]
mod tests;

pub use saying::Saying;
pub use then::Then;
pub use user::{User, user};

use std::marker::PhantomData;
use std::time::Duration;

use xp_protocol::TimeMs;

use crate::entity::Entity;
use crate::word::State;
use run::Run;

/// When a scenario begins.
pub const START: TimeMs = TimeMs(1_750_000_000_000);
/// How long a session without a socket lives on, unless the scenario says otherwise.
pub const GRACE: Duration = Duration::from_secs(60);
/// How long a deferred answer may take, unless the scenario says otherwise.
pub const TICKET_TIMEOUT: Duration = Duration::from_secs(30);

/// A story about an `E`: what was given, what happens, and what then must be so. See the [module](self).
///
/// A method that makes something happen begins a *step*: the deed, and everything that follows from it at once, in
/// all entities on stage. The `then_…` methods, which are [`Then`]'s, speak of the last step.
pub struct Scenario<E: Entity + State> {
    run: Run,
    kind: PhantomData<fn() -> E>,
}
