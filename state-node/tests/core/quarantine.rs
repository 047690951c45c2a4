//! R44: what this build cannot read is set aside alone, and nothing that comes for it is taken or lost.

use xp_domain_sdk::Domain;
use xp_domain_sdk::host::Registry;
use xp_protocol::events::{Cause, TimerKey};
use xp_protocol::inbound::ClientAction;
use xp_protocol::utc::utc;
use xp_protocol::{Address, Offset, codec};
use xp_state_node::snapshot::{self, StoredBefore, sealed};
use xp_state_node::store::Batch;

use crate::desk::{ANA, BEN, Desk, Socket, bounded};
use crate::game::{BUG, FIRST, Game, NEW_CLAIM, NEW_FIELD, NEW_VERSION, NO_EVENTS, UPCASTER};
use crate::tells::tell_as;

/// A client of another game on the same partition.
pub(crate) const OTHER: Socket = Socket {
    entity: "ledger/2",
    connection: 9,
    ..ANA
};

pub(crate) fn build<const B: u8>() -> Registry {
    Domain::new().host::<Game<B>>().registry().clone()
}

pub(crate) fn play(to: &str) -> String {
    format!(r#"{{"type":"Move","data":{{"to":"{to}"}}}}"#)
}

/// Two games, stored by the first build.
pub(crate) fn games() -> Desk {
    let mut desk = Desk::hosting(build::<FIRST>());
    desk.own();
    for socket in [ANA, OTHER] {
        desk.connect(socket, None);
        desk.send(socket, 1, &play("d4"));
    }
    store(&mut desk);
    desk
}

pub(crate) fn store(desk: &mut Desk) {
    desk.settle();
    desk.pass(1000);
    desk.settle();
    desk.save();
}

/// Another process with another build owns the partition.
pub(crate) fn deploy<const B: u8>(desk: &mut Desk) {
    desk.domain = build::<B>();
    desk.crash();
    desk.own();
    desk.settle();
    desk.heard();
}

/// What this build has set aside.
pub(crate) fn quarantined(desk: &Desk) -> Vec<String> {
    desk.core.quarantined().map(Address::to_string).collect()
}

pub(crate) fn moves(desk: &mut Desk, entity: &str) -> String {
    let address: Address = entity.parse().unwrap();
    let (_, state) = desk.core.inspect(&address).unwrap().expect("it is sound");
    String::from_utf8(state[4..].to_vec()).unwrap()
}

pub(crate) fn held(moves: &str) -> String {
    format!(r#"{{"moves":[{moves}],"shape":null}}"#)
}

#[test]
fn one_state_that_cannot_be_read_condemns_nothing_but_itself() {
    let mut desk = games();
    desk.first = 4;
    deploy::<NEW_FIELD>(&mut desk);
    desk.connect(
        Socket {
            entity: "ledger/3",
            ..BEN
        },
        None,
    );
    desk.settle();
    assert!(desk.heard().concat().contains("welcome 1 0"));
    desk.connect(Socket { attempt: 2, ..ANA }, None);
    desk.settle();
    assert_eq!(desk.heard(), ["close quarantined"]);
    assert_eq!(desk.over, None);
    assert_eq!(desk.core.quarantined().len(), 1);
    // Cuts go on, and keep what cannot be read.
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4""#));
    assert_eq!(moves(&mut desk, OTHER.entity), held(r#""d4""#));
}

/// R42: its goodbyes are as lost as those of others, and what its edge answers is parked.
#[test]
fn the_sockets_of_an_entity_in_quarantine_are_asked_for_after_a_hole_too() {
    let mut desk = games();
    deploy::<NEW_FIELD>(&mut desk);
    desk.send(ANA, 2, &play("e5"));
    desk.settle();
    assert!(quarantined(&desk).contains(&ANA.entity.to_owned()));
    desk.left.clear();
    desk.core.missed(Offset(desk.inbound + 10), desk.at());
    desk.perform();
    assert_eq!(desk.asked(), [(9, 1), (1, 1)]);
}

/// A game of chess: its flag falls and the result comes in while it is in quarantine.
#[test]
fn a_timer_and_a_tell_that_came_during_quarantine_are_there_after_it_once_and_in_order() {
    let mut desk = games();
    desk.send(ANA, 2, r#"{"type":"Clock","data":{"ms":5000}}"#);
    store(&mut desk);
    deploy::<NEW_FIELD>(&mut desk);
    desk.pass(5000);
    let due_ms = desk.core.due_in_ms(desk.at());
    assert_ne!(due_ms, Some(0), "it spins");
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    tell_as(&mut desk, 2, OTHER.entity, "a draw");
    tell_as(&mut desk, 3, ANA.entity, "rated");
    store(&mut desk);
    assert_eq!(
        desk.core.fold().tells.taken().values().copied().next(),
        Some(3),
        "its source waits for nothing"
    );
    deploy::<NEW_FIELD>(&mut desk);
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    desk.settle();
    let whole = held(r#""d4","flag fell","resigned","rated""#);
    assert_eq!(moves(&mut desk, ANA.entity), whole);
    desk.pass(20);
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    assert_eq!(moves(&mut desk, ANA.entity), whole);
    let parked = |cause: &Cause| *cause == Cause::Timer(TimerKey::Parked);
    let delivered = desk
        .commits()
        .iter()
        .filter(|commit| parked(&commit.cause))
        .count();
    assert_eq!(
        delivered, 3,
        "each is a commit of its own, and one is the other game's"
    );
}

#[test]
fn clients_are_sent_away_and_what_they_said_is_not_taken() {
    let mut desk = games();
    deploy::<NEW_FIELD>(&mut desk);
    let commits = desk.commits().len();
    desk.send(ANA, 2, &play("e4"));
    desk.ask(ANA, "q");
    desk.say(ANA, ClientAction::Ephemeral { text: true }, &play("e4"));
    desk.say(ANA, ClientAction::Claims, r#"{"sub":"ana","rank":1}"#);
    desk.settle();
    assert_eq!(desk.heard(), vec!["close quarantined"; 4]);
    assert_eq!(desk.commits().len(), commits);
    // What was taken before is answered: it is known without the domain.
    desk.send(ANA, 1, &play("d4"));
    desk.settle();
    assert!(desk.heard().concat().starts_with("reply 1"));
    deploy::<FIRST>(&mut desk);
    desk.connect(Socket { attempt: 2, ..ANA }, Some(2));
    desk.send(Socket { attempt: 2, ..ANA }, 2, &play("e4"));
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","e4""#));
}

#[test]
fn the_end_of_a_socket_waits_once_and_is_decided_after_the_repair() {
    let mut desk = games();
    deploy::<NEW_FIELD>(&mut desk);
    for _ in 0..3 {
        desk.say(ANA, ClientAction::Disconnect { left: false }, "");
        // Sockets that never got in end too, and concern nobody.
        desk.say(
            Socket { attempt: 7, ..ANA },
            ClientAction::Disconnect { left: false },
            "",
        );
    }
    desk.settle();
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","ana went""#));
}

#[test]
fn a_verdict_waits_for_the_repair() {
    let mut desk = games();
    deploy::<NEW_FIELD>(&mut desk);
    desk.lose_edge(ANA.edge);
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","ana went""#));
}

#[test]
fn at_the_bound_a_word_waits_at_its_source() {
    let mut desk = games();
    desk.limits = bounded(|limits| limits.quarantine.parked_max = 1);
    deploy::<NEW_FIELD>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "first");
    tell_as(&mut desk, 2, ANA.entity, "second");
    desk.settle();
    assert_eq!(
        desk.core.fold().tells.taken().values().copied().next(),
        Some(1)
    );
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    tell_as(&mut desk, 2, ANA.entity, "second");
    desk.settle();
    assert_eq!(
        moves(&mut desk, ANA.entity),
        held(r#""d4","first","second""#)
    );
}

#[test]
fn events_that_a_build_cannot_read_wait_behind_the_state() {
    let mut desk = games();
    desk.send(ANA, 2, &play("e4"));
    desk.settle();
    deploy::<NO_EVENTS>(&mut desk);
    assert_eq!(
        desk.core.quarantined().len(),
        1,
        "the other one has no such event in the tail"
    );
    store(&mut desk);
    deploy::<NO_EVENTS>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    desk.pass(20);
    desk.settle();
    assert_eq!(
        moves(&mut desk, ANA.entity),
        held(r#""d4","e4","resigned""#)
    );
}

#[test]
fn an_apply_that_panics_loses_nothing_that_was_good() {
    let mut desk = games();
    desk.send(ANA, 2, &play("e4"));
    desk.send(ANA, 3, &play("e5"));
    desk.settle();
    desk.domain = build::<BUG>();
    desk.crash_and_spoil();
    desk.own();
    assert_eq!(desk.core.quarantined().len(), 1);
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","e4","e5""#));
}

#[test]
fn a_state_of_another_version_is_upcast_when_it_is_touched() {
    let mut desk = games();
    desk.first = 4;
    deploy::<UPCASTER>(&mut desk);
    desk.send(ANA, 2, &play("e4"));
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","e4""#));
    assert_eq!(desk.core.quarantined().len(), 0);
}

/// Entity by entity, and the others go on.
#[test]
fn a_state_of_another_version_is_folded_anew_while_others_go_on() {
    let mut desk = games();
    desk.send(ANA, 2, &play("e4"));
    store(&mut desk);
    desk.send(ANA, 3, &play("e5"));
    desk.settle();
    deploy::<NEW_VERSION>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    desk.connect(
        Socket {
            entity: "ledger/3",
            ..BEN
        },
        None,
    );
    desk.settle();
    assert!(desk.heard().concat().contains("welcome 1 0"));
    assert_eq!(desk.over, None);
    desk.pass(20);
    desk.fold_anew();
    desk.pass(20);
    desk.settle();
    assert_eq!(
        moves(&mut desk, ANA.entity),
        held(r#""d4","e4","e5","resigned""#)
    );
    assert_eq!(desk.core.quarantined().len(), 0);
}

#[test]
fn where_the_log_no_longer_reaches_back_another_version_waits_for_its_upcaster() {
    let mut desk = games();
    desk.first = 4;
    deploy::<NEW_VERSION>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    store(&mut desk);
    assert!(desk.anew.is_empty());
    assert_eq!(desk.core.quarantined().len(), 1);
    deploy::<UPCASTER>(&mut desk);
    desk.pass(20);
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","resigned""#));
}

#[test]
fn claims_condemn_only_the_handlers_that_need_them() {
    let mut desk = games();
    deploy::<NEW_CLAIM>(&mut desk);
    let ranked = r#"{"sub":"ben","rank":3}"#;
    desk.connect_as(BEN, None, ranked);
    desk.send(BEN, 1, &play("e4"));
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","e4""#));
    desk.heard();
    desk.send(ANA, 2, &play("e5"));
    desk.ask(BEN, "q");
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.ends_with("unreadable")),
        "{heard:?}"
    );
    assert!(
        heard.iter().any(|word| word.starts_with("fault ?q")),
        "{heard:?}"
    );
    // With a token that has it, everybody is whole again.
    desk.connect_as(
        Socket { attempt: 2, ..ANA },
        None,
        r#"{"sub":"ana","rank":2}"#,
    );
    desk.settle();
    desk.heard();
    desk.ask(BEN, "r");
    desk.settle();
    assert_eq!(desk.heard(), ["reply ?r 6 7"]);
}

#[test]
fn a_record_of_the_former_build_is_read() {
    let mut desk = games();
    let address: Address = ANA.entity.parse().unwrap();
    let record = desk.store.entity(&address).unwrap().unwrap();
    let stored = snapshot::stored(&record).unwrap();
    let first = StoredBefore {
        state_version: stored.state_version,
        runtime: stored.runtime,
        state: stored.state,
    };
    let header = desk.store.header().unwrap().unwrap();
    let entities = vec![(address, Some(sealed(&codec::encode(&first))))];
    desk.store
        .write(Batch {
            header,
            entities,
            ..Batch::default()
        })
        .unwrap();
    deploy::<FIRST>(&mut desk);
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4""#));
}

#[test]
fn a_retry_reads_it_again() {
    let mut desk = games();
    deploy::<NEW_FIELD>(&mut desk);
    let address: Address = ANA.entity.parse().unwrap();
    desk.core.retry(&address, desk.at()).unwrap();
    assert_eq!(desk.core.quarantined().len(), 1);
    assert!(desk.core.inspect(&address).unwrap().is_none());
}

/// By the machine's clock, and not by how long the node has been running.
#[test]
fn since_when_an_entity_is_in_quarantine_is_told_as_people_count() {
    let mut desk = games();
    desk.now = desk.now.plus_ms(86_400_000);
    deploy::<NEW_FIELD>(&mut desk);
    let address: Address = ANA.entity.parse().unwrap();
    let shown = desk.core.describe(&address).unwrap().expect("it exists");
    let quarantine = shown.quarantine.expect("it cannot be read");
    assert_eq!(quarantine.since, utc(desk.now));
    assert!(quarantine.reason.contains("clock"), "{quarantine:?}");
}
