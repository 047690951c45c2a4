//! The timers and sockets that a change moves, by name, so that an index of them touches nothing else.

use xp_protocol::ConnectionId;
use xp_protocol::events::{Change, TimerKey};

/// The timers that a change may set, move or clear.
pub fn timers_moved(change: &Change) -> impl Iterator<Item = TimerKey> + use<> {
    let keys = match change {
        Change::TimerSet { name, .. } | Change::TimerCleared(name) => {
            [Some(TimerKey::Domain(name.clone())), None]
        }
        Change::TicketOpened { ticket, .. } | Change::TicketClosed(ticket) => {
            [Some(TimerKey::Ticket(*ticket)), None]
        }
        Change::Parked(_) | Change::Unparked => [Some(TimerKey::Parked), None],
        _ => match session_moved(change) {
            Some(session) => [
                Some(TimerKey::Grace(session)),
                Some(TimerKey::Forget(session)),
            ],
            None => [None, None],
        },
    };
    keys.into_iter().flatten()
}

/// The session whose place in its life a change moves.
#[must_use]
pub fn session_moved(change: &Change) -> Option<ConnectionId> {
    match change {
        Change::SessionBegun(socket) | Change::SessionAttached(socket) => Some(socket.connection),
        Change::SessionDetached { connection, .. } | Change::SessionEnded { connection, .. } => {
            Some(*connection)
        }
        Change::SessionForgotten(connection) => Some(*connection),
        _ => None,
    }
}
