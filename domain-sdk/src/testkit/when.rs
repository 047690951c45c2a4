//! The steps of a scenario.

use std::time::Duration;

use xp_protocol::{Address, TimeMs};

use super::Scenario;
use super::actor::Waiter;
use super::broken::{Broken, written};
use super::kind::{Kind, KindOf, Vocabulary};
use super::saying::{Saying, Way};
use super::user::User;
use super::world::World;
use crate::entity::{At, Entity, Refusal};
use crate::host::{Input, Origin, Outcome};
use crate::word::{Codec, State, Word};

impl<E: Entity + State> Scenario<E> {
    /// Somebody sends a command.
    #[track_caller]
    pub fn when(self, command: E::Command) -> Saying<E> {
        self.saying(Way::Command, Vocabulary::Command, &command)
    }

    /// Somebody sends a command as `ephemeral`: without an answer, and its decision may only glimpse.
    #[track_caller]
    pub fn when_ephemeral(self, command: E::Command) -> Saying<E> {
        self.saying(Way::Ephemeral, Vocabulary::Command, &command)
    }

    /// Somebody asks a query.
    #[track_caller]
    pub fn when_asked(self, query: E::Query) -> Saying<E> {
        self.saying(Way::Query, Vocabulary::Query, &query)
    }

    /// Somebody sends a command as these bytes: for formats of the domain's own, and for nonsense.
    pub fn when_frame(self, bytes: impl Into<Vec<u8>>) -> Saying<E> {
        let bytes = bytes.into();
        Saying {
            scenario: self,
            way: Way::Command,
            said: format!("a frame of {} bytes", bytes.len()),
            bytes,
        }
    }

    /// Another entity says something to this one.
    #[track_caller]
    pub fn when_told_by<O: Entity>(self, other: At<O>, signal: E::Signal) -> Self {
        self.signalled(other.address(), &signal, false)
    }

    /// Another entity asks this one; its answer is the step's.
    #[track_caller]
    pub fn when_asked_by<O: Entity>(self, other: At<O>, signal: E::Signal) -> Self {
        self.signalled(other.address(), &signal, true)
    }

    /// An entity that is not on stage answers the oldest open `ask` to it.
    #[track_caller]
    pub fn when_answered_by<O: Entity>(
        self,
        other: At<O>,
        answer: Result<O::Reply, Refusal<O::Rejection>>,
    ) -> Self {
        let outcome = self.run.checked(match &answer {
            Ok(reply) => written(O::CODEC, reply).map(Outcome::Reply),
            Err(Refusal::Rejected(rejection)) => {
                written(O::CODEC, rejection).map(Outcome::Rejection)
            }
            Err(Refusal::Faulted) => Ok(Outcome::Fault),
        });
        self.step(format!("{other:?} answers"), |world, _| {
            world.answer_ask(other.address(), outcome)
        })
    }

    /// A session begins.
    #[track_caller]
    pub fn connects(mut self, user: impl Into<User>) -> Self {
        self.run.connect(&user.into());
        self
    }

    /// A session's socket breaks; its grace begins.
    #[track_caller]
    pub fn disconnects(mut self, user: impl Into<User>) -> Self {
        self.run.disconnect(&user.into());
        self
    }

    /// A session has a socket again.
    #[track_caller]
    pub fn reconnects(mut self, user: impl Into<User>) -> Self {
        self.run.reconnect(&user.into());
        self
    }

    /// Somebody says goodbye: the session is over.
    #[track_caller]
    pub fn leaves(mut self, user: impl Into<User>) -> Self {
        self.run.leave(&user.into());
        self
    }

    /// This client must start over, and is shown what a newcomer would see.
    #[track_caller]
    pub fn starts_over(mut self, user: impl Into<User>) -> Self {
        self.run.start_over(&user.into());
        self
    }

    /// Time passes: timers fire, graces run out, tickets time out, each at its time.
    #[track_caller]
    pub fn after(self, duration: Duration) -> Self {
        self.step(format!("{duration:?} pass"), |world, _| {
            world.advance(duration)
        })
    }

    /// Another node takes over all entities, from their snapshots and logs.
    #[track_caller]
    pub fn takeover(self) -> Self {
        self.step("another node takes over".to_owned(), |world, _| {
            world.takeover()
        })
    }

    /// From now on, words between entities stay on their way until [`deliver`](Self::deliver).
    pub fn hold_words(mut self) -> Self {
        self.run.world_mut().hold();
        self
    }

    /// Words that were [held](Self::hold_words) arrive, and nothing is held any more.
    #[track_caller]
    pub fn deliver(self) -> Self {
        self.step("held words arrive".to_owned(), |world, _| world.release())
    }

    /// The scenario's time.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        self.run.world().now
    }

    /// Begins a step and does it.
    #[track_caller]
    fn step(
        mut self,
        title: String,
        deed: impl FnOnce(&mut World, &Address) -> Result<(), Broken>,
    ) -> Self {
        self.run.step(title, deed);
        self
    }

    #[track_caller]
    fn saying<W: Word>(self, way: Way, vocabulary: Vocabulary, word: &W) -> Saying<E> {
        let bytes = self.run.checked(written(E::CODEC, word)).to_vec();
        let kind = KindOf::<E>::new();
        self.run.checked(kind.survives(vocabulary, &bytes));
        Saying {
            said: kind.json(vocabulary, &bytes),
            scenario: self,
            way,
            bytes,
        }
    }

    #[track_caller]
    fn signalled(self, from: &Address, signal: &E::Signal, asked: bool) -> Self {
        let json = self.run.checked(written(Codec::Json, signal));
        self.run
            .checked(KindOf::<E>::new().survives(Vocabulary::Signal, &json));
        let verb = if asked { "asks" } else { "tells" };
        let title = format!("{from} {verb} {}", String::from_utf8_lossy(&json));
        self.step(title, |world, main| {
            let waiter = if asked {
                Waiter::Test(world.next_message())
            } else {
                Waiter::Nobody
            };
            let origin = Origin::Entity { from, asked };
            world.say(
                main,
                &Input::Signal {
                    origin,
                    payload: &json,
                },
                waiter,
            )
        })
    }
}
