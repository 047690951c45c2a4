//! The typed roster beside the instance, in step with the sessions.

use xp_domain_sdk::host::{Instance, RosterChange};
use xp_protocol::events::{Attachment, Change};

use super::runtime::Runtime;

/// The roster change of a socket that is attached.
#[must_use]
pub fn attached(socket: &Attachment) -> RosterChange<'_> {
    RosterChange::Attached {
        connection: socket.connection,
        subject: &socket.subject,
        claims: &socket.claims,
    }
}

/// Keeps the typed roster beside the instance in step with the sessions. Claims that cannot be read are the concern of
/// the handlers that need them.
pub(super) fn roster(instance: &mut dyn Instance, change: &Change, runtime: &Runtime) {
    let unread = match change {
        Change::SessionBegun(socket) | Change::SessionAttached(socket) => {
            instance.roster(&attached(socket))
        }
        Change::SessionDetached { connection, .. } => {
            instance.roster(&RosterChange::Detached(*connection))
        }
        Change::SessionEnded { connection, .. } => {
            instance.roster(&RosterChange::Ended(*connection))
        }
        Change::ClaimsChanged { connection, .. } => match runtime.session(*connection) {
            Some(session) => instance.roster(&attached(&session.socket)),
            None => Ok(()),
        },
        _ => Ok(()),
    };
    drop(unread);
}
