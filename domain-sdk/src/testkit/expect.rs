//! Expectations, shown as JSON beside what was got.

use bytes::Bytes;
use xp_protocol::Address;

use super::Scenario;
use super::kind::{Kind, KindOf, Vocabulary};
use super::step::{Received, written};
use super::user::User;
use crate::entity::Entity;
use crate::host::{Audience, Outcome, Show};
use crate::word::{Codec, State, Word};

#[derive(Clone, Copy)]
pub(super) enum Shown {
    Everybody,
    Others,
    To(xp_protocol::ConnectionId),
}

impl<E: Entity + State> Scenario<E> {
    #[track_caller]
    pub(super) fn expect_events<O: Entity + State>(
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

    #[track_caller]
    pub(super) fn expect_over(self, entity: &Address) -> Self {
        if !self.world.step.over.contains(entity) {
            self.fail(&format!(
                "expected: {entity} ends\n     got: it does not{}",
                self.faults_hint()
            ));
        }
        self
    }

    pub(super) fn events_json<O: Entity + State>(&self, of: &Address) -> String {
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
    pub(super) fn expected<W: Word>(&self, word: &W, vocabulary: Vocabulary) -> Bytes {
        match written(E::CODEC, word) {
            Ok(bytes) => bytes,
            Err(broken) => self.fail(&format!("the expected {vocabulary:?}: {}", broken.0)),
        }
    }

    pub(super) fn answer_of_step(&self) -> Option<&Received> {
        let message = self.world.step.message?;
        self.world.heard.get(&message)
    }

    pub(super) fn late_answer(&mut self, user: &User) -> Option<Received> {
        let late = &mut self.world.step.late;
        let at = late
            .iter()
            .position(|(connection, _)| *connection == user.connection())?;
        Some(late.remove(at).1)
    }

    #[track_caller]
    pub(super) fn same_answer(self, what: &str, expected: &Bytes, got: Option<&Received>) -> Self {
        let is_rejection = what.ends_with("rejection");
        let same = match got {
            Some(Received::Answer(Outcome::Reply(reply))) => !is_rejection && reply == expected,
            Some(Received::Answer(Outcome::Rejection(rejection))) => {
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

    pub(super) fn heard_json(&self, heard: Option<&Received>) -> String {
        let kind = KindOf::<E>::new();
        match heard {
            None => format!("no answer{}", self.faults_hint()),
            Some(Received::Unanswered) => "no answer in time".to_owned(),
            Some(Received::Fault(fault)) => format!("a fault: {fault}"),
            Some(Received::Answer(Outcome::Reply(reply))) => {
                format!("the reply {}", kind.json(Vocabulary::Reply, reply))
            }
            Some(Received::Answer(Outcome::Rejection(rejection))) => {
                format!(
                    "the rejection {}",
                    kind.json(Vocabulary::Rejection, rejection)
                )
            }
            Some(Received::Answer(Outcome::Fault)) => "a fault".to_owned(),
        }
    }

    pub(super) fn faults_hint(&self) -> String {
        let faults = self
            .world
            .step
            .faults
            .iter()
            .map(|(entity, fault)| format!("\n    (a fault of {entity}: {fault})"));
        faults.collect()
    }

    #[track_caller]
    pub(super) fn expect_show(mut self, to: Shown, volatile: bool, output: &E::Output) -> Self {
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

    pub(super) fn shows_json(&self) -> String {
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

    pub(super) fn sequence_json(&self, sequence: &[u8]) -> String {
        let kind = KindOf::<E>::new();
        let words = kind.split(sequence);
        let words: Vec<String> = words
            .iter()
            .map(|word| kind.json(Vocabulary::Output, word))
            .collect();
        format!("[{}]", words.join(","))
    }

    #[track_caller]
    pub(super) fn expect_said<S: Word>(mut self, to: &Address, signal: &S, asked: bool) -> Self {
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
