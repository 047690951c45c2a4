//! Expectations after a step of a scenario.

use bytes::Bytes;

use super::Scenario;
use super::expect::Shown;
use super::kind::{Kind, KindOf, Vocabulary};
use super::step::Received;
use super::user::User;
use super::world::UNANSWERED;
use crate::entity::{At, Entity};
use crate::word::State;

impl<E: Entity + State> Scenario<E> {
    /// Exactly these events were recorded by the entity of the story.
    #[track_caller]
    pub fn then_events(self, events: impl IntoIterator<Item = E::Event>) -> Self {
        let main = self.main.clone();
        self.expect_events::<E>(&main, events)
    }

    /// Exactly these events were recorded by another entity.
    #[track_caller]
    pub fn then_events_of<O: Entity + State>(
        self,
        other: At<O>,
        events: impl IntoIterator<Item = O::Event>,
    ) -> Self {
        self.expect_events::<O>(other.address(), events)
    }

    /// Nothing was recorded, shown, told or asked. (There may be an answer.)
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        let step = &self.world.step;
        let events: usize = step.events.iter().map(|(_, events)| events.len()).sum();
        if events + step.shows.len() + step.tells.len() > 0 {
            self.fail(&format!(
                "expected: nothing\n     got: {events} events {}, {} outputs {}, {} words to others",
                self.events_json::<E>(&self.main),
                step.shows.len(),
                self.shows_json(),
                step.tells.len()
            ));
        }
        self
    }

    /// The message of this step was answered with this.
    #[track_caller]
    pub fn then_reply(self, reply: E::Reply) -> Self {
        let expected = self.expected(&reply, Vocabulary::Reply);
        let got = self.answer_of_step().cloned();
        self.same_answer("the reply", &expected, got.as_ref())
    }

    /// The message of this step was answered with a no. (Or the session was refused.)
    #[track_caller]
    pub fn then_rejected(self, rejection: E::Rejection) -> Self {
        let expected = self.expected(&rejection, Vocabulary::Rejection);
        let got = self.answer_of_step().cloned();
        self.same_answer("the rejection", &expected, got.as_ref())
    }

    /// The answer of this step's message was put off, and has not come.
    #[track_caller]
    pub fn then_waiting(self) -> Self {
        if let Some(heard) = self.answer_of_step() {
            let got = self.heard_json(Some(heard));
            self.fail(&format!("expected: no answer yet\n     got: {got}"));
        }
        self
    }

    /// An earlier message of this user was answered in this step.
    #[track_caller]
    pub fn then_late_reply(mut self, user: impl Into<User>, reply: E::Reply) -> Self {
        let expected = self.expected(&reply, Vocabulary::Reply);
        let got = self.late_answer(&user.into());
        self.same_answer("the late reply", &expected, got.as_ref())
    }

    /// An earlier message of this user was answered with a no in this step.
    #[track_caller]
    pub fn then_late_rejection(mut self, user: impl Into<User>, rejection: E::Rejection) -> Self {
        let expected = self.expected(&rejection, Vocabulary::Rejection);
        let got = self.late_answer(&user.into());
        self.same_answer("the late rejection", &expected, got.as_ref())
    }

    /// An earlier message of this user got no answer in time.
    #[track_caller]
    pub fn then_unanswered(mut self, user: impl Into<User>) -> Self {
        let got = self.late_answer(&user.into());
        if !matches!(got, Some(Received::Unanswered)) {
            let got = self.heard_json(got.as_ref());
            self.fail(&format!(
                "expected: an answer that never came\n     got: {got}"
            ));
        }
        let timed_out = self
            .world
            .step
            .faults
            .iter()
            .position(|(_, fault)| fault.to_string().starts_with(UNANSWERED));
        if let Some(at) = timed_out {
            self.world.step.faults.remove(at);
        }
        self
    }

    /// The next output for everybody.
    #[track_caller]
    pub fn then_broadcast(self, output: E::Output) -> Self {
        self.expect_show(Shown::Everybody, false, &output)
    }

    /// The next output for everybody but the session that the step is about.
    #[track_caller]
    pub fn then_broadcast_others(self, output: E::Output) -> Self {
        self.expect_show(Shown::Others, false, &output)
    }

    /// The next output for this session, but not for everybody.
    #[track_caller]
    pub fn then_whispered(self, user: impl Into<User>, output: E::Output) -> Self {
        self.expect_show(Shown::To(user.into().connection()), false, &output)
    }

    /// The next volatile output for everybody.
    #[track_caller]
    pub fn then_glimpsed(self, output: E::Output) -> Self {
        self.expect_show(Shown::Everybody, true, &output)
    }

    /// The next volatile output for everybody but the session that the step is about.
    #[track_caller]
    pub fn then_glimpsed_others(self, output: E::Output) -> Self {
        self.expect_show(Shown::Others, true, &output)
    }

    /// Whoever connected, or started over, was shown exactly this first.
    #[track_caller]
    pub fn then_welcome(self, outputs: impl IntoIterator<Item = E::Output>) -> Self {
        let words: Vec<Bytes> = outputs
            .into_iter()
            .map(|output| self.expected(&output, Vocabulary::Output))
            .collect();
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let expected = KindOf::<E>::new().join(&words);
        if self.world.step.welcome.as_ref() != Some(&expected) {
            let got = self
                .world
                .step
                .welcome
                .as_ref()
                .map(|shown| self.sequence_json(shown));
            let expected = self.sequence_json(&expected);
            self.fail(&format!(
                "expected the welcome {expected}\n                 got {}",
                got.unwrap_or_default()
            ));
        }
        self
    }

    /// This entity was told this.
    #[track_caller]
    pub fn then_told<O: Entity>(self, other: At<O>, signal: O::Signal) -> Self {
        self.expect_said(other.address(), &signal, false)
    }

    /// This entity was asked this.
    #[track_caller]
    pub fn then_asked<O: Entity>(self, other: At<O>, signal: O::Signal) -> Self {
        self.expect_said(other.address(), &signal, true)
    }

    /// This session came to its end.
    #[track_caller]
    pub fn then_terminated(self, user: impl Into<User>) -> Self {
        let user = user.into();
        if !self.world.step.ended.contains(&user.connection()) {
            self.fail(&format!(
                "expected: the session of {} ends\n     got: it does not",
                user.subject
            ));
        }
        self
    }

    /// The entity of the story came to its end, and is what it was before its first event.
    #[track_caller]
    pub fn then_ended(self) -> Self {
        let main = self.main.clone();
        self.expect_over(&main)
    }

    /// Another entity came to its end.
    #[track_caller]
    pub fn then_ended_of<O: Entity>(self, other: At<O>) -> Self {
        self.expect_over(other.address())
    }

    /// An entity's code failed, with a message that contains this.
    #[track_caller]
    pub fn then_fault(mut self, message: &str) -> Self {
        let faults = &self.world.step.faults;
        match faults
            .iter()
            .position(|(_, fault)| fault.to_string().contains(message))
        {
            Some(at) => {
                self.world.step.faults.remove(at);
            }
            None => self.fail(&format!(
                "expected: a fault that contains {message:?}\n     got: {faults:?}"
            )),
        }
        self
    }
}
