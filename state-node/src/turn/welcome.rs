//! What accepts a session.

use xp_protocol::events::Answer;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, FaultCode, MessageNumber};

use super::Turn;
use crate::draft::{Deliveries, answer_item};
use crate::entity::{Entity, Session};

/// What accepts a session: a welcome rendered from the state as it is (R31).
#[must_use]
pub fn welcome(turn: &Turn<'_>, entity: &Entity, session: &Session) -> Deliveries {
    let mut outputs = Deliveries::default();
    let (revision, text) = (entity.runtime.revision, turn.host.is_text());
    let shown = turn.sound(entity, "welcome", |instance, scene| {
        instance.welcome(session.socket.connection, scene)
    });
    match shown {
        Ok(shown) => {
            let item = Item::Welcome {
                edge: session.socket.edge,
                revision,
                n: session.n,
                text,
            };
            outputs.to_session(session, item, &shown);
        }
        // R44: it comes back by itself.
        Err(FaultCode::Quarantined) => {
            let code = CloseCode::Quarantined;
            outputs.to_session(session, Item::Close { code }, &[]);
        }
        Err(code) => {
            let (id, answer) = (RequestId::Number(MessageNumber(0)), Answer::Fault(code));
            let (item, payload) = answer_item(id, revision, text, &answer);
            outputs.to_session(session, item, &payload);
            let code = CloseCode::Refused;
            outputs.to_session(session, Item::Close { code }, &[]);
        }
    }
    outputs
}
