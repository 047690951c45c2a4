use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use xp_protocol::{Address, TimeMs};

use super::actor::Waiter;
use super::kind::{Kind, KindOf, Vocabulary};
use super::step::{Broken, Heard};
use super::user::User;
use super::world::{World, scene};
use crate::entity::{At, Entity, Refusal};
use crate::host::{Input, Origin, Outcome, Payload, Termination};
use crate::word::{Codec, State, Word};

/// When a scenario begins.
pub const START: TimeMs = TimeMs(1_750_000_000_000);
/// How long a session without a socket lives on, unless the scenario says otherwise.
pub const GRACE: Duration = Duration::from_secs(60);
/// How long a deferred answer may take, unless the scenario says otherwise.
pub const TICKET_TIMEOUT: Duration = Duration::from_secs(30);

/// A story about an `E`: what was given, what happens, and what then must be so. See the [module](super).
///
/// A method that makes something happen begins a *step*: the deed, and everything that follows from it at once, in
/// all entities on stage. The `then_…` methods speak of the last step, and panic with the step and both sides when
/// it was otherwise. Those about outputs take them in the order they were shown.
pub struct Scenario<E: Entity + State> {
    pub(super) world: World,
    pub(super) main: Address,
    log_only: Vec<String>,
    kind: PhantomData<fn() -> E>,
}

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

    /// These events have happened.
    #[track_caller]
    pub fn given(events: impl IntoIterator<Item = E::Event>) -> Self {
        let mut scenario = Self::new();
        scenario.world.begin("given".to_owned());
        let main = scenario.main.clone();
        let given = give::<E>(&mut scenario.world, &main, events);
        scenario.hold(given);
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
            scenario.hold(given);
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
        self.hold(given);
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
        self.world.grace = grace;
        self
    }

    /// How long a deferred answer may take before it is a fault.
    pub fn ticket_timeout(mut self, timeout: Duration) -> Self {
        self.world.ticket_timeout = timeout;
        self
    }

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
        let outcome = self.held(match &answer {
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
    pub fn connects(self, user: impl Into<User>) -> Self {
        let user = user.into();
        self.step(format!("{} connects", user.subject), |world, main| {
            world.connect(main, &user)
        })
    }

    /// A session's socket breaks; its grace begins.
    #[track_caller]
    pub fn disconnects(self, user: impl Into<User>) -> Self {
        let user = user.into();
        self.step(
            format!("{} loses the socket", user.subject),
            |world, main| {
                member(world, main, &user)?;
                world.disconnect(main, user.connection())
            },
        )
    }

    /// A session has a socket again.
    #[track_caller]
    pub fn reconnects(self, user: impl Into<User>) -> Self {
        let user = user.into();
        self.step(format!("{} comes back", user.subject), |world, main| {
            let user = member(world, main, &user)?;
            world.reconnect(main, &user)
        })
    }

    /// Somebody says goodbye: the session is over.
    #[track_caller]
    pub fn leaves(self, user: impl Into<User>) -> Self {
        let user = user.into();
        self.step(format!("{} leaves", user.subject), |world, main| {
            member(world, main, &user)?;
            world.terminate(main, user.connection(), Termination::Left)?;
            world.settle()
        })
    }

    /// This client must start over, and is shown what a newcomer would see.
    #[track_caller]
    pub fn starts_over(self, user: impl Into<User>) -> Self {
        let user = user.into();
        self.step(format!("{} starts over", user.subject), |world, main| {
            member(world, main, &user)?;
            world.welcome(main, user.connection())
        })
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
        self.world.hold();
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
        self.world.now
    }

    #[track_caller]
    fn saying<W: Word>(self, way: Way, vocabulary: Vocabulary, word: &W) -> Saying<E> {
        let bytes = self.held(written(E::CODEC, word)).to_vec();
        let kind = KindOf::<E>::new();
        self.held(kind.survives(vocabulary, &bytes));
        Saying {
            said: kind.json(vocabulary, &bytes),
            scenario: self,
            way,
            bytes,
        }
    }

    #[track_caller]
    fn signalled(self, from: &Address, signal: &E::Signal, asked: bool) -> Self {
        let json = self.held(written(Codec::Json, signal));
        self.held(KindOf::<E>::new().survives(Vocabulary::Signal, &json));
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
        self.hold(done);
        self
    }

    #[track_caller]
    fn held<T>(&self, result: Result<T, Broken>) -> T {
        match result {
            Ok(value) => value,
            Err(broken) => self.fail(&broken.0),
        }
    }

    #[track_caller]
    fn hold(&mut self, result: Result<(), Broken>) {
        self.held(result);
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
    pub(super) fn fail(&self, what: &str) -> ! {
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
            .try_for_each(super::actor::Actor::check_state)
    }
}

impl<E: Entity + State> Drop for Scenario<E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.no_fault_left();
        let checked = self.check_at_the_end();
        self.hold(checked);
    }
}

/// Something is about to be said; [`from`](Self::from) says by whom, and makes it happen.
#[must_use = "nobody says it until `.from(user(…))`"]
pub struct Saying<E: Entity + State> {
    scenario: Scenario<E>,
    way: Way,
    said: String,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Command,
    Ephemeral,
    Query,
}

impl<E: Entity + State> Saying<E> {
    /// This user says it; connected first, if need be.
    #[track_caller]
    pub fn from(self, user: impl Into<User>) -> Scenario<E> {
        let Self {
            scenario,
            way,
            said,
            bytes,
        } = self;
        let user = user.into();
        let scenario = scenario.present(&user);
        let title = match way {
            Way::Command => format!("{} sends {said}", user.subject),
            Way::Ephemeral => format!("{} sends, as ephemeral, {said}", user.subject),
            Way::Query => format!("{} asks {said}", user.subject),
        };
        scenario.step(title, |world, main| {
            let payload = Payload {
                bytes: &bytes,
                text: E::CODEC.is_text(),
            };
            speak(world, main, &user, way, payload)
        })
    }
}

impl<E: Entity + State> Scenario<E> {
    /// Whoever speaks is here, with the claims they have now.
    #[track_caller]
    fn present(self, user: &User) -> Self {
        let member = self.world.known(&self.main).members.get(&user.connection());
        match member {
            None => self.came(user),
            Some(member) if !member.attached => self.fail(&format!(
                "{} has no socket just now; say `.reconnects(…)` first",
                user.subject
            )),
            Some(member) if user.claims.is_some() && member.user.claims != user.claims => {
                self.refreshed(user)
            }
            Some(_) => self,
        }
    }

    #[track_caller]
    fn came(self, user: &User) -> Self {
        let scenario = self.connects(user.clone());
        if !scenario
            .world
            .known(&scenario.main)
            .members
            .contains_key(&user.connection())
        {
            scenario.fail("the session was refused, so nothing can be said in it; test that with `.connects(…)`");
        }
        scenario
    }

    #[track_caller]
    fn refreshed(self, user: &User) -> Self {
        self.step(
            format!("{} has a fresh token", user.subject),
            |world, main| {
                let actor = world.actor(main).expect("the main entity is on stage");
                actor
                    .attach(user)
                    .map_err(|fault| Broken(fault.to_string()))
            },
        )
    }
}

fn speak(
    world: &mut World,
    main: &Address,
    user: &User,
    way: Way,
    payload: Payload<'_>,
) -> Result<(), Broken> {
    let by = user.connection();
    let message = world.next_message();
    match way {
        Way::Command => {
            let n = Some(xp_protocol::MessageNumber(message.0));
            world.say(
                main,
                &Input::Command { by, n, payload },
                Waiter::Client(by, message),
            )
        }
        Way::Ephemeral => world.say(
            main,
            &Input::Command {
                by,
                n: None,
                payload,
            },
            Waiter::Nobody,
        ),
        Way::Query => {
            let actor = world.known(main);
            let heard = match actor.answer(by, &payload, &scene(actor, world.now, message.0))? {
                Ok(outcome) => Heard::Answer(outcome),
                Err(fault) => {
                    world.step.faults.push((main.clone(), fault.clone()));
                    Heard::Fault(fault)
                }
            };
            world.heard.insert(message, heard);
            Ok(())
        }
    }
}

/// The session's user, with the claims they came with.
fn member(world: &World, main: &Address, user: &User) -> Result<User, Broken> {
    let member = world.known(main).members.get(&user.connection());
    let member = member.ok_or_else(|| Broken(format!("{} has no session here", user.subject)))?;
    Ok(if user.claims.is_some() {
        user.clone()
    } else {
        member.user.clone()
    })
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

pub(super) fn written<W: Word>(codec: Codec, word: &W) -> Result<Bytes, Broken> {
    word.write(codec)
        .map(Bytes::from)
        .map_err(|error| Broken(format!("a word does not survive its codec: {error}")))
}
