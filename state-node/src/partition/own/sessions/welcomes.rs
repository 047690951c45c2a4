//! Welcomes: what a session is shown first, rendered when there is room (R31, R41).

use std::collections::BTreeMap;

use bytes::Bytes;
use xp_domain_sdk::host::Welcome;
use xp_protocol::events::{Cause, Change, Routed, TimerKey};
use xp_protocol::outbound::{Delivery, Item, Recipients, Socket};
use xp_protocol::rules::Rule;
use xp_protocol::{
    Address, CloseCode, ConnectionId, DialAttempt, Incarnation, MessageNumber, PartitionId,
};

use super::super::super::core::{Core, Unsent};
use super::super::super::exit::Step;
use super::super::outbox::Outbox;
use super::super::sockets::ask_of;
use super::Sessions;
use crate::draft::{outbound, socket};
use crate::entity::Session;
use crate::gate::Output;
use crate::trigger::Trigger;
use crate::turn::{self, Turn};

/// What a rendering counts at the least, in bytes.
const GREETING_BYTES: usize = 1024;
/// So many sockets are named by one record at the most.
const SOCKETS_TOGETHER: usize = 256;

impl Sessions {
    /// The session is welcomed as soon as there is room, with all others of the entity that wait (R41).
    pub(super) fn welcome(
        &mut self,
        core: &Core,
        outbox: &mut Outbox,
        address: &Address,
        connection: ConnectionId,
    ) {
        let Some(session) = core.session(address, connection) else {
            return;
        };
        if self.welcomes.len() >= core.setting.limits.large.waiting_max {
            return outbox.close_plain(core, address, session, CloseCode::ComeBack);
        }
        let attempt = session.socket.attempt;
        self.welcomes.push(address, connection, attempt);
    }

    /// Renders what may be rendered now: no more at once than may be under way, so that a crowd before a large entity
    /// holds up nobody for long.
    pub(super) fn greet(&mut self, core: &Core, outbox: &mut Outbox) {
        let flight = core.setting.limits.large.flight_bytes_max.bytes();
        let (mut left, mut rendered) = (self.welcomes.entities(), 0);
        while left > 0 && rendered < flight && outbox.has_room(core) {
            left -= 1;
            let Some((address, waiting)) = self.welcomes.pop() else {
                return;
            };
            rendered += self.greet_all(core, outbox, &address, waiting, flight - rendered);
        }
    }

    /// Welcomes an entity's sessions. What is the same for all is rendered once. Gives the bytes that were rendered.
    fn greet_all(
        &mut self,
        core: &Core,
        outbox: &mut Outbox,
        address: &Address,
        waiting: Vec<(ConnectionId, DialAttempt)>,
        most: usize,
    ) -> usize {
        let (mut rendered, mut common) = (0, None);
        let mut groups: BTreeMap<_, Vec<Socket>> = BTreeMap::new();
        for (connection, attempt) in waiting {
            let session = core.session(address, connection);
            let Some(session) = session.filter(|session| session.is_socket(attempt)) else {
                continue;
            };
            if common.is_none() {
                let subject = &session.socket.subject;
                if rendered >= most || !outbox.may_have_more(core, subject) {
                    self.welcomes.push(address, connection, attempt);
                    continue;
                }
                let Some(welcome) = render(core, outbox, address, session) else {
                    continue;
                };
                // One that says little still costs a turn.
                rendered += welcome.shown.len().max(GREETING_BYTES);
                if !welcome.for_all {
                    let (to, payer) = (vec![socket(session)], Some(subject.clone()));
                    put_welcome(core, outbox, address, session, (to, payer), &welcome.shown);
                    continue;
                }
                common = Some(welcome);
            }
            let at = (session.socket.outbound, session.socket.edge, session.n);
            groups.entry(at).or_default().push(socket(session));
        }
        if let Some(welcome) = common {
            put_groups(core, outbox, address, groups, &welcome.shown);
        }
        rendered
    }

    /// R31: a session that began with a commit whose effects may not have gone out is welcomed anew, from
    /// the state as it is now. R27: whether its dial, or that of a session that came back, was late, the former owner may
    /// have wanted to ask; a question that went with it nobody else would ask.
    pub(in super::super) fn welcome_again(
        &mut self,
        core: &mut Core,
        outbox: &mut Outbox,
        unsent: &Unsent,
    ) -> Step {
        for change in &unsent.commit.changes {
            let (came, begins) = match change {
                Change::SessionBegun(came) => (came, true),
                Change::SessionAttached(came) => (came, false),
                _ => continue,
            };
            core.require(&unsent.address)?;
            let session = core.session(&unsent.address, came.connection);
            if session.is_none_or(|session| !session.is_socket(came.attempt)) {
                continue;
            }
            if begins {
                self.welcome(core, outbox, &unsent.address, came.connection);
            }
            if core.holds(Rule::AskOfLateDials) {
                let (connection, attempt) = (came.connection, came.attempt);
                let socket = Socket {
                    connection,
                    attempt,
                };
                ask_of(core, outbox, &unsent.address, socket);
            }
        }
        Ok(())
    }
}

/// The same welcome for all who have taken as many commands and are on the same edge.
fn put_groups(
    core: &Core,
    outbox: &mut Outbox,
    address: &Address,
    groups: BTreeMap<(PartitionId, Incarnation, MessageNumber), Vec<Socket>>,
    shown: &Bytes,
) {
    for sockets in groups.into_values() {
        for together in sockets.chunks(SOCKETS_TOGETHER) {
            if let Some(session) = core.session(address, together[0].connection) {
                let to = together.to_vec();
                put_welcome(core, outbox, address, session, (to, None), shown);
            }
        }
    }
}

/// Puts what a session is shown first at the gate, for these sockets.
fn put_welcome(
    core: &Core,
    outbox: &mut Outbox,
    address: &Address,
    session: &Session,
    (to, payer): (Vec<Socket>, Option<Box<str>>),
    shown: &Bytes,
) {
    let Some(entity) = core.residents.get(address) else {
        return;
    };
    let Some(host) = core.setting.domain.get(address.category()) else {
        return;
    };
    let item = Item::Welcome {
        edge: session.socket.edge,
        revision: entity.runtime.revision,
        n: session.n,
        text: host.is_text(),
    };
    let partition = session.socket.outbound;
    let delivery = Delivery {
        to: Recipients::Only(to),
        item,
        payload_bytes: u32::try_from(shown.len()).expect("a welcome is bounded far below 4 GiB"),
    };
    let welcome = Routed {
        partition: Some(partition),
        delivery,
    };
    // The record holds these very bytes, as do those for others: a crowd before a large entity is no heap of copies.
    let record = outbound(address, partition, None, &[welcome], shown);
    if shown.len() > core.setting.limits.piece_bytes() / 2 {
        outbox.put_large(core, (partition, record), payer);
    } else {
        outbox.put(core, Output::Plain(partition, record));
    }
}

/// What the session is shown first. When the entity cannot say it, the session hears so.
fn render(
    core: &Core,
    outbox: &mut Outbox,
    address: &Address,
    session: &Session,
) -> Option<Welcome> {
    let host = core.setting.domain.get(address.category())?;
    let entity = core.residents.get(address)?;
    let cause = Cause::Timer(TimerKey::Grace(session.socket.connection));
    // A welcome draws nothing that must be the same again: it is never logged (R31).
    let seed = entity.runtime.revision.0;
    let trigger = Trigger::new(cause, entity.runtime.now, seed, None);
    let turn = Turn {
        address,
        host: host.as_ref(),
        limits: &core.setting.limits,
        explains: core.setting.explains,
        trigger,
        rules: core.setting.rules,
        poisonous: false,
    };
    match turn::welcome(&turn, entity, session) {
        Ok(welcome) => Some(welcome),
        Err(failure) => {
            let outputs = turn::unwelcome(entity, session, &failure);
            outbox.put_plain(core, address, outputs);
            None
        }
    }
}
