//! The welcome of a session, or its refusal.

use xp_domain_sdk::host::Welcome;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, FaultCode, MessageNumber};

use super::Turn;
use crate::draft::{Deliveries, Failure, failure_item};
use crate::entity::{Entity, Session};

/// What a session is shown first, rendered from the state as it is (R31).
///
/// # Errors
/// The fault, when the domain's code fails, or what it shows is larger than anything may be (R41).
pub fn welcome(turn: &Turn<'_>, entity: &Entity, session: &Session) -> Result<Welcome, Failure> {
    let shown = turn.sound(entity, "welcome", |instance, scene| {
        instance.welcome(session.socket.connection, scene)
    })?;
    let (bytes, max) = (shown.shown.len(), turn.limits.large.whole_bytes_max.bytes());
    if bytes > max {
        let reference = turn.trigger.reference();
        tracing::error!(entity = %turn.address, bytes, max, reference, "nobody can enter: what the entity shows first is too large; let it show less, or raise limits.large.whole-bytes-max");
        let why = format!("what the entity shows first has {bytes} bytes of at most {max}");
        return Err(turn.failure(FaultCode::TooLarge, &why));
    }
    Ok(shown)
}

/// The entity cannot welcome the session: it hears why, and is closed.
#[must_use]
pub fn unwelcome(entity: &Entity, session: &Session, failure: &Failure) -> Deliveries {
    let mut outputs = Deliveries::default();
    if failure.code == FaultCode::Quarantined {
        // R44: it comes back by itself.
        let code = CloseCode::Quarantined;
        outputs.to_session(session, Item::Close { code }, &[]);
        return outputs;
    }
    let id = RequestId::Number(MessageNumber(0));
    let (item, payload) = failure_item(id, entity.runtime.revision, failure);
    outputs.to_session(session, item, &payload);
    let code = CloseCode::Refused;
    outputs.to_session(session, Item::Close { code }, &[]);
    outputs
}
