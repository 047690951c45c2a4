//! Sockets of sessions: which of them a lost edge takes along (R8, R29), and questions to the edges which they hold.
//!
//! A dial may be late: the log may land a Connect behind its own goodbye. Who attached the session by it would hold it for
//! ever, because nobody says goodbye twice, and the welcome, which the edge would answer, may be lost. So the edge is asked
//! whether it holds the socket, by a question that is not lost (R27, R28).

use std::collections::{BTreeMap, BTreeSet};

use xp_protocol::events::Attachment;
use xp_protocol::outbound::{Item, Recipients, Socket};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, ConnectionId, Incarnation, PartitionId};
use xp_transport::Now;

use super::super::core::Core;
use super::super::exit::Step;
use super::goodbyes::Goodbyes;
use super::outbox::Outbox;
use crate::draft::Deliveries;
use crate::gate::Output;

/// How many sockets one question names: some 40 KB.
const SOCKETS_MAX: usize = 1_000;

/// Each edge is asked for the sockets that count as attached.
pub(super) fn ask_edges(core: &mut Core, outbox: &mut Outbox) -> Step {
    let quarantined = core.quarantines.addresses();
    let quarantined = quarantined.flat_map(|address| edges_of(core, address));
    let watched = core.residents.index.watched().cloned();
    let watched: Vec<_> = watched.chain(quarantined).collect();
    for (edge, address) in watched {
        core.require(&address)?;
        for (partition, sockets) in attached(core, &address, edge) {
            for sockets in sockets.chunks(SOCKETS_MAX) {
                ask_edge(core, outbox, &address, (edge, partition), sockets);
            }
        }
    }
    Ok(())
}

/// The edges of an entity in quarantine, which nothing wakes: what they answer is parked (R44).
fn edges_of(core: &Core, address: &Address) -> BTreeSet<(Incarnation, Address)> {
    let entity = core.residents.get(address).into_iter();
    let sessions = entity.flat_map(|entity| entity.runtime.sessions());
    let attached = sessions.filter(|session| session.is_attached());
    attached
        .map(|session| (session.socket.edge, address.clone()))
        .collect()
}

fn ask_edge(
    core: &Core,
    outbox: &mut Outbox,
    address: &Address,
    (edge, partition): (Incarnation, PartitionId),
    sockets: &[Socket],
) {
    let mut question = Deliveries::default();
    let to = Recipients::Only(sockets.to_vec());
    question.push(Some(partition), to, Item::StillThere { edge }, &[]);
    for (partition, record) in question.records(address, &Default::default()) {
        outbox.put(core, Output::Chain(partition, record));
    }
}

/// An entity's attached sockets on one edge, by where it listens.
fn attached(
    core: &Core,
    address: &Address,
    edge: Incarnation,
) -> BTreeMap<PartitionId, Vec<Socket>> {
    let entity = core.residents.get(address).into_iter();
    let sessions = entity.flat_map(|entity| entity.runtime.sessions());
    let mut attached: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for session in sessions.filter(|session| session.is_attached()) {
        let Attachment {
            connection,
            attempt,
            outbound,
            ..
        } = session.socket;
        if session.socket.edge == edge {
            attached.entry(outbound).or_default().push(Socket {
                connection,
                attempt,
            });
        }
    }
    attached
}

/// The edges that hold sessions of entities and are members no longer, each with each of these entities.
pub(super) fn of_lost_edges(core: &Core) -> Vec<(Incarnation, Address)> {
    let members = &core.placement.members;
    let watched = core.residents.index.watched();
    let lost = watched.filter(|(edge, _)| !members.is_alive(*edge));
    lost.cloned().collect()
}

/// The sessions that an entity has on an edge, and has lost with it (R29).
pub(super) fn lost_sessions(
    core: &Core,
    address: &Address,
    edge: Incarnation,
) -> Vec<ConnectionId> {
    let members = &core.placement.members;
    let entity = core.residents.get(address).into_iter();
    let sessions = entity.flat_map(|entity| entity.runtime.sessions());
    sessions
        .filter(|session| session.is_attached() && session.socket.edge == edge)
        .filter(|session| members.has_lost(edge, session.socket.joined))
        .map(|session| session.socket.connection)
        .collect()
}

/// A goodbye has come: of a dial that its session has not seen yet, it is remembered. Others are doubted anyway.
pub(super) fn note_goodbye(
    core: &Core,
    goodbyes: &mut Goodbyes,
    address: &Address,
    socket: Socket,
) {
    let session = core.session(address, socket.connection);
    if session.is_none_or(|session| session.is_before(socket.attempt)) {
        goodbyes.note(address, socket);
    }
}

/// The socket of a dial that may be late: it is no later than the last one, or has said goodbye already.
pub(super) fn doubt(
    core: &Core,
    goodbyes: &Goodbyes,
    address: &Address,
    wanted: &Attachment,
    now: Now,
) -> Option<Socket> {
    let socket = Socket {
        connection: wanted.connection,
        attempt: wanted.attempt,
    };
    let session = core.session(address, wanted.connection);
    let is_known = session.is_some_and(|session| session.may_have_had(wanted.attempt));
    let is_doubtful = is_known || goodbyes.may_have(address, socket, now.running);
    (is_doubtful && core.holds(Rule::AskOfLateDials)).then_some(socket)
}

/// The edge of a session is asked whether it holds this socket, if the session has it now.
pub(super) fn ask_of(core: &Core, outbox: &mut Outbox, address: &Address, socket: Socket) {
    let session = core.session(address, socket.connection);
    let Some(session) = session.filter(|session| session.is_socket(socket.attempt)) else {
        return;
    };
    let at = (session.socket.edge, session.socket.outbound);
    ask_edge(core, outbox, address, at, &[socket]);
}
