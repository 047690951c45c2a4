//! The way from appended to committed, and what it holds back (R9–R12, R18).

use crate::desk::{ANA, BEN, Desk};
use crate::records::{add, event, failed, foreign_claim};
use bytes::Bytes;
use xp_protocol::MessageNumber;
use xp_protocol::events::{Answer, Change, Event};

/// R11: also what follows a committed record waits for those before it.
#[test]
fn nothing_leaves_before_every_earlier_record_is_committed() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    let first = desk.appends.pop_front().unwrap();
    let second = desk.appends.pop_front().unwrap();
    let (one, two) = (desk.append(&first.records), desk.append(&second.records));
    desk.answer(&second, two);
    assert!(desk.heard().is_empty(), "only the second is acknowledged");
    desk.answer(&first, one);
    let heard = desk.heard();
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert!(
        heard[1] == "reply 1 2 1" && heard[3] == "reply 2 3 2",
        "{heard:?}"
    );
}

/// R11: an answer that writes nothing shows uncommitted state too, so it waits behind it.
#[test]
fn answers_that_write_nothing_wait_behind_what_they_have_seen() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.ask(ANA, "q");
    desk.send(ANA, 1, &add("a"));
    assert!(desk.heard().is_empty());
    desk.settle();
    let heard = desk.heard();
    assert_eq!(heard[1..], ["reply 1 2 1", "reply ?q 2 1", "reply 1 2 1"]);
}

/// R10: somebody else wrote. A zombie's record moves the position, and does not end the ownership.
#[test]
fn an_acknowledgement_elsewhere_commits_nothing_until_the_gap_is_read() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    let stray = desk.appends[0].records[0].clone();
    desk.crash();
    desk.own();
    desk.connect(ANA, None);
    desk.log.push(stray);
    desk.settle();
    assert_eq!(desk.gaps.len(), 1);
    assert!(desk.heard().is_empty());

    desk.read_gap();
    assert!(desk.heard()[0].starts_with("welcome 1 0"));
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    assert!(desk.gaps.is_empty(), "the position has moved with the gap");
    assert_eq!(desk.heard()[1], "reply 1 2 1");
}

/// R10, R18: behind another's claim nothing of this node counts, and nothing of it leaves.
#[test]
fn a_claim_in_the_gap_ends_the_ownership() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.log.push(foreign_claim(9));
    desk.settle();
    desk.read_gap();
    assert_eq!(desk.over.as_deref(), Some("lost"));
    assert!(desk.heard().is_empty());
    desk.send(ANA, 2, &add("b"));
    assert!(desk.appends.is_empty(), "what was lost takes nothing more");

    desk.crash();
    desk.replay();
    assert_eq!((desk.state().0, desk.core.fold().ignored), (1, 1));
}

/// R12: the bytes are the same, so it does not matter which copy arrived. The first in the log counts.
#[test]
fn after_an_ambiguous_error_the_identical_bytes_are_appended_again() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.send(ANA, 2, &add("b"));
    let first = desk.appends.pop_front().unwrap();
    let second = desk.appends.pop_front().unwrap();
    // Both arrive, and both answers are lost.
    desk.append(&first.records);
    desk.append(&second.records);
    desk.answer(&first, vec![Err(failed())]);
    desk.answer(&second, vec![Err(failed())]);
    assert!(desk.appends.is_empty(), "it waits a moment first");
    desk.pass(50);
    let again = desk.appends.pop_front().unwrap();
    assert_eq!(again.records, [first.records, second.records].concat());
    assert_eq!(again.first.0, 2);

    let results = desk.append(&again.records);
    desk.answer(&again, results);
    desk.read_gap();
    let heard = desk.heard();
    assert_eq!(
        (&heard[1][..], &heard[3][..]),
        ("reply 1 2 1", "reply 2 3 2")
    );

    desk.crash();
    desk.replay();
    let (revision, state) = desk.state();
    assert!(revision == 3 && state.contains(r#"["a","b"]"#), "{state}");
    assert_eq!(
        desk.core.fold().ignored,
        2,
        "the second copies do not count"
    );
}

/// R12: late word about the first round says nothing about the second.
#[test]
fn acknowledgements_of_an_earlier_round_are_not_mistaken_for_those_of_this_one() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    let first = desk.appends.pop_front().unwrap();
    desk.answer(&first, vec![Err(failed())]);
    desk.pass(50);
    let late = desk.append(&first.records);
    desk.answer(&first, late);
    assert!(desk.heard().is_empty());
    let again = desk.appends.pop_front().unwrap();
    let results = desk.append(&again.records);
    desk.answer(&again, results);
    desk.read_gap();
    assert!(desk.heard()[0].starts_with("welcome 1 0"));
}

/// R10: whatever acknowledges an offset before the expected one has lost records.
#[test]
fn a_truncated_log_is_a_loud_stop() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.log.clear();
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    let reason = desk.over.unwrap();
    assert!(reason.contains("the log was truncated"), "{reason}");
}

/// R9: the bound on uncommitted records stops the reading, and lifts with the acknowledgements.
#[test]
fn reading_pauses_at_the_bound_on_uncommitted_records() {
    let mut desk = Desk::owning();
    desk.limits.records.uncommitted_max = 2;
    desk.crash();
    desk.own();
    desk.connect(ANA, None);
    assert!(desk.core.wants_inbound());
    desk.connect(BEN, None);
    assert!(!desk.core.wants_inbound());
    desk.settle();
    assert!(desk.core.wants_inbound());
}

/// R5: a no is as binding as a yes; a later owner must not turn it.
#[test]
fn rejections_and_faults_are_commits_without_events() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add(""));
    desk.send(ANA, 2, "{");
    desk.settle();
    let counts = desk
        .commits()
        .into_iter()
        .map(|c| (c.revision.0, c.event_count));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 1), (2, 0), (3, 0)]);
}

/// R17: everything that was decided is committed and has left before the epoch ends.
#[test]
fn a_release_waits_until_everything_has_left() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.send(ANA, 1, &add("a"));
    desk.core.release(desk.at());
    desk.perform();
    assert!(!desk.core.wants_inbound());
    let append = desk.appends.pop_front().unwrap();
    let results = desk.append(&append.records);
    desk.answer(&append, results);
    assert!(desk.appends.is_empty(), "its chain record has not arrived");
    desk.arrive();
    let release = desk.appends.pop_front().unwrap();
    assert!(matches!(event(&release.records[0]), Event::Release { .. }));
    let results = desk.append(&release.records);
    desk.answer(&release, results);
    assert_eq!(desk.over.as_deref(), Some("released"));
}

/// R17: a record behind a `Release` counts for nobody, and its acknowledgement must not be taken for the `Release`'s.
#[test]
fn nothing_is_appended_behind_a_release() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.core.release(desk.at());
    desk.perform();
    let release = desk.appends.pop_front().unwrap();
    assert!(matches!(event(&release.records[0]), Event::Release { .. }));
    desk.pass(desk.limits.records.quiet.ms());
    assert!(desk.appends.is_empty(), "a checkpoint was due");
    assert!(desk.over.is_none(), "the release is not committed");
    let results = desk.append(&release.records);
    desk.answer(&release, results);
    assert_eq!(desk.over.as_deref(), Some("released"));
}

/// R9: events are applied before they are appended. What cannot be is a fault, committed, and so it is not
/// tried again by whoever comes next; the half-applied state is shown to nobody.
#[test]
fn events_that_cannot_be_applied_are_a_fault_before_the_append() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, r#"{"type":"SpoilApply"}"#);
    assert!(!desk.core.wants_inbound());
    desk.send(ANA, 2, &add("a"));
    desk.ask(ANA, "q");
    assert_eq!((desk.appends.len(), desk.over.is_none()), (1, true));
    desk.settle();
    assert_eq!(desk.heard(), ["fault 1 2 panicked"]);
    assert_eq!(desk.over.as_deref(), Some("lost"));

    desk.crash();
    desk.own();
    assert_eq!(
        desk.reads_inbound.map(|from| from.0),
        Some(2),
        "behind the fault"
    );
    desk.send(ANA, 2, &add("a"));
    desk.settle();
    assert!(desk.heard().contains(&"reply 2 3 1".to_owned()));
}

/// A refused connection leaves no commit, and is not met again for all that.
#[test]
fn a_poisonous_connect_is_refused_once() {
    let mut desk = Desk::owning();
    desk.connect_as(ANA, None, r#"{"sub":"ana","spoils":true}"#);
    desk.settle();
    assert_eq!(desk.heard(), ["fault 0 0 panicked", "close refused"]);
    assert_eq!(desk.over.as_deref(), Some("lost"));
    desk.crash();
    desk.own();
    assert_eq!(desk.reads_inbound.map(|from| from.0), Some(1));
    desk.connect(BEN, None);
    desk.settle();
    assert_eq!(desk.state().0, 1);
}

/// A timer whose events cannot be applied must not take its partition down again and again.
#[test]
fn a_poisonous_timer_fires_once() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, r#"{"type":"Bomb","data":{"ms":1000}}"#);
    desk.settle();
    desk.pass(1000);
    desk.settle();
    assert_eq!(desk.over.as_deref(), Some("lost"));
    desk.crash();
    desk.own();
    desk.pass(1000);
    desk.settle();
    assert!(desk.over.is_none());
    desk.send(ANA, 2, &add("a"));
    desk.settle();
    assert_eq!(desk.state().0, 4);
}

/// The answer that a commit delivers is the stored one, and its bytes are in the log once.
#[test]
fn an_answer_stands_in_its_commit_once() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    let commit = desk.commits().pop().unwrap();
    let shown = |change: &&Change| matches!(change, Change::AnsweredAsShown { .. });
    let change = commit.changes.iter().find(shown).unwrap();
    let answer = Answer::Reply(Bytes::from_static(b"1"));
    assert_eq!(
        commit.answered(change),
        Some((ANA.id(), MessageNumber(1), answer))
    );
    desk.crash();
    desk.own();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    assert_eq!(desk.heard(), ["reply 1 2 1"]);
}

#[test]
fn a_clock_that_is_set_back_delays_no_repetition() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.appends.clear();
    desk.now = xp_protocol::TimeMs(desk.now.0 - 600_000);
    desk.send(ANA, 1, &add("tea"));
    let append = desk.appends.pop_front().unwrap();
    desk.answer(&append, vec![Err(failed())]);
    assert!(desk.appends.is_empty());
    desk.pass(50);
    assert!(
        !desk.appends.is_empty(),
        "the repetition waits for the clock"
    );
}

/// R48: within a bound an entity's time waits for the owner's clock; beyond it follows it back.
#[test]
fn an_entity_is_not_ahead_of_its_owner_for_ever() {
    let mut desk = Desk::owning();
    let began = desk.now;
    desk.connect(ANA, None);
    let mut times = Vec::new();
    let ahead = [0, 20_000, 0, 86_400_000, 100];
    for (n, ahead_ms) in (1..).zip(ahead) {
        desk.now = began.plus_ms(ahead_ms);
        desk.send(ANA, n, &add("a"));
        desk.settle();
        times.push(desk.commits().last().unwrap().now.since_ms(began));
    }
    assert_eq!(times, [0, 20_000, 20_000, 86_400_000, 100]);
    let state = desk.state();
    desk.crash();
    desk.own();
    assert_eq!(desk.state(), state);
    desk.send(ANA, 6, &add("a"));
    desk.settle();
    assert_eq!(desk.commits().last().unwrap().now, began.plus_ms(100));
}
