//! Goodbyes that came before their dial (R27).

use std::collections::VecDeque;

use xp_protocol::Address;
use xp_protocol::outbound::Socket;

/// How many goodbyes are remembered that came before their dial.
const GOODBYES_MAX: usize = 1_024;

/// Goodbyes of sockets that no session had: their dials are on their way, or were never to arrive. The oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Goodbyes(VecDeque<(Address, Socket)>);

impl Goodbyes {
    pub(super) fn note(&mut self, address: &Address, socket: Socket) {
        if self.0.len() == GOODBYES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((address.clone(), socket));
    }

    pub(super) fn has(&self, address: &Address, socket: Socket) -> bool {
        let mut all = self.0.iter();
        all.any(|(of, gone)| *gone == socket && of == address)
    }
}
