//! Turns for clients: commands, numbered (R30) or not, and queries (R13).

use xp_domain_sdk::host::Input;
use xp_protocol::events::{Answer, Awaiter, Change};
use xp_protocol::frame::{RequestId, Tag};
use xp_protocol::rules::Rule;
use xp_protocol::{CloseCode, FaultCode, MessageNumber};

use super::refusal::close;
use super::{Incoming, Turn, Turned};
use crate::draft::{Deliveries, Draft, Failure, answer_item, failure_item, stored};
use crate::entity::{Entity, Session};

impl Turn<'_> {
    /// R30: a numbered command.
    pub fn send(self, entity: &Entity, said: Incoming<'_>, n: MessageNumber) -> Turned {
        let Some(session) = said.session(entity) else {
            return Turned::Nothing;
        };
        if n <= session.n {
            return repeat(session, self.host.is_text(), n);
        }
        if self.takes_nothing(entity) {
            return self.send_away(entity, &said);
        }
        if n > session.n.next() && self.rules.holds(Rule::DenseNumbers) {
            return close(&session.socket, CloseCode::ComeBack);
        }
        let connection = said.connection;
        let mut draft = self.draft(entity);
        draft.changes.push(Change::Taken { connection, n });
        let input = Input::Command {
            by: connection,
            n: Some(n),
            payload: said.payload,
        };
        let awaiter = Awaiter::Session { connection, n };
        draft.awaiter = Some(awaiter.clone());
        let decided = self.decide(entity, &input);
        self.drafting(entity, &mut draft)
            .heard(decided, Some(awaiter));
        Turned::Commit(Box::new(draft))
    }

    /// A message that failed after its turn: taken, without effect.
    #[must_use]
    pub fn failed(
        self,
        entity: &Entity,
        mut changes: Vec<Change>,
        awaiter: Option<Awaiter>,
        failure: &Failure,
    ) -> Draft {
        let mut draft = self.draft(entity);
        draft.changes.append(&mut changes);
        self.drafting(entity, &mut draft).fault(awaiter, failure);
        draft
    }

    /// A command without a number or an answer: volatile outputs or nothing.
    pub fn ephemeral(self, entity: &Entity, said: Incoming<'_>) -> Turned {
        if said.session(entity).is_none() {
            return Turned::Nothing;
        }
        if self.takes_nothing(entity) {
            return self.send_away(entity, &said);
        }
        let input = Input::Command {
            by: said.connection,
            n: None,
            payload: said.payload,
        };
        let Ok(decided) = self.decide(entity, &input) else {
            return Turned::Nothing;
        };
        let mut draft = self.draft(entity);
        draft.show(self.host, entity, &decided.shows);
        Turned::Unlogged {
            outputs: draft.volatile,
            leased: false,
        }
    }

    /// R13: a query; it writes nothing.
    pub fn ask(self, entity: &Entity, said: Incoming<'_>, tag: Tag) -> Turned {
        let Some(session) = said.session(entity) else {
            return Turned::Nothing;
        };
        if self.takes_nothing(entity) {
            return self.send_away(entity, &said);
        }
        let answer = self.sound(entity, "ask", |instance, scene| {
            instance.answer(said.connection, &said.payload, scene)
        });
        let answer = answer.and_then(|outcome| self.bounded(stored(&outcome)));
        let (id, revision) = (RequestId::Tag(tag), entity.runtime.revision);
        let (item, payload) = match answer {
            Ok(answer) => answer_item(id, revision, self.host.is_text(), &answer),
            Err(failure) => failure_item(id, revision, &failure),
        };
        let mut outputs = Deliveries::default();
        outputs.to_session(session, item, &payload);
        Turned::Unlogged {
            outputs,
            leased: true,
        }
    }
}

impl Turn<'_> {
    /// R41: an answer that is larger than anything may be is a fault with a name.
    fn bounded(&self, answer: Answer) -> Result<Answer, Failure> {
        let (Answer::Reply(payload) | Answer::Reject(payload)) = &answer else {
            return Ok(answer);
        };
        let (bytes, max) = (payload.len(), self.limits.large.whole_bytes_max.bytes());
        if bytes <= max {
            return Ok(answer);
        }
        let reference = self.trigger.reference();
        tracing::error!(entity = %self.address, bytes, max, reference, "a query faulted: its answer is too large; let it ask for less, or raise limits.large.whole-bytes-max");
        let why = format!("the answer has {bytes} bytes of at most {max}");
        Err(self.failure(FaultCode::TooLarge, &why))
    }
}

/// The stored answer again (R30), outside the chain; nothing while it is still awaited.
fn repeat(session: &Session, text: bool, n: MessageNumber) -> Turned {
    let Some((revision, answer)) = session.answer(n) else {
        return Turned::Nothing;
    };
    let (item, payload) = answer_item(RequestId::Number(n), revision, text, answer);
    let mut outputs = Deliveries::default();
    outputs.to_session(session, item, &payload);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}
