//! Sockets that lost their session without having heard of it (R23).

use xp_protocol::events::Change;
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{CloseCode, PartitionId, Revision, codec};

use crate::desk::{ANA, Desk, Left, Socket};

const OTHER: u128 = 800;
const ITS: PartitionId = PartitionId(1);

/// Somebody's session had a socket at one edge.
fn at_the_other_edge(desk: &mut Desk) -> Socket {
    desk.join_edge_reading(OTHER, ITS);
    let former = Socket { edge: OTHER, ..ANA };
    desk.connect(former, None);
    desk.settle();
    former
}

/// Whether a word that left closes a socket on the partition that the other edge reads.
fn closes(left: &Left, of: Socket) -> bool {
    let header: Outbound = codec::decode(&left.record.header).unwrap();
    let come_back = Item::Close {
        code: CloseCode::ComeBack,
    };
    let its = |to: &Recipients| *to == Recipients::Only(vec![of.socket()]);
    let mut deliveries = header.deliveries.iter();
    left.partition == ITS && deliveries.any(|at| at.item == come_back && its(&at.to))
}

/// An edge that missed something asks for a socket.
fn resume(desk: &mut Desk, of: Socket) {
    desk.heard();
    let since = Revision(1);
    desk.say(of, ClientAction::Resume { since }, "");
    desk.settle();
}

/// The close in the chain may be among what an edge has missed, so who asks is told where it listens.
#[test]
fn a_resume_for_a_socket_that_was_replaced_is_closed_at_the_edge_that_asks() {
    let mut desk = Desk::owning();
    let former = at_the_other_edge(&mut desk);
    desk.connect(Socket { attempt: 2, ..ANA }, Some(1));
    desk.settle();
    resume(&mut desk, former);
    assert!(desk.left.iter().any(|left| closes(left, former)));
}

#[test]
fn a_resume_for_a_session_that_was_forgotten_is_closed() {
    let mut desk = Desk::owning();
    let former = at_the_other_edge(&mut desk);
    desk.say(former, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    desk.pass(1_000);
    desk.settle();
    desk.pass(desk.limits.sessions.memory.ms());
    desk.settle();
    let last = desk.commits().pop().expect("it was there");
    assert_eq!(last.changes, [Change::SessionForgotten(ANA.id())]);
    resume(&mut desk, former);
    assert!(desk.left.iter().any(|left| closes(left, former)));
}
