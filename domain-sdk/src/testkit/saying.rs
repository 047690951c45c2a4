//! A command or query that still lacks its sender.

use xp_protocol::Address;

use super::Scenario;
use super::actor::Waiter;
use super::step::{Broken, Received};
use super::user::User;
use super::world::{World, scene};
use crate::entity::Entity;
use crate::host::{Input, Payload};
use crate::word::State;

/// Something is about to be said; [`from`](Self::from) says by whom, and makes it happen.
#[must_use = "nobody says it until `.from(user(…))`"]
pub struct Saying<E: Entity + State> {
    pub(super) scenario: Scenario<E>,
    pub(super) way: Way,
    pub(super) said: String,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
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
                Ok(outcome) => Received::Answer(outcome),
                Err(fault) => {
                    world.step.faults.push((main.clone(), fault.clone()));
                    Received::Fault(fault)
                }
            };
            world.heard.insert(message, heard);
            Ok(())
        }
    }
}
