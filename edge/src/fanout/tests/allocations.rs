//! Allocations of fan-out: some for each record, and none for a delivery of it.

use xp_guards::allocations;

use super::*;

/// Of one record, whoever watches: its header, its payloads, its frame.
const RECORD: u64 = 10;
/// The list of those who get it, which grows as it is filled.
fn list_of(sockets: u128) -> u64 {
    u64::from(sockets.next_power_of_two().ilog2()) - 1
}

fn check(sockets: u128) {
    let mut audience = Audience::of(sockets);
    for _ in 0..3 {
        audience.written();
        let event = audience.event();
        let ((), heard) = allocations(|| audience.hear(&event));
        let ((), flushed) = allocations(|| audience.flush());
        let bytes = usize::try_from(sockets).unwrap() * frame_bytes(audience.revision);
        assert_eq!(audience.written(), bytes);
        assert_eq!((heard, flushed), (RECORD + list_of(sockets), 0));
    }
}

#[test]
fn a_delivery_allocates_nothing() {
    check(8);
    check(64);
    check(1024);
}
