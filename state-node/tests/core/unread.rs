//! R44: a timer or a word that this build cannot read is not used up. It waits, and its entity with it.

use crate::desk::{ANA, Socket};
use crate::game::{FIRST, NO_SIGNALS};
use crate::quarantine::{OTHER, deploy, games, held, moves, play, quarantined, store};
use crate::tells::tell_as;

/// A signal that was renamed once used its timer up.
#[test]
fn a_timer_whose_signal_cannot_be_read_stays_due_for_a_build_that_can() {
    let mut desk = games();
    desk.send(ANA, 2, r#"{"type":"Clock","data":{"ms":5000}}"#);
    store(&mut desk);
    deploy::<NO_SIGNALS>(&mut desk);
    assert_eq!(quarantined(&desk), [""; 0]);
    desk.pass(5000);
    assert_eq!(quarantined(&desk), [ANA.entity]);
    assert_ne!(desk.core.due_in_ms(desk.at()), Some(0), "it spins");
    let commits = desk.commits().len();
    desk.send(ANA, 3, &play("e4"));
    desk.settle();
    assert_eq!(desk.heard(), ["close quarantined"]);
    desk.core
        .retry(&ANA.entity.parse().unwrap(), desk.at())
        .unwrap();
    desk.pass(20);
    assert_eq!(quarantined(&desk), [ANA.entity], "it is tried again");
    assert_eq!(desk.commits().len(), commits, "nothing is recorded");
    // The other game goes on, and so do cuts.
    desk.send(OTHER, 2, &play("e5"));
    store(&mut desk);
    deploy::<NO_SIGNALS>(&mut desk);
    desk.pass(20);
    assert_eq!(quarantined(&desk), [ANA.entity], "and after a restart");
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","flag fell""#));
    assert_eq!(moves(&mut desk, OTHER.entity), held(r#""d4","e5""#));
}

#[test]
fn a_word_that_cannot_be_read_is_parked_and_its_source_waits_for_nothing() {
    let mut desk = games();
    deploy::<NO_SIGNALS>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    tell_as(&mut desk, 2, ANA.entity, "rated");
    store(&mut desk);
    assert_eq!(
        desk.core.fold().tells.taken().values().copied().next(),
        Some(2)
    );
    assert_eq!(quarantined(&desk), [ANA.entity]);
    // What is parked is tried after each restart, and stays.
    deploy::<NO_SIGNALS>(&mut desk);
    desk.pass(20);
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    desk.settle();
    let whole = held(r#""d4","resigned","rated""#);
    assert_eq!(moves(&mut desk, ANA.entity), whole);
    desk.connect(Socket { attempt: 2, ..ANA }, None);
    desk.send(Socket { attempt: 2, ..ANA }, 2, &play("e4"));
    desk.settle();
    let whole = held(r#""d4","resigned","rated","e4""#);
    assert_eq!(moves(&mut desk, ANA.entity), whole);
}
