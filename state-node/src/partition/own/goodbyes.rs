//! Goodbyes that came before their dial (R27).

use std::collections::VecDeque;

use xp_protocol::outbound::Socket;
use xp_protocol::{Address, Offset, TimeMs};

use super::super::exit::Predecessor;

/// How many goodbyes are remembered that came before their dial.
const GOODBYES_MAX: usize = 1_024;

/// For how long the log may land a dial behind its goodbye, in milliseconds: longer than an append is under way.
const UNKNOWN_MS: u64 = 10_000;

/// Goodbyes of sockets that no session had: their dials are on their way, or were never to arrive. The oldest are forgotten.
#[derive(Debug)]
pub(super) struct Goodbyes {
    heard: VecDeque<(Address, Socket)>,
    /// Until then any dial may be one whose goodbye the former owner has taken, which left no trace in the log.
    unknown_until: TimeMs,
}

impl Goodbyes {
    /// Those that an owner knows which begins at `inbound`: none, but the former one may have taken some.
    pub(super) fn after(before: Predecessor, inbound: Offset, now: TimeMs) -> Self {
        let may_have_taken = before.same_inbound && inbound > Offset(0);
        let unknown_ms = if may_have_taken { UNKNOWN_MS } else { 0 };
        Self {
            heard: VecDeque::new(),
            unknown_until: now.plus_ms(unknown_ms),
        }
    }

    pub(super) fn note(&mut self, address: &Address, socket: Socket) {
        if self.heard.len() == GOODBYES_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((address.clone(), socket));
    }

    /// Whether the goodbye of this socket may have come before.
    pub(super) fn may_have(&self, address: &Address, socket: Socket, now: TimeMs) -> bool {
        let mut heard = self.heard.iter();
        now < self.unknown_until || heard.any(|(of, gone)| *gone == socket && of == address)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::{ConnectionId, DialAttempt};

    use super::*;

    fn may_have(same_inbound: bool, inbound: u64, now: u64) -> bool {
        let before = Predecessor {
            released: true,
            same_inbound,
        };
        let goodbyes = Goodbyes::after(before, Offset(inbound), TimeMs(0));
        let socket = Socket {
            connection: ConnectionId(Uuid::from_u128(1)),
            attempt: DialAttempt(1),
        };
        goodbyes.may_have(&"room/1".parse().unwrap(), socket, TimeMs(now))
    }

    #[test]
    fn what_the_former_owner_may_have_heard_is_doubted_for_a_while() {
        assert!(may_have(true, 7, UNKNOWN_MS - 1));
        assert!(!may_have(true, 7, UNKNOWN_MS));
        assert!(!may_have(true, 0, 1), "it had taken nothing");
        assert!(
            !may_have(false, 7, 1),
            "what was under way is gone with its log"
        );
    }
}
