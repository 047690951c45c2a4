//! A restored snapshot may hold entities that have seen more than its fold, and a quiet partition's stays ahead of
//! retention.

use std::sync::Arc;

use xp_protocol::events::Event;
use xp_protocol::{Address, Offset, codec};
use xp_state_node::published::position;
use xp_state_node::snapshot::{Ahead, sealed};
use xp_state_node::store::{Batch, MemoryStore, SnapshotStore};

use crate::desk::{ANA, Desk};
use crate::records::{add, event};
use crate::snapshots::{entries, stored};

fn address() -> Address {
    ANA.entity.parse().unwrap()
}

fn end(store: &dyn SnapshotStore) -> Offset {
    position(store).unwrap().unwrap().1
}

/// The fold's header of one moment, the entity of a later one.
fn fuzzy() -> (Desk, Offset) {
    let mut desk = stored();
    let header = desk.store.header().unwrap().unwrap();
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    desk.pass(1000);
    desk.settle();
    desk.save();
    let as_of = end(desk.store.as_ref());
    let mixed = MemoryStore::default();
    let pending = desk.store.pending_of(&address()).unwrap();
    let record = desk.store.entity(&address()).unwrap();
    let ahead = Ahead([(address(), as_of)].into());
    let batch = Batch {
        header,
        entities: vec![(address(), record)],
        pending: vec![(address(), pending)],
        ahead: Some(sealed(&codec::encode(&ahead))),
    };
    mixed.write(batch).unwrap();
    desk.store = Arc::new(mixed);
    (desk, as_of)
}

#[test]
fn an_entity_that_is_ahead_of_its_header_sees_no_record_twice() {
    let (mut desk, _) = fuzzy();
    desk.send(ANA, 3, &add("c"));
    desk.settle();
    desk.crash();
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b","c"]"#);
    desk.send(ANA, 4, &add("d"));
    desk.settle();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b","c","d"]"#);
}

/// Where it is not said that it is ahead, the snapshot is set aside instead.
#[test]
fn a_snapshot_is_cut_only_when_the_fold_has_caught_up_with_its_entities() {
    let (mut desk, as_of) = fuzzy();
    desk.crash();
    let whole = std::mem::take(&mut desk.log);
    let (before, rest) = whole.split_at(usize::try_from(as_of.0).unwrap());
    desk.log = before.to_vec();
    desk.replay();
    desk.pass(1000);
    assert!(desk.saves.is_empty());
    assert!(desk.store.ahead().unwrap().is_some());
    desk.log.extend_from_slice(rest);
    desk.own();
    desk.send(ANA, 3, &add("c"));
    desk.settle();
    desk.pass(1000);
    desk.settle();
    desk.save();
    assert!(desk.store.ahead().unwrap().is_none());
    desk.crash();
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b","c"]"#);
}

/// R35: a log that ends before what an entity has seen has lost what was committed.
#[test]
fn a_log_that_ends_before_what_an_entity_has_seen_is_a_loud_stop() {
    let (mut desk, as_of) = fuzzy();
    desk.log.truncate(usize::try_from(as_of.0).unwrap());
    desk.crash();
    desk.replay();
    desk.claim();
    desk.replay();
    let reason = desk.over.unwrap();
    assert!(reason.contains("shorter than its snapshot"), "{reason}");
}

/// R36: nothing happens for a long time, and the snapshot moves on all the same.
#[test]
fn a_quiet_partition_records_and_stores_its_position_now_and_then() {
    let mut desk = stored();
    let before = end(desk.store.as_ref());
    desk.pass(desk.limits.records.quiet.ms());
    desk.settle();
    desk.pass(desk.limits.records.quiet.ms());
    desk.settle();
    desk.save();
    assert!(end(desk.store.as_ref()) > before);
    let last = event(desk.log.last().unwrap());
    assert!(matches!(last, Event::Checkpoint(_)), "{last:?}");
    assert!(desk.store.entity(&address()).unwrap().is_some());
}

/// R36: everything up to the snapshot's own end is deleted, and nothing is missing.
#[test]
fn a_snapshot_that_ends_where_the_log_begins_covers_what_was_deleted() {
    let mut desk = stored();
    let end = end(desk.store.as_ref());
    desk.first = end.0 + 1;
    desk.crash();
    assert_eq!(desk.core.next_event(), Some(end.next()));
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a"]"#);
    desk.first = end.0 + 2;
    let refused = desk.try_reopen().unwrap_err().to_string();
    let says = format!("starts at offset {}, and the newest snapshot", end.0 + 2);
    assert!(refused.contains(&says), "{refused}");
    assert!(
        refused.contains(&format!("ends at offset {end}")),
        "{refused}"
    );
    let empty: Arc<dyn SnapshotStore> = Arc::new(MemoryStore::default());
    desk.store = empty;
    let refused = desk.try_reopen().unwrap_err().to_string();
    assert!(refused.contains("there is no snapshot"), "{refused}");
}
