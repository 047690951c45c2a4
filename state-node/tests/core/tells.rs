//! Words between entities (R34).

use crate::desk::{ANA, Desk};
use crate::records::partition;
use xp_protocol::codec;
use xp_protocol::inbound::{Inbound, Message, TellContent};

/// An entry from another entity, for the one at this address.
pub(crate) fn tell_to(desk: &mut Desk, number: u64, address: &str) {
    lend(desk, number, address, "e");
}

fn tell(desk: &mut Desk, number: u64, entry: &str) {
    lend(desk, number, ANA.entity, entry);
}

/// The same, with this entry.
pub(crate) fn tell_as(desk: &mut Desk, number: u64, address: &str, entry: &str) {
    lend(desk, number, address, entry);
}

fn lend(desk: &mut Desk, number: u64, address: &str, entry: &str) {
    let message = Message::Tell {
        source: partition(),
        number,
        from: "ledger/other".parse().unwrap(),
        what: TellContent::Signal { conversation: None },
    };
    let signal = format!(r#"{{"type":"Lend","data":{{"entry":"{entry}"}}}}"#);
    desk.word(message, address, &signal);
}

fn borrow(desk: &mut Desk, n: u64, other: &str) {
    let text = format!(r#"{{"type":"Borrow","data":{{"from":"{other}","entry":"e"}}}}"#);
    desk.send(ANA, n, &text);
}

/// The partition's only target: itself.
fn taken(desk: &mut Desk, number: u64) {
    let taker = partition();
    desk.word(Message::TellsTaken { taker, number }, "", "");
}

fn numbers(desk: &mut Desk) -> Vec<u64> {
    std::mem::take(&mut desk.told).iter().map(number).collect()
}

/// R34: the oldest that is not confirmed is timed. Each newer one made it wait anew once, and a target takes nothing
/// behind a hole.
#[test]
fn a_lost_tell_is_repeated_while_others_flow() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    let pause_ms = desk.limits.tells.retry.ms() / 4;
    for n in 1..=4 {
        borrow(&mut desk, n, "2");
        desk.settle();
        assert_eq!(numbers(&mut desk), [n]);
        desk.pass(pause_ms);
    }
    assert_eq!(numbers(&mut desk), [1, 2, 3, 4]);
    // A word from the target says from where on; nothing that it has taken goes out again.
    taken(&mut desk, 3);
    desk.pass(desk.limits.tells.retry.ms());
    assert_eq!(numbers(&mut desk), [4]);
}

/// R34: a failed append is a hole, and is known at once.
#[test]
fn a_tell_whose_append_failed_goes_out_again_at_once_with_those_behind_it() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    (1..=3).for_each(|n| borrow(&mut desk, n, "2"));
    let append = desk.appends.drain(..).collect::<Vec<_>>();
    for append in append {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
    assert_eq!(numbers(&mut desk), [1, 2, 3]);
    let (target, id) = desk.telling[1].clone();
    desk.core.told(&target, id, false, desk.at());
    desk.pass(100);
    assert_eq!(numbers(&mut desk), [2, 3]);
}

/// At the bound a command that tells is not taken: its client sends it again, and then it is (R30, R32).
#[test]
fn commands_wait_for_a_partition_that_takes_no_tells() {
    let mut desk = Desk::owning();
    desk.limits.tells.outstanding_max = 2;
    desk.crash();
    desk.own();
    desk.connect(ANA, None);
    (1..=3).for_each(|n| borrow(&mut desk, n, "2"));
    desk.settle();
    assert_eq!(numbers(&mut desk), [1, 2]);
    let before = desk.commits().len();
    borrow(&mut desk, 3, "2");
    desk.settle();
    assert_eq!(desk.commits().len(), before, "it was taken");
    taken(&mut desk, 1);
    borrow(&mut desk, 3, "2");
    desk.settle();
    assert_eq!(numbers(&mut desk), [3]);
}

/// R48: it waits for a second, whatever the clock is set to meanwhile.
#[test]
fn a_timer_that_was_put_off_waits_by_no_clock_that_is_set() {
    let mut desk = Desk::owning();
    desk.limits.tells.outstanding_max = 1;
    desk.crash();
    desk.own();
    desk.connect(ANA, None);
    borrow(&mut desk, 1, "2");
    let remind = r#"{"type":"Remind","data":{"ms":100,"of":"2"}}"#;
    desk.send(ANA, 2, remind);
    desk.settle();
    assert_eq!(numbers(&mut desk), [1]);
    let right = desk.now;
    desk.now = right.plus_ms(600_000);
    desk.pass(0);
    desk.settle();
    assert_eq!(numbers(&mut desk), [0; 0], "nothing may be told yet");
    desk.now = right.plus_ms(100);
    taken(&mut desk, 1);
    desk.pass(500);
    desk.settle();
    assert_eq!(numbers(&mut desk), [0; 0]);
    desk.pass(500);
    desk.settle();
    assert_eq!(numbers(&mut desk), [2], "the clock was put right");
}

fn number(record: &xp_transport::Record) -> u64 {
    let inbound: Inbound = codec::decode(&record.header).unwrap();
    match inbound.message {
        Message::Tell { number, .. } | Message::TellsTaken { number, .. } => number,
        Message::Client { .. } => panic!("a client's word"),
    }
}

/// R34: accepted iff it is the next of its source, so that loss, repetition and reordering show.
#[test]
fn a_tell_is_taken_only_as_the_next_of_its_source() {
    let mut desk = Desk::owning();
    tell(&mut desk, 2, "early");
    assert!(desk.appends.is_empty());
    tell(&mut desk, 1, "a");
    tell(&mut desk, 1, "a");
    desk.settle();
    desk.crash();
    desk.own();
    tell(&mut desk, 1, "a");
    tell(&mut desk, 2, "b");
    desk.settle();
    let (revision, state) = desk.state();
    assert!(revision == 2 && state.contains(r#"["a","b"]"#), "{state}");
}

/// R5: a tell that is refused has been taken, or its source would never get past it.
#[test]
fn a_refused_tell_still_commits_its_number() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    tell(&mut desk, 1, "");
    tell(&mut desk, 2, "a");
    desk.settle();
    assert_eq!(desk.state().0, 3);
}

/// R11, R34: a tell leaves with its commit, and again until its target confirms it, also by a new owner.
#[test]
fn tells_go_out_again_until_their_target_confirms_them() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(
        ANA,
        1,
        r#"{"type":"Borrow","data":{"from":"2","entry":"e"}}"#,
    );
    assert!(desk.told.is_empty(), "its commit is not committed yet");
    desk.settle();
    let first = std::mem::take(&mut desk.told);
    desk.pass(desk.limits.tells.retry.ms());
    let again = std::mem::take(&mut desk.told);
    assert_eq!((number(&first[0]), number(&again[0])), (1, 1));
    assert_eq!(first[0].value, again[0].value);

    desk.settle();
    desk.crash();
    desk.own();
    assert_eq!(number(&desk.told.remove(0)), 1);
    let taken = Message::TellsTaken {
        taker: partition(),
        number: 1,
    };
    desk.word(taken, "", "");
    desk.pass(desk.limits.tells.retry.ms());
    assert!(desk.told.is_empty());
    // The confirmation is part of the log with the next checkpoint.
    desk.settle();
    desk.crash();
    desk.own();
    assert!(desk.told.is_empty());
}

/// R34: a source hears which of its tells were taken, once that is committed.
#[test]
fn what_was_taken_is_confirmed_only_when_it_is_committed() {
    let mut desk = Desk::owning();
    tell(&mut desk, 1, "a");
    desk.pass(desk.limits.records.checkpoint.ms());
    assert!(desk.told.is_empty());
    desk.settle();
    assert_eq!(number(&desk.told[0]), 1);
}
