//! Sessions that wait to hear something outside the chain: their welcome (R31), or what they missed (R20, R21).

mod welcomes;
mod resumes;

use std::collections::{BTreeMap, VecDeque};

use xp_protocol::{Address, CloseCode, ConnectionId, DialAttempt, Offset};

use super::super::core::Core;
use super::outbox::Outbox;
use crate::draft::After;
use resumes::Resumes;

/// Who waits, for what.
#[derive(Default)]
pub(super) struct Sessions {
    welcomes: Welcomes,
    resumes: Resumes,
}

impl Sessions {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.welcomes.len() + self.resumes.waiting()
    }

    /// What follows a commit outside the chain, rendered from the state after it (R31).
    pub(super) fn follow_up(
        &mut self,
        core: &Core,
        outbox: &mut Outbox,
        address: &Address,
        after: After,
    ) {
        match after {
            After::Welcome(connection) => self.welcome(core, outbox, address, connection),
            After::Resume(connection, since) => {
                self.resume(core, outbox, address, (connection, since, true));
            }
            After::Close(connection) => {
                if let Some(session) = core.session(address, connection) {
                    outbox.close_plain(core, address, session, CloseCode::Terminated);
                }
            }
        }
    }

    /// Lets as many hear what they wait for as there is room for; records of ours in the log end before `end`.
    pub(super) fn serve(&mut self, core: &mut Core, outbox: &mut Outbox, end: Offset) {
        self.greet(core, outbox);
        self.resume_waiting(core, outbox, end);
    }
}

/// Sessions that wait to be welcomed, those of one entity together, the entity that has waited longest first.
#[derive(Default)]
struct Welcomes {
    order: VecDeque<Address>,
    waiting: BTreeMap<Address, Vec<(ConnectionId, DialAttempt)>>,
    count: usize,
}

impl Welcomes {
    fn len(&self) -> usize {
        self.count
    }

    /// How many entities' sessions wait.
    fn entities(&self) -> usize {
        self.order.len()
    }

    fn push(&mut self, address: &Address, connection: ConnectionId, attempt: DialAttempt) {
        if !self.waiting.contains_key(address) {
            self.order.push_back(address.clone());
        }
        let waiting = self.waiting.entry(address.clone()).or_default();
        if !waiting.contains(&(connection, attempt)) {
            waiting.push((connection, attempt));
            self.count += 1;
        }
    }

    fn pop(&mut self) -> Option<(Address, Vec<(ConnectionId, DialAttempt)>)> {
        let address = self.order.pop_front()?;
        let waiting = self.waiting.remove(&address).unwrap_or_default();
        self.count -= waiting.len();
        Some((address, waiting))
    }
}
