//! What a scenario says must be so after a step.

use bytes::Bytes;
use xp_protocol::Address;

use super::kind::{Kind, KindOf, Vocabulary};
use super::scenario::{Scenario, written};
use super::step::Heard;
use super::user::User;
use super::world::UNANSWERED;
use crate::entity::{At, Entity};
use crate::host::{Audience, Outcome, Show};
use crate::word::{Codec, State, Word};

#[derive(Clone, Copy)]
enum Shown {
    Everybody,
    Others,
    To(xp_protocol::ConnectionId),
}

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
        if !matches!(got, Some(Heard::Unanswered)) {
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

    #[track_caller]
    fn expect_events<O: Entity + State>(
        self,
        of: &Address,
        events: impl IntoIterator<Item = O::Event>,
    ) -> Self {
        let kind = KindOf::<O>::new();
        let expected: Vec<String> = events
            .into_iter()
            .map(|event| match written(O::CODEC, &event) {
                Ok(event) => kind.json(Vocabulary::Event, &event),
                Err(broken) => self.fail(&broken.0),
            })
            .collect();
        let (expected, got) = (
            format!("[{}]", expected.join(",")),
            self.events_json::<O>(of),
        );
        if expected != got {
            self.fail(&format!(
                "expected the events of {of} {expected}\n     got {got}{}",
                self.faults_hint()
            ));
        }
        self
    }

    fn events_json<O: Entity + State>(&self, of: &Address) -> String {
        let kind = KindOf::<O>::new();
        let commits = self
            .world
            .step
            .events
            .iter()
            .filter(|(entity, _)| entity == of);
        let events: Vec<String> = commits
            .flat_map(|(_, events)| events)
            .map(|event| kind.json(Vocabulary::Event, event))
            .collect();
        format!("[{}]", events.join(","))
    }

    #[track_caller]
    fn expected<W: Word>(&self, word: &W, vocabulary: Vocabulary) -> Bytes {
        match written(E::CODEC, word) {
            Ok(bytes) => bytes,
            Err(broken) => self.fail(&format!("the expected {vocabulary:?}: {}", broken.0)),
        }
    }

    fn answer_of_step(&self) -> Option<&Heard> {
        let message = self.world.step.message?;
        self.world.heard.get(&message)
    }

    fn late_answer(&mut self, user: &User) -> Option<Heard> {
        let late = &mut self.world.step.late;
        let at = late
            .iter()
            .position(|(connection, _)| *connection == user.connection())?;
        Some(late.remove(at).1)
    }

    #[track_caller]
    fn same_answer(self, what: &str, expected: &Bytes, got: Option<&Heard>) -> Self {
        let is_rejection = what.ends_with("rejection");
        let same = match got {
            Some(Heard::Answer(Outcome::Reply(reply))) => !is_rejection && reply == expected,
            Some(Heard::Answer(Outcome::Rejection(rejection))) => {
                is_rejection && rejection == expected
            }
            _ => false,
        };
        if !same {
            let vocabulary = if is_rejection {
                Vocabulary::Rejection
            } else {
                Vocabulary::Reply
            };
            let expected = KindOf::<E>::new().json(vocabulary, expected);
            let got = self.heard_json(got);
            self.fail(&format!("expected {what} {expected}\n     got {got}"));
        }
        self
    }

    fn heard_json(&self, heard: Option<&Heard>) -> String {
        let kind = KindOf::<E>::new();
        match heard {
            None => format!("no answer{}", self.faults_hint()),
            Some(Heard::Unanswered) => "no answer in time".to_owned(),
            Some(Heard::Fault(fault)) => format!("a fault: {fault}"),
            Some(Heard::Answer(Outcome::Reply(reply))) => {
                format!("the reply {}", kind.json(Vocabulary::Reply, reply))
            }
            Some(Heard::Answer(Outcome::Rejection(rejection))) => {
                format!(
                    "the rejection {}",
                    kind.json(Vocabulary::Rejection, rejection)
                )
            }
            Some(Heard::Answer(Outcome::Fault)) => "a fault".to_owned(),
        }
    }

    fn faults_hint(&self) -> String {
        let faults = self
            .world
            .step
            .faults
            .iter()
            .map(|(entity, fault)| format!("\n    (a fault of {entity}: {fault})"));
        faults.collect()
    }

    #[track_caller]
    fn expect_show(mut self, to: Shown, volatile: bool, output: &E::Output) -> Self {
        let expected = self.expected(output, Vocabulary::Output);
        let is_meant = |(entity, show): &(Address, Show)| {
            *entity == self.main && show.volatile == volatile && is_for(&show.to, to)
        };
        let at = self.world.step.shows.iter().position(is_meant);
        match at.and_then(|at| self.world.step.shows.remove(at)) {
            Some((_, show)) if show.output == expected => self,
            other => {
                let kind = KindOf::<E>::new();
                let got = other.map(|(_, show)| kind.json(Vocabulary::Output, &show.output));
                let expected = kind.json(Vocabulary::Output, &expected);
                self.fail(&format!(
                    "expected to be shown {expected}\n                  got {}\nnot asked for yet: {}{}",
                    got.unwrap_or_else(|| "nothing of the kind".to_owned()),
                    self.shows_json(),
                    self.faults_hint()
                ))
            }
        }
    }

    fn shows_json(&self) -> String {
        let kind = KindOf::<E>::new();
        let mine = self
            .world
            .step
            .shows
            .iter()
            .filter(|(entity, _)| *entity == self.main);
        let shows: Vec<String> = mine
            .map(|(_, show)| {
                format!(
                    "{:?} {}",
                    show.to,
                    kind.json(Vocabulary::Output, &show.output)
                )
            })
            .collect();
        format!("[{}]", shows.join(", "))
    }

    fn sequence_json(&self, sequence: &[u8]) -> String {
        let kind = KindOf::<E>::new();
        let words = kind.split(sequence);
        let words: Vec<String> = words
            .iter()
            .map(|word| kind.json(Vocabulary::Output, word))
            .collect();
        format!("[{}]", words.join(","))
    }

    #[track_caller]
    fn expect_said<S: Word>(mut self, to: &Address, signal: &S, asked: bool) -> Self {
        let expected = match written(Codec::Json, signal) {
            Ok(json) => json,
            Err(broken) => self.fail(&broken.0),
        };
        let tells = &mut self.world.step.tells;
        let at = tells
            .iter()
            .position(|said| said.to == *to && said.asked == asked && said.signal == expected);
        if let Some(at) = at {
            tells.remove(at);
            return self;
        }
        let verb = |asked| if asked { "asks" } else { "tells" };
        let got: Vec<String> = tells
            .iter()
            .map(|said| {
                format!(
                    "{} {} {} {}",
                    said.from,
                    verb(said.asked),
                    said.to,
                    String::from_utf8_lossy(&said.signal)
                )
            })
            .collect();
        let expected = format!(
            "somebody {} {to} {}",
            verb(asked),
            String::from_utf8_lossy(&expected)
        );
        self.fail(&format!(
            "expected: {expected}\n     got: {}{}",
            got.join("\n          "),
            self.faults_hint()
        ))
    }
}

fn is_for(audience: &Audience, shown: Shown) -> bool {
    match (audience, shown) {
        (Audience::Everybody, Shown::Everybody) | (Audience::Except(_), Shown::Others) => true,
        (Audience::Only(connections), Shown::To(connection)) => connections.contains(&connection),
        _ => false,
    }
}
