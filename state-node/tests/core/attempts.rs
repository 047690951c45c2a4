//! R27: which dial of a client has its session, also where its clock was put right.

use crate::desk::{ANA, Desk, Socket};

const fn dial(attempt: u64) -> Socket {
    Socket { attempt, ..ANA }
}

fn gone(desk: &mut Desk, attempt: u64) {
    let lost = xp_protocol::inbound::ClientAction::Disconnect { left: false };
    desk.say(dial(attempt), lost, "");
    desk.settle();
}

fn comes(desk: &mut Desk, attempt: u64) -> String {
    desk.connect(dial(attempt), None);
    desk.settle();
    desk.heard().concat()
}

/// A dial of the time before that was still under way took the session, and its client was told `replaced`.
#[test]
fn a_late_dial_of_a_clock_that_was_put_right_takes_nothing_from_the_socket_of_now() {
    let mut desk = Desk::owning();
    assert!(comes(&mut desk, 1_000).contains("welcome"));
    gone(&mut desk, 1_000);
    assert!(comes(&mut desk, 5).contains("welcome"), "it is put right");
    assert_eq!(comes(&mut desk, 1_001), "", "it is late");
    gone(&mut desk, 1_001);
    // What the clock of now says is newer is newer, and no dial of before is between.
    let heard = comes(&mut desk, 6);
    assert!(
        heard.contains("welcome") && heard.contains("replaced"),
        "{heard}"
    );
    assert_eq!(comes(&mut desk, 1_002), "", "it is late, too");
    // Where nobody has the session, whoever comes in has it.
    gone(&mut desk, 6);
    assert!(comes(&mut desk, 1_003).contains("welcome"));
}

/// A client that counts its dials from the beginning in each process.
#[test]
fn who_counts_up_from_below_is_never_late() {
    let mut desk = Desk::owning();
    for attempt in 1..=4 {
        assert!(comes(&mut desk, attempt).contains("welcome"));
    }
    gone(&mut desk, 4);
    for attempt in 1..=6 {
        assert!(comes(&mut desk, attempt).contains("welcome"), "{attempt}");
    }
}

/// The sockets that the edge is asked for while a dial comes in.
fn asked(desk: &mut Desk, attempt: u64) -> Vec<(u128, u64)> {
    desk.left.clear();
    desk.connect(dial(attempt), None);
    desk.settle();
    desk.asked()
}

/// The log may land a Connect behind its own goodbye, and lose the welcome that its edge would answer.
#[test]
fn the_edge_of_a_dial_that_may_be_late_is_asked_whether_it_holds_the_socket() {
    let mut desk = Desk::owning();
    assert_eq!(asked(&mut desk, 7), []);
    gone(&mut desk, 9);
    assert_eq!(asked(&mut desk, 8), [], "it is another one");
    assert_eq!(asked(&mut desk, 9), [(1, 9)], "its goodbye came before it");
    gone(&mut desk, 9);
    assert_eq!(asked(&mut desk, 9), [(1, 9)], "it lands twice");
    gone(&mut desk, 9);
    assert_eq!(asked(&mut desk, 5), [(1, 5)], "it comes in from below");
    assert_eq!(asked(&mut desk, 6), [(1, 6)], "it may be of before");
    assert_eq!(asked(&mut desk, 9), [(1, 9)], "it lands once more");
    gone(&mut desk, 9);
    assert_eq!(asked(&mut desk, 10), [], "it is newer");
}

/// What the former owner heard of sockets that no session had is in no record of its.
#[test]
fn a_dial_after_a_takeover_may_be_one_whose_goodbye_the_former_owner_heard() {
    let mut desk = Desk::owning();
    gone(&mut desk, 9);
    // That it was taken is recorded.
    desk.pass(1_000);
    desk.settle();
    desk.crash();
    desk.own();
    assert_eq!(asked(&mut desk, 9), [(1, 9)]);
    gone(&mut desk, 9);
    desk.pass(10_000);
    desk.settle();
    assert_eq!(asked(&mut desk, 10), [], "no dial is under way for so long");
}
