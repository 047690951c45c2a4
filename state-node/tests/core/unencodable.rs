//! States that cannot be encoded: told of before the append where that is cheap, and never lost.

use crate::desk::{ANA, BEN, Desk, Socket};
use crate::records::add;
use xp_state_node::snapshot;

const PAINTER: Socket = Socket {
    entity: "grid/1",
    ..ANA
};

const SET: &str = r#"{"type":"Set","data":{"x":1,"y":2}}"#;
const MARK: &str = r#"{"type":"Mark","data":{"text":"m"}}"#;
const DIVIDE: &str = r#"{"type":"Divide","data":{"by":0.0}}"#;
const RESET: &str = r#"{"type":"Reset"}"#;

fn painting() -> Desk {
    let mut desk = Desk::owning();
    desk.connect(PAINTER, None);
    desk.settle();
    desk.heard();
    desk
}

/// The answer to a command.
fn answer(desk: &mut Desk, n: u64, command: &str) -> String {
    desk.heard();
    desk.send(PAINTER, n, command);
    desk.settle();
    desk.heard().concat()
}

/// Cuts and writes a snapshot.
fn store(desk: &mut Desk) {
    desk.pass(1000);
    desk.settle();
    assert!(!desk.saves.is_empty(), "no snapshot was cut");
    desk.save();
}

/// How many events stand behind the stored state.
fn unapplied(desk: &Desk) -> usize {
    let record = desk.store.entity(&PAINTER.entity.parse().unwrap());
    let record = record.unwrap().expect("it is stored");
    snapshot::stored(&record).unwrap().unapplied.len()
}

#[test]
fn a_state_without_a_form_is_a_fault_at_its_first_commit() {
    let mut desk = painting();
    assert!(answer(&mut desk, 1, SET).contains("misuse"));
    assert_eq!(desk.over, None, "its neighbours are not disturbed");
    assert!(answer(&mut desk, 2, MARK).contains("reply"));
    assert!(
        answer(&mut desk, 3, MARK).contains('1'),
        "what could be kept is"
    );
    store(&mut desk);
    assert_eq!(unapplied(&desk), 0);
}

#[test]
fn an_entity_that_came_from_a_snapshot_is_put_back_as_it_was_there() {
    let mut desk = painting();
    answer(&mut desk, 1, MARK);
    store(&mut desk);
    desk.crash();
    desk.own();
    assert!(answer(&mut desk, 2, SET).contains("misuse"));
    assert_eq!(desk.over, None);
    assert!(answer(&mut desk, 3, MARK).contains('1'));
}

/// What was acknowledged before anybody could know is kept: the former state, and the events since.
#[test]
fn a_float_that_becomes_no_number_costs_no_acknowledged_event() {
    let mut desk = painting();
    answer(&mut desk, 1, MARK);
    assert!(answer(&mut desk, 2, DIVIDE).contains("reply"));
    store(&mut desk);
    assert_eq!(unapplied(&desk), 2);
    assert!(
        answer(&mut desk, 3, MARK).contains("misuse"),
        "now it is known"
    );
    desk.crash();
    assert!(
        desk.core.next_event().unwrap().0 > 1,
        "the snapshot is used"
    );
    desk.own();
    assert!(answer(&mut desk, 4, MARK).contains("misuse"));
    assert!(
        answer(&mut desk, 5, RESET).contains('1'),
        "nothing is missing"
    );
    assert!(answer(&mut desk, 6, MARK).contains("reply"));
    store(&mut desk);
    assert_eq!(unapplied(&desk), 0, "it is whole again");
    desk.crash();
    desk.own();
    assert!(answer(&mut desk, 7, MARK).contains('2'));
}

#[test]
fn a_snapshot_that_was_not_written_is_no_base_to_go_on_from() {
    let mut desk = painting();
    answer(&mut desk, 1, MARK);
    store(&mut desk);
    answer(&mut desk, 2, MARK);
    desk.pass(1000);
    desk.settle();
    assert_eq!(std::mem::take(&mut desk.saves).len(), 1);
    desk.core.saved(false);
    desk.perform();
    answer(&mut desk, 3, DIVIDE);
    store(&mut desk);
    desk.crash();
    desk.own();
    assert!(answer(&mut desk, 4, RESET).contains('2'));
}

/// A follower keeps what the log says, and a snapshot of its own too.
#[test]
fn a_log_whose_state_cannot_be_encoded_is_followed_and_stored() {
    let mut desk = painting();
    answer(&mut desk, 1, MARK);
    answer(&mut desk, 2, DIVIDE);
    desk.connect(BEN, None);
    desk.send(BEN, 1, &add("b"));
    desk.settle();
    desk.store.clear().unwrap();
    desk.crash();
    desk.replay();
    desk.pass(1000);
    desk.save();
    desk.crash();
    assert!(desk.core.next_event().unwrap().0 > 1);
    desk.own();
    assert!(answer(&mut desk, 3, RESET).contains('1'));
    assert!(desk.state().1.contains(r#""b""#));
}
