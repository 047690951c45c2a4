//! The beginning of a scenario: what is so before its first step.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::Address;

use super::kind::{Kind, KindOf, Vocabulary};
use super::step::{Broken, written};
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
        let main = E::at("1").address().clone();
        world.actor(&main);
        Self {
            world,
            main,
            log_only: Vec::new(),
            kind: PhantomData,
        }
    }

    /// These events have happened. Timers are no events: to have them run, let the story begin with the command that
    /// sets them.
    #[track_caller]
    pub fn given(events: impl IntoIterator<Item = E::Event>) -> Self {
        let mut scenario = Self::new();
        scenario.world.begin("given".to_owned());
        let main = scenario.main.clone();
        let given = give::<E>(&mut scenario.world, &main, events);
        scenario.checked(given);
        scenario
    }

    /// These events stand in the log, as an older build wrote them: for tests of
    /// [`read_event`](Entity::read_event).
    #[track_caller]
    pub fn given_stored<B: AsRef<[u8]>>(events: impl IntoIterator<Item = B>) -> Self {
        let mut scenario = Self::new();
        scenario.world.begin("given as stored".to_owned());
        for event in events {
            let stored = Bytes::from(E::CODEC.join(&[event.as_ref()]));
            let main = scenario.main.clone();
            let given = scenario
                .world
                .actor(&main)
                .map_or(Ok(()), |actor| actor.given(&stored));
            scenario.checked(given);
        }
        scenario
    }

    /// The entity of the story has this id; to be said before anything happens.
    #[track_caller]
    pub fn called(mut self, id: &str) -> Self {
        let address = E::at(id).address().clone();
        let mut actor = self
            .world
            .actors
            .remove(&self.main)
            .expect("the main entity is on stage from the start");
        assert!(
            actor.members.is_empty(),
            "name the entity before anything happens to it"
        );
        actor.address = address.clone();
        self.world.actors.insert(address.clone(), actor);
        self.main = address;
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
        self.world.host(Rc::new(KindOf::<O>::new()));
        let given = give::<O>(&mut self.world, O::at(id).address(), events);
        self.checked(given);
        self
    }

    /// Kinds of event that are recorded for whoever reads the log, and need not change the state. A kind is named by
    /// its `type` tag, or the variant's name.
    pub fn log_only(mut self, kinds: impl IntoIterator<Item = &'static str>) -> Self {
        self.log_only.extend(kinds.into_iter().map(str::to_owned));
        self
    }

    /// How long a session without a socket lives on.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.world.graces.set_length(grace);
        self
    }

    /// How long a deferred answer may take before it is a fault.
    pub fn ticket_timeout(mut self, timeout: Duration) -> Self {
        self.world.ticket_timeout = timeout;
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
