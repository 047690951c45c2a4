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
//! * there was no fault but those that the test [expects](Scenario::then_fault).

mod given;
mod when;
mod saying;
mod then;
mod expect;
mod world;
mod actor;
mod kind;
mod step;
mod user;

#[cfg(test)]
mod tests;

pub use saying::Saying;
pub use user::{User, user};

use std::marker::PhantomData;
use std::time::Duration;

use xp_protocol::{Address, TimeMs};

use crate::entity::Entity;
use crate::word::State;
use actor::Actor;
use step::Broken;
use world::World;

/// When a scenario begins.
pub const START: TimeMs = TimeMs(1_750_000_000_000);
/// How long a session without a socket lives on, unless the scenario says otherwise.
pub const GRACE: Duration = Duration::from_secs(60);
/// How long a deferred answer may take, unless the scenario says otherwise.
pub const TICKET_TIMEOUT: Duration = Duration::from_secs(30);

/// A story about an `E`: what was given, what happens, and what then must be so. See the [module](self).
///
/// A method that makes something happen begins a *step*: the deed, and everything that follows from it at once, in
/// all entities on stage. The `then_…` methods speak of the last step, and panic with the step and both sides when
/// it was otherwise. Those about outputs take them in the order they were shown.
pub struct Scenario<E: Entity + State> {
    world: World,
    main: Address,
    log_only: Vec<String>,
    kind: PhantomData<fn() -> E>,
}

impl<E: Entity + State> Scenario<E> {
    /// Begins a step and does it.
    #[track_caller]
    fn step(
        mut self,
        title: String,
        deed: impl FnOnce(&mut World, &Address) -> Result<(), Broken>,
    ) -> Self {
        self.no_fault_left();
        self.world.begin(title);
        let main = self.main.clone();
        let done = deed(&mut self.world, &main);
        self.checked(done);
        self
    }

    #[track_caller]
    fn checked<T>(&self, result: Result<T, Broken>) -> T {
        match result {
            Ok(value) => value,
            Err(broken) => self.fail(&broken.0),
        }
    }

    #[track_caller]
    fn no_fault_left(&self) {
        if let Some((entity, fault)) = self.world.step.faults.first() {
            self.fail(&format!(
                "{entity} has a fault that nobody expected: {fault}"
            ));
        }
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let step = &self.world.step;
        panic!(
            "{}, step {}: {}\n{what}",
            self.main, step.number, step.title
        )
    }

    fn check_at_the_end(&mut self) -> Result<(), Broken> {
        let only_logged = |kind: &&str| self.log_only.iter().any(|declared| declared == kind);
        for actor in self.world.actors.values() {
            if let Some(kind) = actor.idle_event_kinds().find(|kind| !only_logged(kind)) {
                return Err(Broken(format!(
                    "{} records {kind}, which never changed its state: does `apply` forget it? \
                     If it is for the log only, say `.log_only([{kind:?}])`",
                    actor.address
                )));
            }
        }
        self.world
            .actors
            .values_mut()
            .try_for_each(Actor::check_state)
    }
}

impl<E: Entity + State> Drop for Scenario<E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.no_fault_left();
        let checked = self.check_at_the_end();
        self.checked(checked);
    }
}
