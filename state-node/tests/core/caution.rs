//! R16: messages that may have ended a process.

use xp_protocol::events::{Cause, Event};

use crate::desk::{ANA, BEN, Desk};
use crate::records::{add, event};

/// A new owner after a crash, which finds these commands of Ana in `inbound`.
fn after_a_crash(waiting: &[u64]) -> Desk {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(BEN, None);
    desk.settle();
    desk.heard();
    desk.crash();
    desk.waiting = waiting.len() as u64;
    desk.own();
    for n in waiting {
        desk.send(ANA, *n, &add(&n.to_string()));
    }
    desk
}

fn tried(desk: &Desk) -> Vec<u64> {
    let appended = desk.appends.iter().flat_map(|append| &append.records);
    let tried = appended.map(event).filter_map(|event| match event {
        Event::TryingNamed(trying, _) => match trying.cause {
            Cause::Inbound(offset) => Some(offset.0),
            _ => None,
        },
        _ => None,
    });
    tried.collect()
}

#[test]
fn what_waited_is_taken_one_at_a_time_each_once_its_trying_is_committed() {
    let mut desk = after_a_crash(&[1, 2]);
    assert_eq!((tried(&desk), desk.appends.len()), (vec![2], 1));
    assert!(!desk.core.wants_inbound());
    desk.settle();
    assert!(desk.core.wants_inbound());
    assert_eq!(desk.state().0, 4);
    let kinds: Vec<_> = desk.log.iter().skip(4).map(event).collect();
    assert!(matches!(
        kinds[..],
        [
            Event::TryingNamed(..),
            Event::Commit(_),
            Event::TryingNamed(..),
            Event::Commit(_)
        ]
    ));
    // What came later needs no caution.
    desk.send(ANA, 3, &add("c"));
    assert!(tried(&desk).is_empty() && desk.appends.len() == 1);
}

/// What waited together is tried together: a round trip for each would make a pause of every backlog.
#[test]
fn what_nobody_has_tried_is_tried_together() {
    let mut desk = after_a_crash(&[1, 2, 3]);
    assert_eq!(tried(&desk), [2]);
    desk.settle();
    let kinds: Vec<_> = desk.log.iter().skip(4).map(event).collect();
    assert!(
        matches!(
            kinds[..],
            [
                Event::TryingNamed(..),
                Event::Commit(_),
                Event::TryingNamed(..),
                Event::TryingNamed(..),
                Event::Commit(_),
                Event::Commit(_)
            ]
        ),
        "{kinds:?}"
    );
}

/// Who dies among several has died of one of them, and nobody knows of which: they are taken one at a time then, and
/// only who dies of a single one says that it is poison.
#[test]
fn what_was_tried_together_counts_for_nothing_and_is_tried_one_at_a_time_afterwards() {
    let mut desk = after_a_crash(&[1, 2, 3]);
    let first = desk.appends.pop_front().unwrap();
    let results = desk.append(&first.records);
    desk.answer(&first, results);
    let together = desk.appends.pop_front().unwrap();
    assert_eq!(together.records.len(), 3, "a commit and two tryings");
    desk.append(&together.records);
    // The third process dies of a single one; the fourth tries that again, and dies; the fifth knows.
    for (deaths, wanted) in [(1, vec![3]), (2, vec![3]), (3, vec![])] {
        desk.crash();
        desk.waiting = 2;
        desk.inbound = 3;
        desk.own();
        desk.send(ANA, 2, &add("poison"));
        desk.send(ANA, 3, &add("c"));
        if deaths < 3 {
            assert_eq!(tried(&desk), wanted, "{deaths}");
            let trying = desk.appends.pop_front().unwrap();
            desk.append(&trying.records);
        }
    }
    desk.settle();
    let (_, state) = desk.state();
    assert!(state.contains(r#""entries":["1","c"]"#), "{state}");
}

#[test]
fn connects_are_taken_without_further_ado() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.crash();
    desk.waiting = 1;
    desk.own();
    desk.connect(BEN, None);
    assert!(tried(&desk).is_empty() && desk.appends.len() == 1);
}

/// The process dies when it decides the message; so does the next. The third one does not try.
#[test]
fn a_command_that_two_processes_died_of_is_faulted() {
    let mut desk = after_a_crash(&[1]);
    let trying = desk.appends.pop_front().unwrap();
    desk.append(&trying.records);
    for deaths in 1..=2 {
        desk.crash();
        desk.waiting = 1;
        desk.inbound -= 1;
        desk.own();
        desk.send(ANA, 1, &add("poison"));
        if deaths == 1 {
            assert_eq!(tried(&desk), [2]);
            let trying = desk.appends.pop_front().unwrap();
            desk.append(&trying.records);
        }
    }
    assert!(tried(&desk).is_empty());
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.contains("poisonous")),
        "{heard:?}"
    );
    let (_, state) = desk.state();
    assert!(state.contains(r#""entries":[]"#), "{state}");
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    assert!(desk.state().1.contains(r#"["b"]"#));
}

/// The log of a single process keeps `inbound` in memory: what it died of is gone with it, and sent again.
fn after_a_crash_without_inbound() -> Desk {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.lose_inbound();
    desk.crash();
    desk.own();
    desk
}

#[test]
fn a_command_that_is_sent_again_to_each_process_it_ends_is_faulted_though_inbound_goes_with_them() {
    let mut desk = after_a_crash_without_inbound();
    for _ in 1..=4 {
        desk.send(ANA, 1, &add("poison"));
        assert_eq!(
            tried(&desk).len(),
            1,
            "somebody may have killed the process"
        );
        let trying = desk.appends.pop_front().unwrap();
        desk.append(&trying.records);
        desk.lose_inbound();
        desk.crash();
        desk.own();
    }
    desk.send(ANA, 1, &add("poison"));
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.contains("poisonous")),
        "{heard:?}"
    );
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    assert!(desk.state().1.contains(r#"["b"]"#), "{:?}", desk.state());
    let suspects = &desk.core.fold().suspects;
    assert!(suspects.earlier.is_empty(), "{suspects:?}");
}

/// A query has no number, and leaves no commit.
#[test]
fn a_query_that_is_asked_again_is_faulted_too() {
    let mut desk = after_a_crash_without_inbound();
    for _ in 1..=4 {
        desk.ask(ANA, "q");
        let trying = desk.appends.pop_front().unwrap();
        desk.append(&trying.records);
        desk.lose_inbound();
        desk.crash();
        desk.own();
    }
    desk.ask(ANA, "q");
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.contains("poisonous")),
        "{heard:?}"
    );
}

/// Every command pays a round trip more while it is tried, so that ends.
#[test]
fn a_minute_after_inbound_was_lost_nothing_is_tried_any_more() {
    let mut desk = after_a_crash_without_inbound();
    desk.send(ANA, 1, &add("a"));
    assert_eq!(tried(&desk).len(), 1);
    desk.settle();
    desk.pass(60_000);
    desk.settle();
    desk.send(ANA, 2, &add("b"));
    assert_eq!((tried(&desk), desk.appends.len()), (vec![], 1));
}

/// A claim of the same process proves that it has not died of what it tried.
#[test]
fn a_trying_does_not_count_after_a_claim_of_the_same_process() {
    let mut desk = after_a_crash(&[1]);
    let trying = desk.appends.pop_front().unwrap();
    desk.append(&trying.records);
    desk.reopen_in_the_same_process();
    desk.replay();
    assert_eq!(desk.core.fold().suspects.tries.len(), 1);
    desk.append_claim();
    desk.replay();
    assert!(desk.core.is_owner() && desk.core.fold().suspects.tries.is_empty());
}

/// R16: what a clean owner left behind is nobody's poison.
#[test]
fn after_a_release_no_caution_is_needed() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.core.release(desk.at());
    desk.perform();
    desk.settle();
    desk.crash();
    desk.waiting = 1;
    desk.own();
    desk.send(ANA, 1, &add("a"));
    assert!(tried(&desk).is_empty() && desk.appends.len() == 1);
}
