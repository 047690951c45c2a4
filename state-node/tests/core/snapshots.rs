//! Snapshots are checked against the log before use, and the log can rebuild them (R35, R36).

use crate::desk::{ANA, BEN, Desk};
use crate::records::{add, failed};
use crate::tells::tell_to as tell;
use bytes::Bytes;
use xp_protocol::codec;
use xp_protocol::inbound::ClientAction;
use xp_settings::Span;
use xp_state_node::snapshot::{Stored, unsealed};

/// A partition with one stored snapshot of revision 2.
pub(crate) fn stored() -> Desk {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.settle();
    desk.pass(1000);
    desk.settle();
    assert_eq!(desk.saves.len(), 1);
    desk.save();
    desk
}

/// Appends and acknowledges what waits; what leaves does not arrive.
fn commit(desk: &mut Desk) {
    while let Some(append) = desk.appends.pop_front() {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
}

pub(crate) fn entries(desk: &mut Desk) -> String {
    let (_, state) = desk.state();
    let end = state.find(']').unwrap();
    state[..=end].to_owned()
}

/// R35: what is not committed may never have been.
#[test]
fn a_snapshot_is_written_only_when_its_cut_is_committed() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.pass(1000);
    assert!(desk.saves.is_empty());
    desk.settle();
    assert_eq!(desk.saves.len(), 1);
}

#[test]
fn a_snapshot_spares_the_replay_of_what_it_holds() {
    let mut desk = stored();
    desk.crash();
    let next = desk.core.next_event().unwrap();
    assert!(next.0 >= 2, "it reads from {next}");
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a"]"#);
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b"]"#);
}

/// R35: a write of an earlier life that lands behind the opening leaves entities of another time.
#[test]
fn an_entity_that_has_seen_what_is_to_be_folded_sets_the_snapshot_aside() {
    let mut desk = stored();
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    desk.pass(1000);
    desk.settle();
    let late = std::mem::take(&mut desk.saves);
    assert_eq!(late.len(), 1);
    desk.crash();
    for batch in late {
        desk.store.write(batch).unwrap();
    }
    desk.replay();
    assert_eq!(desk.over.as_deref(), Some("lost"));
    desk.crash();
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b"]"#);
}

/// Only the shell knows which writes are on their way, so the store is cleared behind them, and by nobody else.
#[test]
fn a_snapshot_is_thrown_away_behind_what_was_to_be_written_before() {
    let mut desk = stored();
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    desk.pass(1000);
    desk.settle();
    let late = std::mem::take(&mut desk.saves);
    desk.crash();
    for batch in late {
        desk.store.write(batch).unwrap();
    }
    let next = desk.core.next_event().unwrap().0;
    let tail = desk.stored(next, desk.log.len() as u64);
    desk.core.on_events(&tail, desk.at());
    assert!(
        desk.store.header().unwrap().is_some(),
        "the core clears nothing"
    );
    desk.perform();
    assert!(desk.store.header().unwrap().is_none());
    assert_eq!(desk.over.as_deref(), Some("lost"));
}

/// R6, R8: what may not have gone out is in the log behind the snapshot's position, and is known with it.
#[test]
fn what_may_not_have_gone_out_goes_out_again_after_a_snapshot() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    desk.send(ANA, 1, &add("a"));
    commit(&mut desk);
    let lost = desk.left.remove(0).record;
    desk.pass(1000);
    commit(&mut desk);
    desk.save();
    desk.crash();
    desk.own();
    assert!(desk.left.iter().any(|left| left.record == lost));
}

/// R8, R12: copies that arrived out of turn stand between, and must not hide the ones that count.
#[test]
fn what_goes_out_again_after_a_snapshot_is_what_counts_in_the_log() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.left.clear();
    desk.send(ANA, 1, &add("a"));
    commit(&mut desk);
    desk.send(ANA, 2, &add("b"));
    desk.send(ANA, 3, &add("c"));
    let first = desk.appends.pop_front().unwrap();
    let second = desk.appends.pop_front().unwrap();
    // The first append fails, the second arrives, out of turn; then both go out again.
    desk.answer(&first, vec![Err(failed())]);
    let results = desk.append(&second.records);
    desk.answer(&second, results);
    desk.pass(50);
    commit(&mut desk);
    desk.read_gap();
    let lost: Vec<_> = desk.left.iter().map(|left| left.record.clone()).collect();
    assert_eq!(lost.len(), 3);
    desk.pass(1000);
    commit(&mut desk);
    desk.save();
    desk.crash();
    desk.own();
    let again: Vec<_> = desk.left.iter().map(|left| left.record.clone()).collect();
    assert_eq!(again, lost);
}

/// R35: a snapshot of another history than the log's is thrown away, and the log replayed.
#[test]
fn a_snapshot_whose_last_record_is_not_in_the_log_is_not_used() {
    let mut desk = stored();
    let mut other = Desk::owning();
    other.connect(BEN, None);
    other.send(BEN, 1, &add("other"));
    other.settle();
    other.crash();
    other.own();
    other.send(BEN, 2, &add("history"));
    other.settle();
    for entry in 3..6 {
        other.send(BEN, entry, &add("x"));
    }
    other.settle();
    desk.log = other.log;
    desk.crash();
    desk.replay();
    assert_eq!(desk.over.as_deref(), Some("lost"));
    desk.crash();
    assert_eq!(desk.core.next_event().unwrap().0, 0);
    desk.replay();
    assert_eq!(
        entries(&mut desk),
        r#"{"entries":["other","history","x","x","x"]"#
    );
}

/// R35: a log that ends before its snapshot has lost what was committed; a person must look.
#[test]
fn a_log_that_ends_before_its_snapshot_is_a_loud_stop() {
    let mut desk = stored();
    let end = desk.core.fold().last_valid.unwrap();
    desk.crash();
    let next = desk.core.next_event().unwrap();
    assert!(next <= end);
    desk.log.truncate(usize::try_from(next.0).unwrap());
    desk.crash();
    desk.claim();
    desk.replay();
    let reason = desk.over.unwrap();
    assert!(reason.contains("shorter than its snapshot"), "{reason}");
}

/// R36: what retention deleted can only come from a snapshot.
#[test]
fn a_log_that_starts_later_is_refused_without_a_snapshot_that_covers_it() {
    let mut desk = stored();
    desk.first = 2;
    desk.try_reopen().unwrap();
    desk.store.clear().unwrap();
    let refused = desk.try_reopen().unwrap_err().to_string();
    assert!(refused.contains("starts at offset 2"), "{refused}");
}

#[test]
fn a_store_that_lost_everything_is_rebuilt_from_the_log() {
    let mut desk = stored();
    desk.store.clear().unwrap();
    desk.crash();
    assert_eq!(desk.core.next_event().unwrap().0, 0);
    desk.own();
    assert_eq!(entries(&mut desk), r#"{"entries":["a"]"#);
}

/// R36: a damaged record of one entity is found when the entity is touched.
#[test]
fn a_damaged_entity_is_rebuilt_from_the_log() {
    let mut desk = stored();
    let address = ANA.entity.parse().unwrap();
    let mut record = desk.store.entity(&address).unwrap().unwrap().to_vec();
    let last = record.len() - 1;
    record[last] ^= 1;
    let batch = xp_state_node::store::Batch {
        header: desk.store.header().unwrap().unwrap(),
        entities: vec![(address, Some(Bytes::from(record)))],
        pending: Vec::new(),
        ahead: None,
    };
    desk.store.write(batch).unwrap();
    desk.crash();
    desk.own();
    desk.send(ANA, 2, &add("b"));
    assert_eq!(desk.over.as_deref(), Some("lost"));
    desk.crash();
    desk.own();
    desk.send(ANA, 2, &add("b"));
    desk.settle();
    assert_eq!(entries(&mut desk), r#"{"entries":["a","b"]"#);
}

/// A session that only the snapshot knows is found lost when its edge is, and its timers fire.
#[test]
fn entities_on_disk_are_found_by_their_timers_and_edges() {
    let mut desk = stored();
    desk.crash();
    desk.own();
    assert_eq!(desk.core.resident(), 0);
    desk.lose_edge(ANA.edge);
    desk.settle();
    desk.pass(desk.limits.sessions.grace.ms());
    desk.settle();
    assert!(
        desk.state().1.contains(r#""present":0"#),
        "{}",
        desk.state().1
    );
}

/// What sessions, timers and tickets cost, an entity costs only while it has them.
#[test]
fn an_entity_that_nobody_remembers_is_stored_as_its_state_alone() {
    let mut desk = stored();
    desk.say(ANA, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    desk.pass(desk.limits.sessions.memory.ms());
    desk.settle();
    desk.pass(1000);
    desk.settle();
    desk.save();
    let record = desk.store.entity(&ANA.entity.parse().unwrap());
    let record = record.unwrap().unwrap();
    let stored: Stored = codec::decode(unsealed(&record).unwrap()).unwrap();
    assert!(stored.runtime.busy.is_none(), "{:?}", stored.runtime);
    assert!(desk.store.pending().unwrap().is_empty());
}

/// Idle entities leave memory when they are stored, those touched meanwhile stay, and no tick looks at all.
#[test]
fn what_was_not_touched_for_a_while_leaves_memory() {
    let mut desk = Desk::owning();
    desk.limits.residents.passivate = Span::from_millis(10_000);
    desk.limits.residents.min = 0;
    desk.crash();
    desk.own();
    tell(&mut desk, 1, "ledger/quiet");
    tell(&mut desk, 2, "ledger/lively");
    for number in 3..10 {
        for _ in 0..3 {
            desk.pass(1000);
            desk.settle();
            desk.save();
        }
        tell(&mut desk, number, "ledger/lively");
    }
    assert_eq!(desk.core.resident(), 1);
    let quiet = desk.core.inspect(&"ledger/quiet".parse().unwrap());
    assert_eq!(
        quiet.unwrap().unwrap().0.0,
        1,
        "and comes back from its snapshot"
    );
    desk.pass(10_000);
    assert_eq!(
        desk.core.resident(),
        1,
        "what was only looked at leaves again"
    );
}
