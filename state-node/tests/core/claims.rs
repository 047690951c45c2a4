//! Claims: whose records count (R2–R4, R7).

use crate::desk::{ANA, Desk};
use crate::records::{add, foreign_claim};

/// R7: neither the acknowledgement of a claim nor the end of the log proves anything.
#[test]
fn nothing_is_decided_before_the_claim_is_read_back() {
    let mut desk = Desk::following();
    desk.replay();
    desk.claim();
    assert!(!desk.core.wants_inbound());
    desk.connect(ANA, None);
    assert!(desk.appends.is_empty() && desk.heard().is_empty());

    desk.replay();
    assert_eq!(desk.reads_inbound.map(|from| from.0), Some(0));
    desk.connect(ANA, None);
    assert_eq!(desk.appends.len(), 1);
}

/// R2: the one who has folded more of the cluster's log holds the partition.
#[test]
fn a_claim_that_lost_is_made_anew_once_the_other_view_is_reached() {
    let mut desk = Desk::following();
    desk.log.push(foreign_claim(9));
    desk.claim();
    desk.replay();
    assert!(!desk.core.is_owner());
    desk.pass(60_000);
    assert!(!desk.has_claimed(), "it waits until it has folded as much");

    for edge in 0..9 {
        desk.join_edge(800 + edge);
    }
    desk.append_claim();
    desk.replay();
    assert!(desk.core.is_owner());
    assert_eq!(desk.core.fold().epoch().unwrap().0, 2);
}

/// R2: under one view the higher attempt holds, so a process can claim again what it has lost.
#[test]
fn a_second_claim_under_one_view_outranks_the_first() {
    let mut desk = Desk::owning();
    desk.crash();
    desk.own();
    let claim = desk.core.fold().claim.unwrap();
    assert_eq!((claim.attempt.0, claim.epoch.0), (1, 1));
}

/// R2: an append whose acknowledgement was lost may have put the claim there twice.
#[test]
fn the_same_claim_again_is_a_no_op() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    let claim = desk.log[0].clone();
    desk.log.push(claim);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    desk.read_gap();
    assert!(desk.over.is_none());

    desk.crash();
    desk.replay();
    assert_eq!(desk.core.fold().epoch().unwrap().0, 0);
    assert_eq!(desk.state().0, 2);
}

/// R3: whatever an older owner still appends is ignored, and counted.
#[test]
fn records_of_an_older_epoch_are_ignored() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    let late = desk.appends.pop_front().unwrap().records;
    desk.crash();
    desk.own();
    desk.log.extend(late);
    desk.crash();
    desk.replay();
    assert_eq!((desk.core.resident(), desk.core.fold().ignored), (0, 1));
}

/// R3: a record whose number is not the next is no part of the history, even of the right epoch.
#[test]
fn a_record_out_of_turn_is_ignored() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    let second = desk.appends.pop_back().unwrap().records;
    let first = desk.appends.pop_back().unwrap().records;
    desk.log.extend(second.clone());
    desk.log.extend(first);
    desk.log.extend(second);

    desk.crash();
    desk.replay();
    assert_eq!(desk.core.fold().ignored, 1);
    let (revision, state) = desk.state();
    assert!(revision == 3 && state.contains(r#"["a","b"]"#), "{state}");
}

/// R4: positions in an inbound log that is gone mean nothing in the one that took its place.
#[test]
fn a_claim_on_a_new_inbound_log_reads_it_from_its_start() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.crash();
    desk.own();
    assert_eq!(desk.reads_inbound.map(|from| from.0), Some(1));
    desk.lose_inbound();
    desk.crash();
    desk.own();
    assert_eq!(desk.reads_inbound.map(|from| from.0), Some(0));
}
