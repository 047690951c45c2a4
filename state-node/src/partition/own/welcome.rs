//! What a session hears outside the chain: its welcome (R31), its refusal, its close.

use std::sync::Arc;

use xp_domain_sdk::host::RosterChange;
use xp_protocol::events::{Answer, Attachment, Cause, Change, TimerKey};
use xp_protocol::outbound::Item;
use xp_protocol::{Address, CloseCode, ConnectionId, FaultCode};

use super::super::{Partition, Unsent};
use crate::draft::{After, Deliveries};
use crate::entity::Session;
use crate::gate::Output;
use crate::turn::{self, Turn, Turned};

impl Partition {
    /// What follows a commit outside the chain, rendered from the state after it (R31).
    pub(super) fn follow_up(&mut self, address: &Address, after: After) {
        match after {
            After::Welcome(connection) => self.welcome(address, connection),
            After::Resume(connection, since) => self.resume(address, connection, since, true),
        }
    }

    pub(super) fn welcome(&mut self, address: &Address, connection: ConnectionId) {
        if self.owner().is_none_or(|owner| owner.spoilt) {
            return;
        }
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let limits = Arc::clone(&self.setting.limits);
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let Some(session) = entity.runtime.session(connection) else {
            return;
        };
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause: Cause::Timer(TimerKey::Grace(connection)),
            now: entity.runtime.now,
            // A welcome draws nothing that must be the same again: it is never logged (R31).
            seed: entity.runtime.revision.0,
            trace: None,
            rules: self.setting.rules,
            poisonous: false,
        };
        let outputs = turn::welcome(&turn, entity, session);
        self.put_plain(address, outputs);
    }

    /// R31: a session that began with a commit whose effects may not have gone out is welcomed anew, from
    /// the state as it is now.
    pub(super) fn welcome_again(&mut self, unsent: &Unsent) {
        for change in &unsent.commit.changes {
            let Change::SessionBegun(begun) = change else {
                continue;
            };
            if let Err(reason) = self.load(&unsent.address) {
                return self.set_aside(&reason);
            }
            let Some(entity) = self.entities.get(&unsent.address) else {
                continue;
            };
            let session = entity.runtime.session(begun.connection);
            if session.is_some_and(|session| session.is_socket(begun.attempt)) {
                self.welcome(&unsent.address, begun.connection);
            }
        }
    }

    pub(super) fn put_plain(&mut self, address: &Address, outputs: Deliveries) {
        for (partition, record) in outputs.records(address, &Default::default()) {
            self.put_behind(Output::Plain(partition, record));
        }
    }

    pub(super) fn close_plain(&mut self, address: &Address, session: &Session, code: CloseCode) {
        let mut outputs = Deliveries::default();
        outputs.to_session(session, Item::Close { code }, &[]);
        self.put_plain(address, outputs);
    }

    /// A connection whose `connected` came to too much: neither commit nor session remains.
    pub(super) fn refuse_begun(&mut self, address: &Address, wanted: &Attachment, code: FaultCode) {
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let Some(entity) = self.entities.get_mut(address) else {
            return;
        };
        let gone = RosterChange::Ended(wanted.connection);
        entity
            .instance
            .roster(&gone)
            .expect("leaving the roster reads no bytes");
        let revision = entity.runtime.revision;
        let forgettable = entity.runtime.is_forgettable();
        let refused = turn::refuse(wanted, revision, host.is_text(), &Answer::Fault(code));
        if let Turned::Unlogged { outputs, .. } = refused {
            self.put_plain(address, outputs);
        }
        self.forget_if(address, forgettable);
    }
}
