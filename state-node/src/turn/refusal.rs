//! Words to a socket that has no session, or has it no more: outside the chain, and logged nowhere.

use xp_protocol::events::{Answer, Attachment};
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, MessageNumber, Revision};

use super::Turned;
use crate::draft::{Deliveries, answer_item};
use crate::entity::Session;

/// Closes a socket outside the chain.
pub(super) fn close(wanted: &Attachment, code: CloseCode) -> Turned {
    let mut outputs = Deliveries::default();
    let session = passing(wanted);
    outputs.to_session(&session, Item::Close { code }, &[]);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}

/// The entity said no to a connection: neither commit nor entity remains.
pub fn refuse(wanted: &Attachment, revision: Revision, text: bool, answer: &Answer) -> Turned {
    let session = passing(wanted);
    let mut outputs = Deliveries::default();
    let (item, payload) = answer_item(RequestId::Number(MessageNumber(0)), revision, text, answer);
    outputs.to_session(&session, item, &payload);
    let code = CloseCode::Refused;
    outputs.to_session(&session, Item::Close { code }, &[]);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}

/// A socket as if it had a session.
fn passing(wanted: &Attachment) -> Session {
    Session::new(wanted.clone())
}
