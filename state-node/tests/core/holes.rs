//! Holes in `inbound`, and what edges hear of how far the partition is (R42).

use xp_protocol::flow::NOTICE;
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound};
use xp_protocol::{DialAttempt, Offset, codec};

use crate::desk::{ANA, BEN, Desk, Left, Socket};
use crate::records::add;

/// What the edges were told has been taken.
fn told(desk: &Desk) -> Vec<u64> {
    let header = |left: &Left| codec::decode::<Outbound>(&left.record.header).unwrap();
    let item = |left: &Left| header(left).deliveries.remove(0).item;
    let upto = |left: &Left| match item(left) {
        Item::Taken { upto, .. } => upto.0,
        item => panic!("{item:?}"),
    };
    desk.notices.iter().map(upto).collect()
}

/// Two sessions are attached; then `inbound` drops everything before offset 10 before it is read.
fn overrun() -> Desk {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(BEN, None);
    desk.settle();
    desk.heard();
    desk.left.clear();
    desk.reads_inbound = None;
    desk.core.missed(Offset(10), desk.at());
    desk.perform();
    desk.inbound = 10;
    desk
}

#[test]
fn a_partition_goes_on_behind_a_hole_once_the_edges_are_asked() {
    let mut desk = overrun();
    assert_eq!(desk.asked(), [(1, 1), (2, 1)]);
    assert!(!desk.core.wants_inbound() && desk.reads_inbound.is_none());
    desk.settle();
    assert_eq!(
        (desk.reads_inbound, desk.over.clone()),
        (Some(Offset(10)), None)
    );
    assert!(desk.core.wants_inbound());
    desk.settle();
    assert_eq!(
        desk.core.fold().inbound.next(),
        Offset(10),
        "the log says so"
    );
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    assert_eq!(desk.state().0, 3);
}

/// The goodbye of a socket was in the hole: its edge says it again, and the session is detached.
#[test]
fn who_said_goodbye_in_a_hole_is_detached_when_the_edge_says_it_again() {
    let mut desk = overrun();
    desk.settle();
    desk.say(BEN, ClientAction::Disconnect { left: false }, "");
    desk.settle();
    desk.send(BEN, 1, &add("b"));
    assert!(desk.appends.is_empty(), "it is attached no more");
}

/// The questions may be lost with the owner, so its position stays before the hole until they have arrived.
#[test]
fn a_successor_finds_a_hole_whose_questions_have_not_arrived() {
    let mut desk = overrun();
    assert!(!desk.asked().is_empty());
    desk.crash();
    desk.own();
    assert_eq!(desk.reads_inbound, Some(Offset(2)));
    // What it asks for other reasons.
    desk.left.clear();
    desk.core.missed(Offset(10), desk.at());
    desk.perform();
    assert_eq!(desk.asked(), [(1, 1), (2, 1)]);
}

/// A question that the log does not take is asked again.
#[test]
fn questions_are_repeated_until_they_arrive() {
    let mut desk = overrun();
    let ids: Vec<_> = desk.left.iter().filter_map(|left| left.id).collect();
    for id in ids {
        desk.core.emitted(id, false, desk.at());
    }
    desk.left.clear();
    desk.pass(100);
    assert_eq!(desk.asked(), [(1, 1), (2, 1)]);
    assert!(desk.reads_inbound.is_none());
    desk.settle();
    assert_eq!(desk.reads_inbound, Some(Offset(10)));
}

/// A Connect that is decided and not committed is asked about too, and not before it is committed (R11).
#[test]
fn nothing_uncommitted_is_asked_about() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.connect(Socket { attempt: 2, ..ANA }, None);
    desk.core.missed(Offset(10), desk.at());
    desk.perform();
    assert!(desk.left.is_empty());
    desk.settle();
    assert_eq!(desk.asked(), [(1, DialAttempt(2).0)]);
}

#[test]
fn a_partition_says_what_it_has_taken_after_much_and_not_before() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    let payload = add(&"x".repeat(60_000));
    for n in 1..=8 {
        desk.send(ANA, n, &payload);
        desk.settle();
    }
    assert!(told(&desk).is_empty(), "less than {NOTICE}");
    desk.send(ANA, 9, &payload);
    assert_eq!(told(&desk), [10]);
    desk.settle();
    desk.crash();
    desk.own();
    assert_eq!(told(&desk), [10], "a successor says where it begins");
}

/// An edge that never heard of it would hold back for ever.
#[test]
fn what_the_edges_must_hear_is_repeated_until_it_arrives() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    for n in 1..=9 {
        desk.send(ANA, n, &add(&"x".repeat(60_000)));
    }
    let id = desk.notices.pop().unwrap().id.unwrap();
    desk.core.emitted(id, false, desk.at());
    desk.pass(100);
    assert_eq!(told(&desk), [10]);
}
