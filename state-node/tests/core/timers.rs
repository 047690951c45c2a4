//! Timers of the domain whose time is now or past.

use xp_protocol::Address;
use xp_protocol::events::{Cause, TimerKey};

use crate::desk::{ANA, Desk, Socket};

const VISITOR: Socket = Socket {
    entity: "room/1",
    ..ANA
};

/// A room whose timer is set to a time, and by each firing to the same time again.
fn ringing(before_ms: u64, after_ms: u64, times: usize) -> Desk {
    let mut desk = Desk::owning();
    desk.connect(VISITOR, None);
    let at_ms = desk.now.0 - before_ms + after_ms;
    let command = format!(r#"{{"Again":{{"at_ms":{at_ms},"times":{times}}}}}"#);
    desk.send(VISITOR, 1, &command);
    desk.settle();
    desk
}

fn fired(desk: &Desk) -> usize {
    let timers = desk.commits().into_iter();
    let timers =
        timers.filter(|commit| commit.cause == Cause::Timer(TimerKey::Domain("again".into())));
    timers.count()
}

/// The time passes a little, some times.
fn ticks(desk: &mut Desk, count: usize) {
    for _ in 0..count {
        desk.pass(1);
        desk.settle();
    }
}

#[test]
fn a_timer_that_is_set_to_now_or_to_the_past_fires() {
    for before_ms in [0, 500] {
        let mut desk = ringing(before_ms, 0, 1);
        ticks(&mut desk, 3);
        // The last firing sets nothing.
        assert_eq!(fired(&desk), 2);
    }
}

#[test]
fn a_timer_that_its_firing_sets_to_the_same_time_again_fires_again() {
    let mut desk = ringing(0, 100, 3);
    ticks(&mut desk, 99);
    assert_eq!(fired(&desk), 0, "never before it is due");
    ticks(&mut desk, 10);
    assert_eq!(fired(&desk), 4);
}

/// As it would after a takeover.
#[test]
fn what_is_due_in_memory_is_due_on_disk() {
    let mut desk = ringing(0, 100, 2);
    ticks(&mut desk, 100);
    desk.crash();
    desk.own();
    ticks(&mut desk, 5);
    assert_eq!(fired(&desk), 3);
}

/// Each call fires what was due when it began: messages and other timers come between.
#[test]
fn a_timer_that_is_always_past_keeps_nobody_waiting() {
    let mut desk = ringing(500, 0, usize::MAX);
    desk.pass(1);
    desk.settle();
    let before = fired(&desk);
    desk.send(VISITOR, 2, r#"{"Say":"hello"}"#);
    desk.settle();
    let address: Address = VISITOR.entity.parse().unwrap();
    let (_, state) = desk.core.inspect(&address).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&state).contains("hello"));
    assert!(fired(&desk) <= before + 1);
    ticks(&mut desk, 5);
    assert!(fired(&desk) >= before + 5);
}
