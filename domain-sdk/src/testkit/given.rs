//! The beginning of a scenario: what is so before its first step.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use xp_protocol::Address;

use super::broken::{Broken, written};
use super::kind::{Kind, KindOf, Vocabulary};
use super::run::Run;
use super::world::World;
use super::{GRACE, START, Scenario, TICKET_TIMEOUT};
use crate::entity::Entity;
use crate::word::State;

impl<E: Entity + State> Default for Scenario<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity + State> Scenario<E> {
    /// Nothing has happened yet to the entity `1`.
    pub fn new() -> Self {
        let mut world = World::new(START, GRACE, TICKET_TIMEOUT);
        world.host(Rc::new(KindOf::<E>::new()));
        Self {
            run: Run::new(world, E::at("1").address()),
            kind: PhantomData,
        }
    }

    /// These events have happened. Timers are no events: to have them run, let the story begin with the command that
    /// sets them.
    #[track_caller]
    pub fn given(events: impl IntoIterator<Item = E::Event>) -> Self {
        let mut scenario = Self::new();
        let run = &mut scenario.run;
        run.step("given".to_owned(), |world, main| {
            give::<E>(world, main, events)
        });
        scenario
    }

    /// These events stand in the log, as an older build wrote them: for tests of
    /// [`read_event`](Entity::read_event).
    #[track_caller]
    pub fn given_stored<B: AsRef<[u8]>>(events: impl IntoIterator<Item = B>) -> Self {
        let mut scenario = Self::new();
        let run = &mut scenario.run;
        run.step("given as stored".to_owned(), |world, main| {
            let actor = world.actor(main).expect("the main entity is on stage");
            let mut events = events.into_iter();
            events.try_for_each(|event| actor.given(&E::CODEC.join(&[event.as_ref()]).into()))
        });
        scenario
    }

    /// The entity of the story has this id; to be said before anything happens.
    #[track_caller]
    pub fn called(mut self, id: &str) -> Self {
        self.run.rename_main(E::at(id).address().clone());
        self
    }

    /// Another entity is on stage, to which these events have happened. Others of its kind come to be when they are
    /// first spoken to.
    #[track_caller]
    pub fn with<O: Entity + State>(
        mut self,
        id: &str,
        events: impl IntoIterator<Item = O::Event>,
    ) -> Self {
        let world = self.run.world_mut();
        world.host(Rc::new(KindOf::<O>::new()));
        let given = give::<O>(world, O::at(id).address(), events);
        self.run.checked(given);
        self
    }

    /// Kinds of event that are recorded for whoever reads the log, and need not change the state. A kind is named by
    /// its `type` tag, or the variant's name.
    pub fn log_only(mut self, kinds: impl IntoIterator<Item = &'static str>) -> Self {
        self.run.declare_log_only(kinds);
        self
    }

    /// How long a session without a socket lives on.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.run.world_mut().graces.set_length(grace);
        self
    }

    /// How long a deferred answer may take before it is a fault.
    pub fn ticket_timeout(mut self, timeout: Duration) -> Self {
        self.run.world_mut().ticket_timeout = timeout;
        self
    }
}

fn give<O: Entity + State>(
    world: &mut World,
    address: &Address,
    events: impl IntoIterator<Item = O::Event>,
) -> Result<(), Broken> {
    let kind = KindOf::<O>::new();
    let actor = world.actor(address).expect("its kind is hosted");
    for event in events {
        let event = written(O::CODEC, &event)?;
        kind.survives(Vocabulary::Event, &event)?;
        actor.given(&kind.join(&[&event]))?;
    }
    Ok(())
}
