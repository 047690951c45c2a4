//! Allocations of the steady state of a turn. The numbers are exact; who makes them smaller writes the smaller ones here.

use xp_guards::allocations;

use crate::counter::Counting;

/// To decide, apply and commit a command: its payloads, events and records.
const DECIDED: u64 = 65;
/// To let it leave when it is acknowledged.
const LEFT: u64 = 2;

/// What so many turns allocated in each of their two steps.
fn turns(counting: &mut Counting, count: u64) -> (u64, u64) {
    let mut sum = (0, 0);
    for _ in 0..count {
        let command = [counting.command()];
        let now = counting.desk.at();
        let core = &mut counting.desk.core;
        let ((), decided) = allocations(|| core.on_inbound(&command, now));
        let append = counting.append();
        let results = counting.desk.append(&append.records);
        let core = &mut counting.desk.core;
        let ((), left) = allocations(|| core.appended(append.first, append.round, &results, now));
        counting.finish();
        sum = (sum.0 + decided, sum.1 + left);
    }
    sum
}

fn check(watchers: u128, before: u64) {
    let mut counting = Counting::watched_by(watchers);
    (0..before).for_each(|_| counting.count());
    let (decided, left) = turns(&mut counting, 100);
    assert_eq!(
        (decided / 100, left / 100),
        (DECIDED, LEFT),
        "{decided}, {left}"
    );
}

#[test]
fn a_turn_allocates_so_often() {
    check(1, 0);
}

#[test]
fn a_turn_allocates_no_more_often_after_a_thousand_others() {
    check(1, 1000);
}

#[test]
fn a_turn_allocates_no_more_often_when_many_watch() {
    check(1000, 0);
}
