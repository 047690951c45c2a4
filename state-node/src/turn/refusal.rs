//! Answers to a socket that has no session, or has it no more: outside the chain, and logged nowhere.

use bytes::Bytes;
use xp_protocol::events::Attachment;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, MessageNumber, Revision};

use super::Turned;
use crate::draft::{Deliveries, Failure, failure_item};
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

/// Why a connection is refused.
#[derive(Debug)]
pub enum No {
    /// The domain's rejection of the connection.
    Reject(Bytes),
    /// The claims cannot be read, or the domain's code failed.
    Fault(Failure),
}

/// The entity said no to a connection: neither commit nor entity remains.
pub fn refuse(wanted: &Attachment, revision: Revision, text: bool, no: &No) -> Turned {
    let session = passing(wanted);
    let mut outputs = Deliveries::default();
    let id = RequestId::Number(MessageNumber(0));
    let (item, payload) = match no {
        No::Reject(payload) => (Item::Reject { id, revision, text }, payload.clone()),
        No::Fault(failure) => failure_item(id, revision, failure),
    };
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
