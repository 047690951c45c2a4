//! What accepts a session.

use xp_domain_sdk::host::Welcome;
use xp_protocol::events::Answer;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, FaultCode, MessageNumber};

use super::Turn;
use crate::draft::{Deliveries, answer_item};
use crate::entity::{Entity, Session};

/// What a session is shown first, rendered from the state as it is (R31).
///
/// # Errors
/// The fault, when the domain's code fails, or what it shows is larger than anything may be (R41).
pub fn welcome(turn: &Turn<'_>, entity: &Entity, session: &Session) -> Result<Welcome, FaultCode> {
    let shown = turn.sound(entity, "welcome", |instance, scene| {
        instance.welcome(session.socket.connection, scene)
    })?;
    let (bytes, max) = (shown.shown.len(), turn.limits.whole_bytes_max);
    if bytes > max {
        tracing::error!(entity = %turn.address, bytes, max, "nobody can enter: what the entity shows first is too large; let it show less, or raise whole-bytes-max");
        return Err(FaultCode::TooLarge);
    }
    Ok(shown)
}

/// The entity cannot welcome the session: it hears why, and is closed.
#[must_use]
pub fn unwelcome(
    turn: &Turn<'_>,
    entity: &Entity,
    session: &Session,
    code: FaultCode,
) -> Deliveries {
    let mut outputs = Deliveries::default();
    if code == FaultCode::Quarantined {
        // R44: it comes back by itself.
        let code = CloseCode::Quarantined;
        outputs.to_session(session, Item::Close { code }, &[]);
        return outputs;
    }
    let (revision, text) = (entity.runtime.revision, turn.host.is_text());
    let (id, answer) = (RequestId::Number(MessageNumber(0)), Answer::Fault(code));
    let (item, payload) = answer_item(id, revision, text, &answer);
    outputs.to_session(session, item, &payload);
    let code = CloseCode::Refused;
    outputs.to_session(session, Item::Close { code }, &[]);
    outputs
}
