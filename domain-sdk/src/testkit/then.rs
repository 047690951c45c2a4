//! Expectations after a step of a scenario.

use super::Scenario;
use super::assertions::Assertions;
use super::broken::Broken;
use super::observed::ShownTo;
use super::user::User;
use crate::entity::{At, Entity};
use crate::word::State;

/// What must be so after a step of a [`Scenario`] about an `E`; it is in the prelude.
///
/// Each word speaks of the last step, and panics with the step and both sides when it was otherwise. Those about
/// outputs take them in the order they were shown.
//
// They are a trait's so that a wall stands between them and the rest of a scenario: `check` is all that they can do with
// one, and it shows them what the last step brought about. So no expectation makes anything happen, and none looks at
// what the world keeps for later. A type of their own would be such a wall too, and would end the chain
// `.when(…).from(…).then_reply(…).when(…)`, which is how a story reads; as methods of `Scenario` they would be among
// forty-six words that see everything.
pub trait Then<E: Entity + State>: Sized {
    #[doc(hidden)]
    #[track_caller]
    fn check(self, assertion: impl FnOnce(&mut Assertions<'_, E>) -> Result<(), Broken>) -> Self;

    /// Exactly these events were recorded by the entity of the story.
    #[track_caller]
    fn then_events(self, events: impl IntoIterator<Item = E::Event>) -> Self {
        self.check(|step| step.events(events))
    }

    /// Exactly these events were recorded by another entity.
    #[track_caller]
    fn then_events_of<O: Entity + State>(
        self,
        other: At<O>,
        events: impl IntoIterator<Item = O::Event>,
    ) -> Self {
        self.check(|step| step.events_of::<O>(other.address(), events))
    }

    /// Nothing was recorded, shown, told or asked. (There may be an answer.)
    #[track_caller]
    fn then_nothing(self) -> Self {
        self.check(|step| step.nothing())
    }

    /// The message of this step was answered with this.
    #[track_caller]
    fn then_reply(self, reply: E::Reply) -> Self {
        self.check(|step| step.reply(&reply))
    }

    /// The message of this step was answered with a no. (Or the session was refused.)
    #[track_caller]
    fn then_rejected(self, rejection: E::Rejection) -> Self {
        self.check(|step| step.rejection(&rejection))
    }

    /// The answer of this step's message was put off, and has not come.
    #[track_caller]
    fn then_waiting(self) -> Self {
        self.check(|step| step.no_answer_yet())
    }

    /// An earlier message of this user was answered in this step.
    #[track_caller]
    fn then_late_reply(self, user: impl Into<User>, reply: E::Reply) -> Self {
        self.check(|step| step.late_reply(&user.into(), &reply))
    }

    /// An earlier message of this user was answered with a no in this step.
    #[track_caller]
    fn then_late_rejection(self, user: impl Into<User>, rejection: E::Rejection) -> Self {
        self.check(|step| step.late_rejection(&user.into(), &rejection))
    }

    /// An earlier message of this user got no answer in time.
    #[track_caller]
    fn then_unanswered(self, user: impl Into<User>) -> Self {
        self.check(|step| step.unanswered(&user.into()))
    }

    /// The next output for everybody.
    #[track_caller]
    fn then_broadcast(self, output: E::Output) -> Self {
        self.check(|step| step.shown(ShownTo::Everybody, false, &output))
    }

    /// The next output for everybody but the session that the step is about.
    #[track_caller]
    fn then_broadcast_others(self, output: E::Output) -> Self {
        self.check(|step| step.shown(ShownTo::Others, false, &output))
    }

    /// The next output for this session, but not for everybody.
    #[track_caller]
    fn then_whispered(self, user: impl Into<User>, output: E::Output) -> Self {
        let session = ShownTo::Session(user.into().connection());
        self.check(|step| step.shown(session, false, &output))
    }

    /// The next volatile output for everybody.
    #[track_caller]
    fn then_glimpsed(self, output: E::Output) -> Self {
        self.check(|step| step.shown(ShownTo::Everybody, true, &output))
    }

    /// The next volatile output for everybody but the session that the step is about.
    #[track_caller]
    fn then_glimpsed_others(self, output: E::Output) -> Self {
        self.check(|step| step.shown(ShownTo::Others, true, &output))
    }

    /// Whoever connected, or started over, was shown exactly this first.
    #[track_caller]
    fn then_welcome(self, outputs: impl IntoIterator<Item = E::Output>) -> Self {
        self.check(|step| step.welcome(outputs))
    }

    /// This entity was told this.
    #[track_caller]
    fn then_told<O: Entity>(self, other: At<O>, signal: O::Signal) -> Self {
        self.check(|step| step.told(other.address(), &signal, false))
    }

    /// This entity was asked this.
    #[track_caller]
    fn then_asked<O: Entity>(self, other: At<O>, signal: O::Signal) -> Self {
        self.check(|step| step.told(other.address(), &signal, true))
    }

    /// This session came to its end.
    #[track_caller]
    fn then_terminated(self, user: impl Into<User>) -> Self {
        self.check(|step| step.session_ended(&user.into()))
    }

    /// The entity of the story came to its end, and is what it was before its first event.
    #[track_caller]
    fn then_ended(self) -> Self {
        self.check(|step| step.ended())
    }

    /// Another entity came to its end.
    #[track_caller]
    fn then_ended_of<O: Entity>(self, other: At<O>) -> Self {
        self.check(|step| step.entity_ended(other.address()))
    }

    /// An entity's code failed, with a message that contains this.
    #[track_caller]
    fn then_fault(self, message: &str) -> Self {
        self.check(|step| step.fault(message))
    }
}

impl<E: Entity + State> Then<E> for Scenario<E> {
    #[track_caller]
    fn check(
        mut self,
        assertion: impl FnOnce(&mut Assertions<'_, E>) -> Result<(), Broken>,
    ) -> Self {
        self.run
            .check(|observed, main| assertion(&mut Assertions::new(observed, main)));
        self
    }
}
