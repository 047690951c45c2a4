//! Which changes move a socket or a timer, so that whoever indexes them must look.

use xp_protocol::events::Change;

/// Whether a change sets, moves or clears a timer, or moves a socket.
#[must_use]
pub fn moves_waiting(change: &Change) -> bool {
    let timer = matches!(
        change,
        Change::TimerSet { .. }
            | Change::TimerCleared(_)
            | Change::TicketOpened { .. }
            | Change::TicketClosed(_)
            | Change::SessionForgotten(_)
    );
    timer || moves_sockets(change)
}

pub(super) fn moves_sockets(change: &Change) -> bool {
    matches!(
        change,
        Change::SessionBegun(_)
            | Change::SessionAttached(_)
            | Change::SessionDetached { .. }
            | Change::SessionEnded { .. }
    )
}
