//! What accepts a session.

use xp_protocol::events::Answer;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, MessageNumber};

use super::{Turn, code};
use crate::draft::{Deliveries, answer_item};
use crate::entity::{Entity, Session};

/// What accepts a session: a welcome rendered from the state as it is (R31).
#[must_use]
pub fn welcome(turn: &Turn<'_>, entity: &Entity, session: &Session) -> Deliveries {
    let mut outputs = Deliveries::default();
    match entity
        .instance
        .welcome(session.socket.connection, &turn.scene(entity))
    {
        Ok(shown) => {
            let item = Item::Welcome {
                edge: session.socket.edge,
                revision: entity.runtime.revision,
                n: session.n,
                text: turn.host.is_text(),
            };
            outputs.to_session(session, item, &shown);
        }
        Err(fault) => {
            turn.log(&fault, "welcome");
            let answer = Answer::Fault(code(&fault));
            let id = RequestId::Number(MessageNumber(0));
            let (item, payload) =
                answer_item(id, entity.runtime.revision, turn.host.is_text(), &answer);
            outputs.to_session(session, item, &payload);
            outputs.to_session(
                session,
                Item::Close {
                    code: CloseCode::Refused,
                },
                &[],
            );
        }
    }
    outputs
}
