//! What a command or another entity's `ask` comes to.

use bytes::Bytes;
use xp_domain_sdk::host::Outcome;
use xp_protocol::events::{Answer, Change};
use xp_protocol::frame::RequestId;
use xp_protocol::inbound::{AnswerKind, Told};
use xp_protocol::outbound::Item;
use xp_protocol::{Address, ConnectionId, FaultCode, MessageNumber, Revision};

use super::{Draft, Word};
use crate::entity::Runtime;

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
        if let Some(session) = runtime.session(connection) {
            let (item, payload) = answer_item(RequestId::Number(n), self.revision, text, &answer);
            if session.is_live() {
                self.shown.to_session(session, item, &payload);
            }
        }
        self.changes.push(Change::Answered {
            connection,
            n,
            answer,
        });
    }

    /// Sends the answer to another entity's `ask`.
    pub fn answer_entity(&mut self, to: Address, conversation: u64, outcome: Outcome) {
        let (kind, payload) = match outcome {
            Outcome::Reply(bytes) => (AnswerKind::Reply, bytes),
            Outcome::Rejection(bytes) => (AnswerKind::Rejection, bytes),
            Outcome::Fault => (AnswerKind::Fault, Bytes::new()),
        };
        self.tells.push(Word {
            to,
            what: Told::Answer { conversation, kind },
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

/// The stored form of a domain's outcome.
#[must_use]
pub fn stored(outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Reply(bytes) => Answer::Reply(bytes.clone()),
        Outcome::Rejection(bytes) => Answer::Reject(bytes.clone()),
        Outcome::Fault => Answer::Fault(FaultCode::Unanswered),
    }
}
