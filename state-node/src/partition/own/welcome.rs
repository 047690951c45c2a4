//! What a session hears outside the chain: its welcome (R31), its refusal, its close.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_domain_sdk::host::{RosterChange, Welcome};
use xp_protocol::events::{Attachment, Cause, Change, TimerKey};
use xp_protocol::outbound::{Item, Recipients, Socket};
use xp_protocol::{
    Address, Attempt, CloseCode, ConnectionId, Incarnation, MessageNumber, PartitionId,
};

use super::super::{Partition, Unsent};
use crate::draft::{After, Deliveries, Failure, socket};
use crate::entity::Session;
use crate::gate::Output;
use crate::turn::{self, No, Turn, Turned};

/// What a rendering counts at the least, in bytes.
const GREETING_BYTES: usize = 1024;
/// So many sockets are named by one record at the most.
const SOCKETS_TOGETHER: usize = 256;

impl Partition {
    /// What follows a commit outside the chain, rendered from the state after it (R31).
    pub(super) fn follow_up(&mut self, address: &Address, after: After) {
        match after {
            After::Welcome(connection) => self.welcome(address, connection),
            After::Resume(connection, since) => self.resume(address, connection, since, true),
            After::Close(connection) => {
                if let Some(session) = self.session(address, connection).cloned() {
                    self.close_plain(address, &session, CloseCode::Terminated);
                }
            }
        }
    }

    /// The session is welcomed as soon as there is room, with all others of the entity that wait (R41).
    pub(super) fn welcome(&mut self, address: &Address, connection: ConnectionId) {
        let waiting_max = self.setting.limits.waiting_max;
        let session = self.session(address, connection).cloned();
        let (Some(session), Some(owner)) = (session, self.owner()) else {
            return;
        };
        if owner.welcomes.len() >= waiting_max {
            return self.close_plain(address, &session, CloseCode::ComeBack);
        }
        owner
            .welcomes
            .push(address, connection, session.socket.attempt);
    }

    /// Renders what may be rendered now: no more at once than may be under way, so that a crowd before a large entity
    /// holds up nobody for long.
    pub(super) fn greet(&mut self) {
        let flight = self.setting.limits.large_flight_bytes_max;
        let (mut left, mut rendered) =
            (self.owner().map_or(0, |owner| owner.welcomes.entities()), 0);
        while left > 0 && rendered < flight && self.has_room() {
            left -= 1;
            let Some((address, waiting)) = self.owner().and_then(|owner| owner.welcomes.pop())
            else {
                return;
            };
            rendered += self.greet_all(&address, waiting, flight - rendered);
        }
    }

    /// Whether more that is large may be made; what is made waits in memory.
    pub(super) fn has_room(&mut self) -> bool {
        let max = self.setting.limits.large_bytes_max;
        self.owner()
            .is_some_and(|owner| !owner.spoilt && owner.large.bytes() < max)
    }

    /// Whether a subject may have more under way.
    pub(super) fn may_have_more(&mut self, subject: &str) -> bool {
        let max = self.setting.limits.subject_bytes_max;
        self.owner()
            .is_some_and(|owner| owner.large.bytes_of(subject) < max)
    }

    /// Welcomes an entity's sessions. What is the same for all is rendered once. Gives the bytes that were rendered.
    fn greet_all(
        &mut self,
        address: &Address,
        waiting: Vec<(ConnectionId, Attempt)>,
        most: usize,
    ) -> usize {
        let (mut rendered, mut common) = (0, None);
        let mut groups: BTreeMap<_, Vec<Socket>> = BTreeMap::new();
        for (connection, attempt) in waiting {
            let session = self.session(address, connection).cloned();
            let Some(session) = session.filter(|session| session.is_socket(attempt)) else {
                continue;
            };
            if common.is_none()
                && (rendered >= most || !self.may_have_more(&session.socket.subject))
            {
                if let Some(owner) = self.owner() {
                    owner.welcomes.push(address, connection, attempt);
                }
                continue;
            }
            if common.is_none() {
                let Some(welcome) = self.render(address, &session) else {
                    continue;
                };
                // One that says little still costs a turn.
                rendered += welcome.shown.len().max(GREETING_BYTES);
                if !welcome.for_all {
                    let payer = Some(session.socket.subject.clone());
                    self.put_welcome(
                        address,
                        &session,
                        vec![socket(&session)],
                        &welcome.shown,
                        payer,
                    );
                    continue;
                }
                common = Some(welcome);
            }
            let at = (session.socket.outbound, session.socket.edge, session.n);
            groups.entry(at).or_default().push(socket(&session));
        }
        if let Some(welcome) = common {
            self.put_groups(address, groups, &welcome.shown);
        }
        rendered
    }

    /// The same welcome for all who have taken as many commands and are on the same edge.
    fn put_groups(
        &mut self,
        address: &Address,
        groups: BTreeMap<(PartitionId, Incarnation, MessageNumber), Vec<Socket>>,
        shown: &[u8],
    ) {
        for sockets in groups.into_values() {
            for together in sockets.chunks(SOCKETS_TOGETHER) {
                let first = self.session(address, together[0].connection).cloned();
                if let Some(session) = first {
                    self.put_welcome(address, &session, together.to_vec(), shown, None);
                }
            }
        }
    }

    fn put_welcome(
        &mut self,
        address: &Address,
        session: &Session,
        to: Vec<Socket>,
        shown: &[u8],
        payer: Option<Box<str>>,
    ) {
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let Some(host) = self.setting.domain.get(address.category()) else {
            return;
        };
        let item = Item::Welcome {
            edge: session.socket.edge,
            revision: entity.runtime.revision,
            n: session.n,
            text: host.is_text(),
        };
        let mut outputs = Deliveries::default();
        let at = Some(session.socket.outbound);
        outputs.push(at, Recipients::Only(to), item, shown);
        let large = shown.len() > self.setting.limits.piece_bytes() / 2;
        for (partition, record) in outputs.records(address, &Default::default()) {
            if large {
                self.put_large((partition, record), payer.clone());
            } else {
                self.put_behind(Output::Plain(partition, record));
            }
        }
    }

    /// What the session is shown first. When the entity cannot say it, the session hears so.
    fn render(&mut self, address: &Address, session: &Session) -> Option<Welcome> {
        let host = self.setting.domain.get(address.category()).cloned()?;
        let limits = Arc::clone(&self.setting.limits);
        let entity = self.entities.get(address)?;
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause: Cause::Timer(TimerKey::Grace(session.socket.connection)),
            now: entity.runtime.now,
            // A welcome draws nothing that must be the same again: it is never logged (R31).
            seed: entity.runtime.revision.0,
            trace: None,
            rules: self.setting.rules,
            poisonous: false,
        };
        match turn::welcome(&turn, entity, session) {
            Ok(welcome) => Some(welcome),
            Err(failure) => {
                let outputs = turn::unwelcome(entity, session, &failure);
                self.put_plain(address, outputs);
                None
            }
        }
    }

    pub(super) fn session(&self, address: &Address, connection: ConnectionId) -> Option<&Session> {
        self.entities.get(address)?.runtime.session(connection)
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
    pub(super) fn refuse_begun(
        &mut self,
        address: &Address,
        wanted: &Attachment,
        failure: Failure,
    ) {
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
        let refused = turn::refuse(wanted, revision, host.is_text(), &No::Fault(failure));
        if let Turned::Unlogged { outputs, .. } = refused {
            self.put_plain(address, outputs);
        }
        self.forget_if(address, forgettable);
    }
}
