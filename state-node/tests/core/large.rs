//! Outputs that are too large for one record: in pieces, in portions, at a pace (R41).

use std::sync::Arc;

use bytes::BytesMut;
use xp_protocol::codec;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_settings::Size;
use xp_state_node::Limits;
use xp_state_node::store::MemoryStore;
use xp_transport::Record;

use crate::desk::{ANA, BEN, Desk, Socket, bounded};
use crate::records::{add, words};

fn owning(limits: Limits) -> Desk {
    let mut desk = Desk::with(limits, Arc::new(MemoryStore::default()));
    desk.own();
    desk
}

/// Everything outside the chain comes in pieces of 40 bytes.
fn in_pieces() -> Limits {
    bounded(|limits| limits.large.piece_bytes_max = Size(40))
}

/// What left, with pieces put together as an edge does it, which the watch's own tests try out.
fn whole(desk: &mut Desk) -> Vec<String> {
    let (mut heard, mut value) = (Vec::new(), BytesMut::new());
    let mut next = 0;
    for left in std::mem::take(&mut desk.left) {
        let mut header: Outbound = codec::decode(&left.record.header).unwrap();
        match header.deliveries[0].item.clone() {
            Item::Piece { index, .. } => {
                assert_eq!(index, next, "dense and in order");
                next += 1;
                value.extend_from_slice(&left.record.value);
            }
            Item::LastPiece {
                deliveries, index, ..
            } => {
                assert_eq!(index, next);
                next = 0;
                value.extend_from_slice(&left.record.value);
                header.deliveries = deliveries;
                heard.extend(words(&Record {
                    header: codec::encode(&header).into(),
                    value: value.split().freeze(),
                    ..left.record
                }));
            }
            _ => heard.extend(words(&left.record)),
        }
    }
    heard
}

fn settled(desk: &mut Desk) -> Vec<String> {
    desk.settle();
    let mut heard = whole(desk);
    loop {
        desk.pass(20);
        desk.settle();
        let more = whole(desk);
        if more.is_empty() {
            return heard;
        }
        heard.extend(more);
    }
}

#[test]
fn a_welcome_and_answers_that_are_too_large_for_a_record_come_in_pieces() {
    let mut desk = owning(in_pieces());
    desk.connect(ANA, None);
    let heard = settled(&mut desk);
    assert!(heard[0].starts_with("welcome 1 0 [{"), "{heard:?}");
    desk.ask(ANA, "q");
    assert_eq!(settled(&mut desk), ["reply ?q 1 0"]);
}

#[test]
fn no_more_is_under_way_at_once_than_may_be() {
    let mut desk = owning(bounded(|limits| {
        limits.large.piece_bytes_max = Size(400);
        limits.large.flight_bytes_max = Size(1_000);
    }));
    desk.connect(ANA, None);
    for n in 1..=8 {
        desk.send(ANA, n, &add(&"x".repeat(400)));
    }
    desk.settle();
    desk.heard();
    desk.connect(BEN, None);
    while let Some(append) = desk.appends.pop_front() {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
    let is_piece = |record: &Record| {
        let header: Outbound = codec::decode(&record.header).unwrap();
        matches!(header.deliveries[0].item, Item::Piece { .. })
    };
    let flying = desk.left.iter().filter(|left| is_piece(&left.record));
    assert_eq!(flying.count(), 3, "the third goes over the bound");
    desk.arrive();
    let flying = desk.left.iter().filter(|left| is_piece(&left.record));
    assert_eq!(
        flying.count(),
        3,
        "an acknowledgement alone proves nothing where the log is memory"
    );
    desk.pass(20);
    let flying = desk.left.iter().filter(|left| is_piece(&left.record));
    assert!(flying.count() > 3);
}

#[test]
fn what_is_larger_than_anything_may_be_is_a_fault_with_a_name() {
    let mut desk = owning(bounded(|limits| limits.large.whole_bytes_max = Size(300)));
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add(&"x".repeat(300)));
    desk.settle();
    desk.heard();
    desk.connect(BEN, None);
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.contains(&"fault 0 3 too-large".to_owned()),
        "{heard:?}"
    );
    assert!(heard.contains(&"close refused".to_owned()), "{heard:?}");
}

/// Sessions that come together are shown the same, which is rendered and sent once.
#[test]
fn a_welcome_that_asks_nothing_about_the_session_is_one_record_for_all_who_wait() {
    let mut desk = owning(Limits::default());
    let crowd: Vec<_> = (1..=5)
        .map(|connection| Socket { connection, ..ANA })
        .collect();
    desk.connect_together(&crowd);
    desk.settle();
    let welcomes = desk.left.iter().filter_map(|left| {
        let header: Outbound = codec::decode(&left.record.header).unwrap();
        let delivery = header.deliveries.into_iter().next().unwrap();
        match (delivery.item, delivery.to) {
            (Item::Welcome { .. }, Recipients::Only(to)) => Some(to.len()),
            _ => None,
        }
    });
    assert_eq!(welcomes.collect::<Vec<_>>(), [5]);
}

/// Who has taken another number of commands needs another record; a large state must not be copied for each.
#[test]
fn records_of_one_welcome_share_the_bytes_that_were_rendered() {
    for limits in [Limits::default(), in_pieces()] {
        let mut desk = owning(limits);
        let crowd = [1, 2, 3].map(|connection| Socket { connection, ..ANA });
        desk.connect_together(&crowd);
        for (taken, who) in (0..).zip(crowd) {
            (1..=taken).for_each(|n| desk.send(who, n, &add("a")));
        }
        settled(&mut desk);
        desk.connect_together(&crowd.map(|who| Socket { attempt: 2, ..who }));
        desk.settle();
        let first_bytes = desk.left.iter().filter_map(|left| {
            let header: Outbound = codec::decode(&left.record.header).unwrap();
            let item = &header.deliveries[0].item;
            let begins = matches!(item, Item::Welcome { .. } | Item::Piece { index: 0, .. });
            begins.then(|| left.record.value.as_ptr())
        });
        let first_bytes: Vec<_> = first_bytes.collect();
        assert_eq!(first_bytes, [first_bytes[0]; 3]);
    }
}

#[test]
fn a_resume_comes_in_portions_from_memory_and_from_the_log() {
    for recent_commits_max in [100, 1] {
        let mut desk = owning(bounded(|limits| {
            limits.large.piece_bytes_max = Size(100);
            limits.large.flight_bytes_max = Size(300);
            limits.recent.commits_max = recent_commits_max;
        }));
        desk.connect(ANA, None);
        for n in 1..=6 {
            desk.send(ANA, n, &add(&"x".repeat(60)));
        }
        settled(&mut desk);
        let again = Socket { attempt: 2, ..ANA };
        desk.connect(again, Some(1));
        desk.settle();
        let mut heard = whole(&mut desk);
        for _ in 0..50 {
            for (id, from, upto) in std::mem::take(&mut desk.rescans) {
                // A portion of two records.
                let batch = desk.stored(from.0, upto.0.min(from.0 + 2));
                desk.core.rescanned(id, Some(&batch), desk.at());
                desk.perform();
            }
            desk.pass(20);
            desk.settle();
            heard.extend(whole(&mut desk));
        }
        let starts = |word: &str| heard.iter().filter(|h| h.starts_with(word)).count();
        assert_eq!(starts("event"), 6, "{heard:?}");
        assert_eq!(starts("reply"), 6, "{heard:?}");
        assert!(starts("resuming") > 0, "in portions: {heard:?}");
        let last = heard.iter().rfind(|h| h.starts_with("resum")).unwrap();
        assert!(
            last.starts_with("resumed ") && last.ends_with(" 8"),
            "{last}"
        );
    }
}

#[test]
fn resumes_and_welcomes_beyond_what_may_wait_come_back() {
    let mut desk = owning(bounded(|limits| {
        limits.large.bytes_max = Size(0);
        limits.large.waiting_max = 1;
    }));
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.connect(BEN, None);
    desk.settle();
    let heard = desk.heard();
    assert_eq!(heard.last().map(String::as_str), Some("close come-back"));
}

#[test]
fn nothing_is_cut_that_fits() {
    let mut desk = owning(Limits::default());
    desk.connect(ANA, None);
    desk.settle();
    assert!(desk.left.iter().all(|left| left.id.is_none()));
    assert_eq!(desk.heard().len(), 1);
}
