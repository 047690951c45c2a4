//! R27: which dial of a client has its session, also where its clock was put right.

use crate::desk::{ANA, Desk, Socket};

const fn dial(attempt: u64) -> Socket {
    Socket { attempt, ..ANA }
}

fn gone(desk: &mut Desk, attempt: u64) {
    let lost = xp_protocol::inbound::Action::Disconnect { left: false };
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
