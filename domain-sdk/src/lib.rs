//! All that a domain developer imports.
//!
//! An [`Entity`] is a plain value that many people share in real time. It *decides* what a command does, *applies*
//! the events that came of it, and tells who is connected. Everything is pure and synchronous: time, ids and
//! randomness come from [`Cx`], and whatever the entity wants is returned as a [`Decision`]. So the same few
//! functions run on the owner, on its mirrors, and in a [`testkit::Scenario`] without any of the platform.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use xp_domain_sdk::prelude::*;
//! use xp_domain_sdk::testkit::{Scenario, user};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter { total: u64 }
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(tag = "type", content = "data")]
//! enum Command { Increment { by: u64 } }
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! #[serde(tag = "type", content = "data")]
//! enum Event { Incremented { by: u64 } }
//!
//! impl Entity for Counter {
//!     const CATEGORY: Category = Category::new("counter");
//!     type Claims = ();
//!     type Command = Command;
//!     type Query = Never;
//!     type Signal = Never;
//!     type Event = Event;
//!     type Output = Event;
//!     type Reply = u64;
//!     type Rejection = Never;
//!
//!     fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
//!         let Command::Increment { by } = command;
//!         Ok(cx.decision().publish(Event::Incremented { by }).reply(self.total + by))
//!     }
//!     fn apply(&mut self, event: Event) {
//!         let Event::Incremented { by } = event;
//!         self.total += by;
//!     }
//! }
//!
//! Scenario::<Counter>::new()
//!     .when(Command::Increment { by: 2 }).from(user("ana"))
//!     .then_events([Event::Incremented { by: 2 }])
//!     .then_reply(2);
//! ```
#![warn(missing_docs)]

pub mod testkit;
pub mod domain;
pub mod arithmetic;
pub mod hosted;
pub mod entity;
pub mod host;
pub mod word;

pub use domain::Domain;
pub use entity::{
    Answer, At, Category, Cx, Decision, Entity, Outcome, Refusal, Scene, Session, Shown, SignalCx,
    Ticket, To, When,
};
pub use host::{Origin, Payload, Termination};
pub use word::{Codec, DefaultWord, Never, State, Stored, Unreadable, Word};
pub use xp_protocol::{Address, ConnectionId, Revision, TimeMs};

/// What nearly every entity needs: `use xp_domain_sdk::prelude::*;`.
pub mod prelude {
    // Nameless, so that a domain may have a `Then` of its own.
    pub use crate::testkit::Then as _;
    pub use crate::{
        Answer, At, Category, Codec, ConnectionId, Cx, Decision, Domain, Entity, Never, Origin,
        Outcome, Payload, Refusal, Session, Shown, SignalCx, Stored, Termination, Ticket, TimeMs,
        Unreadable,
    };
}
