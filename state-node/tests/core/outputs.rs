//! Outputs: which leave, when, and when again (R8, R13–R15, R31).

use std::sync::Arc;

use crate::desk::{ANA, BEN, Desk, bounded};
use crate::records::{add, failed, words};
use xp_protocol::Offset;
use xp_protocol::codec;
use xp_protocol::events::Event;
use xp_protocol::outbound::{Outbound, Recipients};
use xp_state_node::store::MemoryStore;

/// R8: the log knows what may not have gone out; the next owner sends it, byte for byte, before it decides.
#[test]
fn a_new_owner_sends_again_what_may_not_have_gone_out() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    desk.send(ANA, 1, &add("a"));
    let append = desk.appends.pop_front().unwrap();
    let results = desk.append(&append.records);
    desk.answer(&append, results);
    let lost = desk.left.remove(0).record;

    desk.crash();
    desk.own();
    let again: Vec<_> = desk.left.iter().map(|left| left.record.clone()).collect();
    assert!(again.contains(&lost), "{again:?}");
}

/// R14: a commit says that effects have gone out only when all before them are acknowledged too.
#[test]
fn sent_does_not_pass_a_chain_record_that_has_not_arrived() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    while let Some(append) = desk.appends.pop_front() {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
    let ids: Vec<_> = desk.left.iter().map(|left| left.id.unwrap()).collect();
    desk.core.emitted(ids[1], true, desk.at());
    desk.send(ANA, 3, &add("c"));
    desk.core.emitted(ids[0], true, desk.at());
    desk.send(ANA, 4, &add("d"));
    desk.settle();
    let sent: Vec<_> = desk.commits().iter().map(|commit| commit.sent.0).collect();
    assert_eq!(sent[3..], [2, 4], "the claim lies at 0, the connect at 1");
}

/// R14: a chain record that failed goes out again, and every later one behind it.
#[test]
fn a_failed_chain_record_goes_out_again_with_all_later_ones() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    while let Some(append) = desk.appends.pop_front() {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
    let first = std::mem::take(&mut desk.left);
    desk.core.emitted(first[1].id.unwrap(), true, desk.at());
    desk.core.emitted(first[0].id.unwrap(), false, desk.at());
    desk.pass(50);
    let records = |left: &[crate::desk::Left]| -> Vec<_> {
        left.iter().map(|left| left.record.clone()).collect()
    };
    assert_eq!(records(&desk.left), records(&first));
}

/// R8, R10: a commit that lies elsewhere than expected is named by where it lies.
#[test]
fn sent_is_right_when_foreign_records_lie_between_ours() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    let stray = desk.appends[0].records.clone();
    desk.crash();
    desk.own();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    // Both land, a zombie's record between them, and both answers are lost.
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    let first = desk.appends.pop_front().unwrap();
    let second = desk.appends.pop_front().unwrap();
    let offset = desk.append(&first.records).remove(0).unwrap();
    desk.append(&stray);
    desk.append(&second.records);
    desk.answer(&first, vec![Err(failed())]);
    desk.answer(&second, vec![Err(failed())]);
    desk.pass(50);
    let again = desk.appends.pop_front().unwrap();
    let results = desk.append(&again.records);
    desk.answer(&again, results);
    desk.read_gap();
    let lost = desk.left[0].record.clone();

    // Nothing has arrived at the edges yet; the next commit must say so.
    desk.send(ANA, 3, &add("c"));
    let append = desk.appends.pop_front().unwrap();
    desk.append(&append.records);
    assert_eq!(desk.commits().last().unwrap().sent, offset);
    desk.crash();
    desk.own();
    assert!(desk.left.iter().any(|left| left.record == lost));
}

/// R31: a welcome is never logged; a successor renders it anew, from the state it has.
#[test]
fn a_session_whose_welcome_was_lost_is_welcomed_anew() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(BEN, None);
    while let Some(append) = desk.appends.pop_front() {
        desk.append(&append.records);
    }
    desk.crash();
    desk.own();
    assert_eq!(
        desk.asked(),
        [(1, 1), (2, 1)],
        "their dials may have been late"
    );
    desk.left
        .retain(|left| !words(&left.record).concat().contains("still there"));
    let header: Outbound = codec::decode(&desk.left[0].record.header).unwrap();
    let both = vec![ANA.socket(), BEN.socket()];
    assert_eq!(
        header.deliveries[0].to,
        Recipients::Only(both),
        "in one record"
    );
    let heard = desk.heard();
    assert!(
        heard.len() == 1 && heard[0].starts_with("welcome 2 0"),
        "{heard:?}"
    );
}

/// R13: without a recent heartbeat nobody knows whether this is still the owner.
#[test]
fn a_query_is_answered_only_within_the_lease() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.pass(250);
    desk.ask(ANA, "q");
    desk.settle();
    assert!(desk.heard().is_empty());
    desk.renew();
    assert_eq!(desk.heard(), ["reply ?q 1 0"]);
}

/// R42: a message may go once a checkpoint that calls it taken is committed. Whoever owns next begins behind that.
#[test]
fn a_message_is_needed_until_a_committed_checkpoint_says_that_it_is_taken() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    assert_eq!(desk.released_inbound, None, "no checkpoint says so");
    desk.pass(1000);
    assert_eq!(desk.released_inbound, None, "it is not committed");
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    assert_eq!(desk.released_inbound, Some(Offset(2)));
    desk.crash();
    desk.own();
    assert!(desk.reads_inbound >= desk.released_inbound);
}

/// R15: queries write nothing, and the position moves all the same.
#[test]
fn the_inbound_position_is_recorded_when_only_queries_came() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.ask(ANA, "q");
    desk.pass(1000);
    desk.settle();
    let Event::Checkpoint(checkpoint) = crate::records::event(desk.log.last().unwrap()) else {
        panic!("no checkpoint")
    };
    assert_eq!(checkpoint.inbound, Offset(2));
    let length = desk.log.len();
    desk.pass(5000);
    desk.settle();
    assert_eq!(
        desk.log.len(),
        length,
        "and nothing is written when nothing came"
    );
}

/// R19: each record of a chain names the one before it, also across owners.
#[test]
fn a_chain_names_the_revision_before() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    desk.crash();
    desk.own();
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    let links: Vec<_> = desk
        .commits()
        .iter()
        .flat_map(|c| c.outputs.links.clone())
        .collect();
    let prev: Vec<_> = links.iter().map(|link| link.prev.0).collect();
    assert_eq!(prev, [0, 2]);
    assert!(words(&desk.left[0].record)[0].starts_with("event 2"));
}

/// Where `outbound` is away, little is under way, and what is decided is bounded too.
#[test]
fn an_outbound_that_is_away_holds_commits_back_and_pauses_reading() {
    let limits = bounded(|limits| limits.outbound.records_max = 4);
    let mut desk = Desk::with(limits, Arc::new(MemoryStore::default()));
    desk.own();
    desk.connect(ANA, None);
    desk.settle();
    for n in 1..=6 {
        desk.send(ANA, n, &add("a"));
    }
    let appends: Vec<_> = desk.appends.drain(..).collect();
    for append in appends {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
    let chained = |desk: &mut Desk| {
        std::mem::take(&mut desk.left)
            .into_iter()
            .filter_map(|left| left.id)
            .collect::<Vec<_>>()
    };
    let first = chained(&mut desk);
    assert_eq!(first.len(), 4);
    assert!(!desk.core.wants_inbound(), "reading goes on at the bound");

    desk.core.emitted(first[0], false, desk.at());
    desk.pass(50);
    let mut again = chained(&mut desk);
    assert_eq!(again.len(), 1, "the others are still under way");
    for id in &first[1..] {
        desk.core.emitted(*id, false, desk.at());
    }
    desk.perform();
    again.extend(chained(&mut desk));
    assert_eq!(again.len(), 4, "all leave again, and no more");
    for id in again {
        desk.core.emitted(id, true, desk.at());
    }
    desk.perform();
    assert_eq!(chained(&mut desk).len(), 2);
    assert!(desk.core.wants_inbound());
}
