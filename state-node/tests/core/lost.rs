//! R36: what is stored of one entity is damaged, and the log no longer holds what came before. That entity alone is set
//! aside, by name; where nothing at all is known, the partition stops and says so.

use bytes::Bytes;
use xp_protocol::Address;
use xp_protocol::inbound::ClientAction;
use xp_state_node::store::Batch;

use crate::desk::{ANA, Desk, Socket};
use crate::game::FIRST;
use crate::quarantine::{OTHER, deploy, games, held, moves, play, quarantined, store};
use crate::tells::tell_as;

const OTHER_AGAIN: Socket = Socket {
    attempt: 2,
    ..OTHER
};

fn ana() -> Address {
    ANA.entity.parse().unwrap()
}

fn damaged(record: Bytes) -> Bytes {
    let mut bytes = record.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.into()
}

/// Puts this in the place of what is stored of the first game, and cuts the log so that it cannot rebuild it.
fn spoil(desk: &mut Desk, entity: Option<Bytes>, waiting: Option<Bytes>) {
    let batch = Batch {
        header: desk.store.header().unwrap().unwrap(),
        entities: vec![(ana(), entity)],
        pending: vec![(ana(), waiting)],
        ahead: None,
    };
    desk.store.write(batch).unwrap();
    desk.first = 4;
}

/// What is stored of it, and of what waits for it.
fn stored(desk: &Desk) -> (Bytes, Option<Bytes>) {
    let record = desk.store.entity(&ana()).unwrap().unwrap();
    (record, desk.store.pending_of(&ana()).unwrap())
}

#[test]
fn a_damaged_entity_condemns_nothing_but_itself_where_the_log_cannot_rebuild_it() {
    let mut desk = games();
    desk.send(ANA, 2, r#"{"type":"Clock","data":{"ms":5000}}"#);
    store(&mut desk);
    let (record, waiting) = stored(&desk);
    spoil(&mut desk, Some(damaged(record.clone())), waiting.clone());
    deploy::<FIRST>(&mut desk);
    desk.send(ANA, 3, &play("e4"));
    desk.send(OTHER, 2, &play("e5"));
    desk.settle();
    let heard = desk.heard();
    assert_eq!(heard[0], "close quarantined");
    assert!(heard.concat().contains("reply 2"), "{heard:?}");
    assert_eq!(
        (quarantined(&desk), &desk.over),
        (vec![ANA.entity.to_owned()], &None)
    );
    assert!(desk.core.is_lacking(), "who has it whole should own it");
    desk.connect(Socket { attempt: 2, ..ANA }, None);
    desk.settle();
    assert_eq!(desk.heard(), ["close quarantined"]);
    // Nothing is used up, and nothing recorded of what is not known.
    desk.say(ANA, ClientAction::Disconnect { left: false }, "");
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    desk.pass(5000);
    desk.lose_edge(ANA.edge);
    desk.settle();
    assert!(
        desk.core.fold().tells.taken().is_empty(),
        "its source tells it again"
    );
    assert_ne!(desk.core.due_in_ms(desk.at()), Some(0), "it spins");
    store(&mut desk);
    let same = damaged(record.clone());
    assert_eq!(stored(&desk).0, same, "it is kept for who may mend it");
    assert_eq!(
        moves(&mut desk, OTHER.entity),
        held(r#""d4","e5","ana went""#)
    );
    // Somebody restores it.
    spoil(&mut desk, Some(record), waiting);
    deploy::<FIRST>(&mut desk);
    tell_as(&mut desk, 1, ANA.entity, "resigned");
    desk.pass(20);
    desk.settle();
    let whole = held(r#""d4","ana went","flag fell","resigned""#);
    assert_eq!(moves(&mut desk, ANA.entity), whole);
}

/// What another owner recorded for it meanwhile does not fit to what is here.
#[test]
fn an_entity_whose_record_is_of_another_time_is_lost_alone() {
    let mut desk = games();
    desk.send(ANA, 2, &play("e4"));
    desk.send(OTHER, 2, &play("e5"));
    desk.settle();
    spoil(&mut desk, None, None);
    deploy::<FIRST>(&mut desk);
    assert_eq!(
        (quarantined(&desk), &desk.over),
        (vec![ANA.entity.to_owned()], &None)
    );
    assert_eq!(moves(&mut desk, OTHER.entity), held(r#""d4","e5""#));
    // Nothing stored shows that it is lost, so no cut passes what was not folded of it.
    desk.connect(OTHER_AGAIN, None);
    store(&mut desk);
    deploy::<FIRST>(&mut desk);
    assert_eq!(quarantined(&desk), [ANA.entity]);
}

#[test]
fn what_waits_is_taken_from_the_entity_where_its_index_is_damaged() {
    let mut desk = games();
    desk.send(ANA, 2, r#"{"type":"Clock","data":{"ms":5000}}"#);
    store(&mut desk);
    let (record, waiting) = stored(&desk);
    spoil(&mut desk, Some(record), waiting.map(damaged));
    deploy::<FIRST>(&mut desk);
    desk.pass(5000);
    desk.settle();
    assert_eq!(moves(&mut desk, ANA.entity), held(r#""d4","flag fell""#));
}

#[test]
fn where_nothing_can_be_known_the_partition_stops_and_says_so() {
    let mut desk = games();
    let header = desk.store.header().unwrap().unwrap();
    spoil(&mut desk, None, None);
    let batch = Batch {
        header: damaged(header),
        ..Batch::default()
    };
    desk.store.write(batch).unwrap();
    let refused = desk.try_reopen().unwrap_err().to_string();
    assert!(refused.contains("Restore the snapshots"), "{refused}");
}
