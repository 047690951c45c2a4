//! Taking a partition from one that may still live, and handing it over (R13, R17).

use xp_protocol::cluster::Member;
use xp_protocol::events::Event;

use crate::desk::{ANA, Desk};
use crate::ledger::APPLY;
use crate::records::{add, event};

/// The partition is drained away from this node; another one, which is warm, gets it.
fn displace(desk: &mut Desk) {
    let other = desk.other_node();
    desk.member(&other);
    let drain = Member::Drain {
        name: "node".into(),
        drained: true,
    };
    desk.member(&drain);
}

fn kinds(desk: &Desk) -> Vec<&'static str> {
    let kind = |event: Event| match event {
        Event::Claim(_) => "claim",
        Event::Commit(_) => "commit",
        Event::Checkpoint(_) => "checkpoint",
        Event::Trying(_) | Event::TryingNamed(..) => "trying",
        Event::Release { .. } => "release",
    };
    desk.log.iter().map(event).map(kind).collect()
}

#[test]
fn a_displaced_owner_stops_deciding_releases_and_goes_on_as_a_mirror_with_what_it_knows() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    displace(&mut desk);
    assert!(!desk.core.wants_inbound());
    desk.settle();
    desk.settle();
    assert!(desk.over.as_deref() == Some("released") && !desk.core.is_owner());
    assert_eq!(kinds(&desk), ["claim", "commit", "commit", "release"]);
    assert_eq!(desk.core.next_event().unwrap().0, desk.log.len() as u64);
    assert!(desk.core.is_warm() && desk.core.fold().released);
    // Nothing is sent again by whoever comes next.
    assert_eq!(desk.core.fold().effects.sent().0, 3);
    assert_eq!(desk.state().0, 2);
}

#[test]
fn what_was_taken_without_a_commit_is_noted_before_the_release() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.ask(ANA, "?q");
    displace(&mut desk);
    desk.settle();
    desk.settle();
    assert_eq!(kinds(&desk), ["claim", "commit", "checkpoint", "release"]);
}

/// R13: whoever comes next may have committed something already.
#[test]
fn a_displaced_owner_answers_no_query() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.ask(ANA, "?q");
    displace(&mut desk);
    desk.renew();
    desk.settle();
    let heard = desk.heard();
    assert!(heard.iter().any(|word| word.contains("reply")), "{heard:?}");
    assert!(!heard.iter().any(|word| word.contains("?q")), "{heard:?}");
}

/// R17: the former owner may live and not know.
#[test]
fn a_claim_on_a_living_owner_waits_a_lease_and_one_on_a_released_partition_does_not() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.lease_ms = 250;
    desk.crash();
    desk.replay();
    desk.join_node();
    assert!(
        !desk.has_claimed(),
        "the one before was only replaced by name"
    );
    desk.pass(249);
    assert!(!desk.has_claimed());
    desk.pass(1);
    assert!(desk.has_claimed());
    desk.append_claim();
    desk.replay();
    assert!(desk.core.is_owner());
    desk.arrive();

    desk.core.release(desk.at());
    desk.perform();
    desk.settle();
    desk.crash();
    desk.replay();
    desk.join_node();
    assert!(desk.has_claimed());
}

#[test]
fn who_has_left_or_was_silent_for_too_long_is_not_waited_for() {
    let mut desk = Desk::owning();
    desk.lease_ms = 250;
    let left = desk.leave_node();
    desk.member(&left);
    desk.crash();
    desk.replay();
    desk.join_node();
    assert!(desk.has_claimed());
}

#[test]
fn a_mirror_stores_what_it_folds() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    desk.crash();
    desk.replay();
    desk.pass(1_000);
    assert_eq!(desk.saves.len(), 1);
    desk.save();
    desk.crash();
    assert_eq!(desk.core.fold().seq.0, 2, "it begins where the mirror was");
}

/// R47: `apply` is domain code as much as `decide`, and a mirror runs nothing else.
#[test]
fn a_mirror_says_what_it_applies() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, r#"{"type":"ApplySlowly"}"#);
    desk.settle();
    desk.crash();
    let deciding = desk.deciding.clone();
    assert_eq!(deciding.get(), None);
    APPLY.close();
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let looks = (0..20_000).find_map(|_| {
                std::thread::park_timeout(std::time::Duration::from_millis(1));
                deciding.get()
            });
            APPLY.release();
            looks
        });
        desk.replay();
        let seen = looking.join().unwrap().expect("it applies something");
        assert!(seen.contains("for ledger/1"), "{seen}");
    });
    assert_eq!(deciding.get(), None);
}
