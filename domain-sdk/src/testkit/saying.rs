//! A command or query that still lacks its sender.

use xp_protocol::Address;

use super::Scenario;
use super::actor::Waiter;
use super::broken::Broken;
use super::observed::Received;
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
            mut scenario,
            way,
            said,
            bytes,
        } = self;
        let user = user.into();
        scenario.run.be_present(&user);
        let title = match way {
            Way::Command => format!("{} sends {said}", user.subject),
            Way::Ephemeral => format!("{} sends, as ephemeral, {said}", user.subject),
            Way::Query => format!("{} asks {said}", user.subject),
        };
        scenario.run.step(title, |world, main| {
            let payload = Payload {
                bytes: &bytes,
                text: E::CODEC.is_text(),
            };
            speak(world, main, &user, way, payload)
        });
        scenario
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
            let answer = actor.answer(by, &payload, &scene(actor, world.now, message.0))?;
            let received = match answer {
                Ok(outcome) => Received::Answer(outcome),
                Err(fault) => {
                    world.observed().faulted(main, fault.clone());
                    Received::Fault(fault)
                }
            };
            world.observed().answered(message, None, received);
            Ok(())
        }
    }
}
