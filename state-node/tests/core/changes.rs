//! A changed domain: what it does to stored events, and how that is noticed.

use xp_domain_sdk::Domain;
use xp_state_node::store::MemoryStore;

use crate::changed::Changed;
use crate::desk::{ANA, BEN, Desk, Socket};
use crate::records::add;

const OTHER: Socket = Socket {
    entity: "ledger/2",
    ..BEN
};

fn changed(desk: &mut Desk) {
    desk.domain = Domain::new().host::<Changed>().registry().clone();
}

/// Owner and mirror compare the hashes that checkpoints carry, so an `apply` that is not the same on both is
/// named, with the entity, before a takeover shows it to clients.
#[test]
fn a_diverging_apply_is_reported_with_the_name_of_its_entity() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(OTHER, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    // The hashes of a snapshot's entities travel in the next checkpoint.
    desk.pass(1000);
    desk.settle();
    desk.ask(ANA, "q");
    desk.pass(1000);
    desk.settle();

    desk.crash();
    desk.replay();
    assert!(desk.diverged.is_empty(), "the same code agrees");
    changed(&mut desk);
    desk.crash();
    desk.replay();
    let names: Vec<_> = desk
        .diverged
        .iter()
        .map(|address| address.as_str())
        .collect();
    assert_eq!(names, ["ledger/1"], "ledger/2 has nothing that differs");
}

/// A stored event that cannot be applied sets its entity aside, and nothing else.
#[test]
fn an_entity_whose_stored_events_cannot_be_applied_is_quarantined_alone() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(OTHER, None);
    desk.send(ANA, 1, &add("unknown"));
    desk.settle();
    changed(&mut desk);
    desk.crash_and_spoil();
    desk.own();
    desk.settle();
    desk.heard();
    desk.send(ANA, 2, "{}");
    desk.send(OTHER, 1, "{}");
    desk.settle();
    assert_eq!(desk.heard(), ["close quarantined", "reply 1 2 0"]);
    assert!(desk.over.is_none());
}

/// Its snapshot keeps what was good and what lies behind it; a repaired domain finds everything.
#[test]
fn a_repaired_domain_brings_a_quarantined_entity_back() {
    let mut desk = Desk::with(
        Default::default(),
        std::sync::Arc::new(MemoryStore::default()),
    );
    desk.own();
    let domain = desk.domain.clone();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("unknown"));
    desk.settle();
    changed(&mut desk);
    desk.crash_and_spoil();
    desk.own();
    desk.send(ANA, 2, "{}");
    desk.settle();
    desk.pass(2000);
    desk.settle();
    assert_eq!(desk.saves.len(), 1);
    desk.save();
    desk.domain = domain;
    desk.crash();
    desk.own();
    assert!(
        desk.state().1.contains(r#"["unknown"]"#),
        "{}",
        desk.state().1
    );
}
