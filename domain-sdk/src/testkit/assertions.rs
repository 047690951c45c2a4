//! The assertions about one step: what a test expects, encoded as the entity would, against what was observed.
//!
//! Each says in words what it misses: both sides as JSON, and the faults that may be the reason. It is the
//! [run](super::run) that panics with them.

use std::marker::PhantomData;

use bytes::Bytes;
use xp_protocol::Address;

use super::broken::{Broken, written};
use super::kind::{Kind, KindOf, Vocabulary};
use super::observed::{Observed, Received, SentTell, ShownTo};
use super::user::User;
use super::world::UNANSWERED;
use crate::entity::Entity;
use crate::host::Outcome;
use crate::word::{Codec, State, Word};

type Checked = Result<(), Broken>;

/// What a step of a story about an `E` brought about, with the questions that a test asks of it.
pub struct Assertions<'s, E: Entity + State> {
    observed: &'s mut Observed,
    /// The entity of the story.
    main: &'s Address,
    kind: PhantomData<fn() -> E>,
}

impl<'s, E: Entity + State> Assertions<'s, E> {
    pub(super) fn new(observed: &'s mut Observed, main: &'s Address) -> Self {
        let kind = PhantomData;
        Self {
            observed,
            main,
            kind,
        }
    }

    pub(super) fn events(&self, events: impl IntoIterator<Item = E::Event>) -> Checked {
        self.events_of::<E>(self.main, events)
    }

    pub(super) fn events_of<O: Entity + State>(
        &self,
        entity: &Address,
        events: impl IntoIterator<Item = O::Event>,
    ) -> Checked {
        let expected: Vec<Bytes> = events
            .into_iter()
            .map(|event| written(O::CODEC, &event))
            .collect::<Result<_, _>>()?;
        let expected = json::<O>(Vocabulary::Event, &expected);
        let got = self.events_json::<O>(entity);
        match expected == got {
            true => Ok(()),
            false => Err(Broken(format!(
                "expected the events of {entity} {expected}\n     got {got}{}",
                self.faults_hint()
            ))),
        }
    }

    pub(super) fn nothing(&self) -> Checked {
        let (events, shows) = (self.observed.event_count(), self.observed.show_count());
        let tells = self.observed.tells().len();
        if events + shows + tells == 0 {
            return Ok(());
        }
        Err(Broken(format!(
            "expected: nothing\n     got: {events} events {}, {shows} outputs {}, {tells} words to others",
            self.events_json::<E>(self.main),
            self.shows_json(),
        )))
    }

    pub(super) fn reply(&self, reply: &E::Reply) -> Checked {
        let expected = Outcome::Reply(expected::<E, _>(reply, Vocabulary::Reply)?);
        self.same_answer("", expected, self.observed.answer())
    }

    pub(super) fn rejection(&self, rejection: &E::Rejection) -> Checked {
        let expected = Outcome::Rejection(expected::<E, _>(rejection, Vocabulary::Rejection)?);
        self.same_answer("", expected, self.observed.answer())
    }

    pub(super) fn no_answer_yet(&self) -> Checked {
        match self.observed.answer() {
            None => Ok(()),
            Some(answer) => Err(Broken(format!(
                "expected: no answer yet\n     got: {}",
                self.answer_json("", Some(answer))
            ))),
        }
    }

    pub(super) fn late_reply(&mut self, user: &User, reply: &E::Reply) -> Checked {
        let expected = Outcome::Reply(expected::<E, _>(reply, Vocabulary::Reply)?);
        let got = self.observed.take_late_answer(user.connection());
        self.same_answer("late ", expected, got.as_ref())
    }

    pub(super) fn late_rejection(&mut self, user: &User, rejection: &E::Rejection) -> Checked {
        let expected = Outcome::Rejection(expected::<E, _>(rejection, Vocabulary::Rejection)?);
        let got = self.observed.take_late_answer(user.connection());
        self.same_answer("late ", expected, got.as_ref())
    }

    /// Its ticket timed out, which is a fault and is expected with it; or its session ended.
    pub(super) fn unanswered(&mut self, user: &User) -> Checked {
        let got = self.observed.take_late_answer(user.connection());
        if got != Some(Received::Unanswered) {
            return Err(Broken(format!(
                "expected: an answer that never came\n     got: {}",
                self.answer_json("", got.as_ref())
            )));
        }
        self.observed
            .take_fault(|fault| fault.starts_with(UNANSWERED));
        Ok(())
    }

    pub(super) fn shown(&mut self, to: ShownTo, volatile: bool, output: &E::Output) -> Checked {
        let expected = expected::<E, _>(output, Vocabulary::Output)?;
        let got = self.observed.take_show(self.main, to, volatile);
        if got.as_ref().is_some_and(|show| show.output == expected) {
            return Ok(());
        }
        let kind = KindOf::<E>::new();
        let got = got.map(|show| kind.json(Vocabulary::Output, &show.output));
        Err(Broken(format!(
            "expected to be shown {}\n                  got {}\nnot asked for yet: {}{}",
            kind.json(Vocabulary::Output, &expected),
            got.as_deref().unwrap_or("nothing of the kind"),
            self.shows_json(),
            self.faults_hint()
        )))
    }

    pub(super) fn welcome(&self, outputs: impl IntoIterator<Item = E::Output>) -> Checked {
        let words: Vec<Bytes> = outputs
            .into_iter()
            .map(|output| expected::<E, _>(&output, Vocabulary::Output))
            .collect::<Result<_, _>>()?;
        let kind = KindOf::<E>::new();
        let got = self.observed.welcome();
        let words_of: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        if got == Some(&kind.join(&words_of)) {
            return Ok(());
        }
        let got = got.map(|shown| json::<E>(Vocabulary::Output, &kind.split(shown)));
        Err(Broken(format!(
            "expected the welcome {}\n                 got {}",
            json::<E>(Vocabulary::Output, &words),
            got.unwrap_or_default()
        )))
    }

    pub(super) fn told<S: Word>(&mut self, to: &Address, signal: &S, asked: bool) -> Checked {
        let signal = written(Codec::Json, signal)?;
        if self.observed.take_tell(to, &signal, asked) {
            return Ok(());
        }
        let got: Vec<String> = self.observed.tells().iter().map(tell_text).collect();
        Err(Broken(format!(
            "expected: somebody {} {to} {}\n     got: {}{}",
            verb(asked),
            String::from_utf8_lossy(&signal),
            got.join("\n          "),
            self.faults_hint()
        )))
    }

    pub(super) fn session_ended(&self, user: &User) -> Checked {
        match self.observed.has_session_ended(user.connection()) {
            true => Ok(()),
            false => Err(Broken(format!(
                "expected: the session of {} ends\n     got: it does not",
                user.subject
            ))),
        }
    }

    pub(super) fn ended(&self) -> Checked {
        self.entity_ended(self.main)
    }

    pub(super) fn entity_ended(&self, entity: &Address) -> Checked {
        match self.observed.has_entity_ended(entity) {
            true => Ok(()),
            false => Err(Broken(format!(
                "expected: {entity} ends\n     got: it does not{}",
                self.faults_hint()
            ))),
        }
    }

    pub(super) fn fault(&mut self, message: &str) -> Checked {
        match self.observed.take_fault(|fault| fault.contains(message)) {
            true => Ok(()),
            false => Err(Broken(format!(
                "expected: a fault that contains {message:?}\n     got: {:?}",
                self.observed.faults()
            ))),
        }
    }

    fn same_answer(&self, when: &str, expected: Outcome, got: Option<&Received>) -> Checked {
        let expected = Received::Answer(expected);
        match got == Some(&expected) {
            true => Ok(()),
            false => Err(Broken(format!(
                "expected {}\n     got {}",
                self.answer_json(when, Some(&expected)),
                self.answer_json("", got)
            ))),
        }
    }

    /// An answer for people; `when` is said of it, if anything is.
    fn answer_json(&self, when: &str, answer: Option<&Received>) -> String {
        let kind = KindOf::<E>::new();
        match answer {
            None => format!("no answer{}", self.faults_hint()),
            Some(Received::Unanswered) => "no answer in time".to_owned(),
            Some(Received::Fault(fault)) => format!("a fault: {fault}"),
            Some(Received::Answer(Outcome::Reply(reply))) => {
                format!("the {when}reply {}", kind.json(Vocabulary::Reply, reply))
            }
            Some(Received::Answer(Outcome::Rejection(no))) => {
                let no = kind.json(Vocabulary::Rejection, no);
                format!("the {when}rejection {no}")
            }
            Some(Received::Answer(Outcome::Fault)) => "a fault".to_owned(),
        }
    }

    fn events_json<O: Entity + State>(&self, entity: &Address) -> String {
        json::<O>(Vocabulary::Event, self.observed.events_of(entity))
    }

    fn shows_json(&self) -> String {
        let kind = KindOf::<E>::new();
        let shows = self.observed.shows_of(self.main).map(|show| {
            let output = kind.json(Vocabulary::Output, &show.output);
            format!("{:?} {output}", show.to)
        });
        format!("[{}]", shows.collect::<Vec<_>>().join(", "))
    }

    fn faults_hint(&self) -> String {
        let faults = self.observed.faults().iter();
        faults
            .map(|(entity, fault)| format!("\n    (a fault of {entity}: {fault})"))
            .collect()
    }
}

fn expected<E: Entity, W: Word>(word: &W, vocabulary: Vocabulary) -> Result<Bytes, Broken> {
    written(E::CODEC, word)
        .map_err(|broken| Broken(format!("the expected {vocabulary:?}: {}", broken.0)))
}

/// Words of an `O`, as a list.
fn json<'w, O: Entity + State>(
    vocabulary: Vocabulary,
    words: impl IntoIterator<Item = &'w Bytes>,
) -> String {
    let kind = KindOf::<O>::new();
    let words = words.into_iter().map(|word| kind.json(vocabulary, word));
    format!("[{}]", words.collect::<Vec<_>>().join(","))
}

fn tell_text(tell: &SentTell) -> String {
    let signal = String::from_utf8_lossy(&tell.signal);
    format!("{} {} {} {signal}", tell.from, verb(tell.asked), tell.to)
}

fn verb(asked: bool) -> &'static str {
    if asked { "asks" } else { "tells" }
}
