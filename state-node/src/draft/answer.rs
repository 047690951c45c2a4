//! The answer in a draft: to a session's command or to another entity's `ask`.

use bytes::Bytes;
use xp_domain_sdk::host::Outcome;
use xp_protocol::events::{Answer, Change, Routed};
use xp_protocol::frame::RequestId;
use xp_protocol::inbound::{AnswerKind, TellContent};
use xp_protocol::outbound::{Delivery, Item, Recipients};
use xp_protocol::plain::plain;
use xp_protocol::{Address, ConnectionId, FaultCode, MessageNumber, Revision};

use super::{Draft, NewTell};
use crate::entity::Runtime;
use crate::trigger::reference;

impl Draft {
    /// Stores and delivers the answer to a session's command (R30).
    pub fn answer_session(
        &mut self,
        runtime: &Runtime,
        text: bool,
        connection: ConnectionId,
        n: MessageNumber,
        answer: Answer,
    ) {
        let delivered = answer_item(RequestId::Number(n), self.revision, text, &answer);
        self.deliver_answer(runtime, connection, n, answer, delivered);
    }

    /// The same of a message that failed. What is said beside the code is delivered and not stored: an answer that is
    /// repeated comes without it.
    pub fn fail_session(
        &mut self,
        runtime: &Runtime,
        connection: ConnectionId,
        n: MessageNumber,
        failure: &Failure,
    ) {
        let delivered = failure_item(RequestId::Number(n), self.revision, failure);
        let answer = Answer::Fault(failure.code);
        self.deliver_answer(runtime, connection, n, answer, delivered);
    }

    fn deliver_answer(
        &mut self,
        runtime: &Runtime,
        connection: ConnectionId,
        n: MessageNumber,
        answer: Answer,
        (item, payload): (Item, Bytes),
    ) {
        let session = runtime.session(connection);
        if let Some(session) = session.filter(|session| session.is_live()) {
            self.shown.to_session(session, item, &payload);
        }
        self.changes.push(Change::Answered {
            connection,
            n,
            answer,
        });
    }

    /// The changes as they are stored: an answer that is delivered by the same commit is not said twice. Answers
    /// stand among the deliveries in the order of the changes.
    #[must_use]
    pub fn stored_changes(&self) -> Vec<Change> {
        let mut from = 0;
        let stored = |change: &Change| {
            let found = self.delivered_at(change, from);
            let (delivery, shown) = found.map_or((from, change.clone()), |(at, shown)| (at, shown));
            from = delivery;
            shown
        };
        self.changes.iter().map(stored).collect()
    }

    /// Where behind `from` the answer is delivered, and the change that refers to it.
    fn delivered_at(&self, change: &Change, from: usize) -> Option<(usize, Change)> {
        let Change::Answered {
            connection,
            n,
            answer: Answer::Reply(_) | Answer::Reject(_),
        } = change
        else {
            return None;
        };
        let answers = |routed: &Routed| {
            let Delivery { to, item, .. } = &routed.delivery;
            let (Item::Reply { id, .. } | Item::Reject { id, .. }) = item else {
                return false;
            };
            let whose = |to: &Recipients| matches!(to, Recipients::Only(only) if only.iter().any(|s| s.connection == *connection));
            *id == RequestId::Number(*n) && whose(to)
        };
        let at = from + self.shown.list[from..].iter().position(answers)?;
        let (connection, n, delivery) = (*connection, *n, u32::try_from(at).ok()?);
        let shown = Change::AnsweredAsShown {
            connection,
            n,
            delivery,
        };
        Some((at + 1, shown))
    }

    /// Sends the answer to another entity's `ask`.
    pub fn answer_entity(&mut self, to: Address, conversation: u64, outcome: Outcome) {
        let (kind, payload) = match outcome {
            Outcome::Reply(bytes) => (AnswerKind::Reply, bytes),
            Outcome::Rejection(bytes) => (AnswerKind::Rejection, bytes),
            Outcome::Fault => (AnswerKind::Fault, Bytes::new()),
        };
        self.tells.push(NewTell {
            to,
            what: TellContent::Answer { conversation, kind },
            payload,
        });
    }
}

/// The delivery of an answer.
#[must_use]
pub fn answer_item(
    id: RequestId,
    revision: Revision,
    text: bool,
    answer: &Answer,
) -> (Item, Bytes) {
    match answer {
        Answer::Reply(payload) => (Item::Reply { id, revision, text }, payload.clone()),
        Answer::Reject(payload) => (Item::Reject { id, revision, text }, payload.clone()),
        Answer::Fault(code) => (
            Item::Fault {
                id,
                revision,
                code: *code,
            },
            Bytes::new(),
        ),
    }
}

/// The delivery of a fault, with what is said beside it.
#[must_use]
pub fn failure_item(id: RequestId, revision: Revision, failure: &Failure) -> (Item, Bytes) {
    let code = failure.code;
    let item = Item::Fault { id, revision, code };
    (item, Bytes::copy_from_slice(failure.said.as_bytes()))
}

/// Why a message was taken without effect, and what its client hears beside the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the client's program goes by.
    pub code: FaultCode,
    /// For people; may be empty.
    pub said: Box<str>,
}

/// The most bytes of a reason that a client hears.
const SAID_BYTES_MAX: usize = 1 << 10;

impl Failure {
    /// A message with this `seed` failed, and `why`. The client hears a reference, which the line of the log has too, and
    /// where the node explains itself also why.
    #[must_use]
    pub fn new(code: FaultCode, seed: u64, explains: bool, why: &str) -> Self {
        let reference = reference(seed);
        let why = &why[..why.floor_char_boundary(SAID_BYTES_MAX)];
        let said = match explains {
            true => format!("{reference} {}", plain(why)),
            false => reference,
        };
        let said = said.into();
        Self { code, said }
    }
}

impl From<FaultCode> for Failure {
    fn from(code: FaultCode) -> Self {
        let said = Box::default();
        Self { code, said }
    }
}

/// The stored form of a domain's outcome.
#[must_use]
pub fn stored(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Reply(bytes) => Answer::Reply(bytes.clone()),
        Outcome::Rejection(bytes) => Answer::Reject(bytes.clone()),
        Outcome::Fault => Answer::Fault(FaultCode::Unanswered),
    }
}
