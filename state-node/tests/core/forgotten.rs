//! Entities without events are forgotten with their last session, and stay so (R45).

use std::sync::Arc;

use xp_protocol::events::{Commit, Event};
use xp_protocol::inbound::ClientAction;
use xp_protocol::{Address, Revision, codec};
use xp_transport::Record;

use crate::desk::{ANA, Desk, Socket};
use crate::records::event;
use crate::tells::tell_to;
use xp_settings::Span;

pub(crate) const VISITOR: Socket = Socket {
    entity: "room/1",
    ..ANA
};

pub(crate) fn owning() -> Desk {
    let mut desk = Desk::owning();
    desk.limits.sessions.memory = Span::from_millis(1500);
    desk.crash();
    desk.own();
    // Nothing that the former owner has sent may still land.
    desk.pass(10_000);
    desk.settle();
    desk
}

/// Somebody comes and leaves for good; with `saves`, the snapshots of the time are written.
pub(crate) fn visit(desk: &mut Desk, attempt: u64, saves: bool) {
    let socket = Socket { attempt, ..VISITOR };
    desk.connect(socket, None);
    desk.settle();
    desk.say(socket, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    desk.pass(1000);
    desk.settle();
    if saves {
        desk.save();
    }
    desk.pass(desk.limits.sessions.memory.ms());
    desk.settle();
}

fn revisions(desk: &Desk, address: &str) -> Vec<u64> {
    let keyed = desk.log.iter().filter(|record| record.key == address);
    let commits = keyed.filter_map(|record| match event(record) {
        Event::Commit(commit) => Some(commit.revision.0),
        _ => None,
    });
    commits.collect()
}

/// The revision at which a room stands, if anything of it is known.
fn stands_at(desk: &mut Desk, address: &str) -> Option<u64> {
    let address: Address = address.parse().unwrap();
    let found = desk.core.inspect(&address).unwrap();
    found.map(|(revision, _)| revision.0)
}

/// Everything is read from the beginning of the log, on an empty disk.
fn replay_anew(desk: &mut Desk) {
    desk.store.clear().unwrap();
    desk.crash();
    desk.replay();
    assert_eq!(desk.over, None);
}

/// The snapshot that was cut while the room was remembered is still there when the next visitor comes.
#[test]
fn a_forgotten_entity_does_not_come_back_from_a_snapshot_that_was_cut_before() {
    let mut desk = owning();
    for attempt in 1..=3 {
        visit(&mut desk, attempt, true);
    }
    let seen = revisions(&desk, VISITOR.entity);
    assert_eq!(seen, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
    replay_anew(&mut desk);
    assert_eq!(stands_at(&mut desk, VISITOR.entity), None);
}

/// The log is right: revision 3, forgotten at 4, and 1 again; the snapshot stands at 3.
#[test]
fn a_snapshot_cut_before_an_entity_was_forgotten_is_used() {
    let mut desk = owning();
    visit(&mut desk, 1, true);
    visit(&mut desk, 2, false);
    desk.connect(
        Socket {
            attempt: 3,
            ..VISITOR
        },
        None,
    );
    desk.settle();
    assert!(
        desk.store
            .entity(&VISITOR.entity.parse().unwrap())
            .unwrap()
            .is_some()
    );
    desk.crash();
    assert!(
        desk.core.next_event().unwrap().0 > 0,
        "the snapshot is used"
    );
    desk.replay();
    assert_eq!(desk.over, None);
    assert_eq!(stands_at(&mut desk, VISITOR.entity), Some(1));
}

/// What is appended is committed, and nothing of it arrives at `outbound`.
fn commit_without_arriving(desk: &mut Desk) {
    while let Some(append) = desk.appends.pop_front() {
        let results = desk.append(&append.records);
        desk.answer(&append, results);
    }
}

/// `outbound` is away for longer than the room is remembered. Its next life would count from the beginning, and edges
/// could not tell what they hear of the last one from that.
#[test]
fn a_room_is_not_forgotten_while_edges_may_still_hear_of_it() {
    let mut desk = owning();
    desk.connect(VISITOR, None);
    desk.say(VISITOR, ClientAction::Disconnect { left: true }, "");
    for _ in 0..5 {
        desk.pass(desk.limits.sessions.memory.ms());
        commit_without_arriving(&mut desk);
    }
    assert_eq!(stands_at(&mut desk, VISITOR.entity), Some(3));
    desk.arrive();
    desk.pass(desk.limits.sessions.memory.ms());
    commit_without_arriving(&mut desk);
    assert_eq!(stands_at(&mut desk, VISITOR.entity), None);
}

/// A record that failed left again and arrived; the log may land its first copy all the same, and behind it.
#[test]
fn a_room_is_not_forgotten_while_a_copy_that_was_given_up_may_land() {
    let mut desk = owning();
    desk.connect(VISITOR, None);
    desk.say(VISITOR, ClientAction::Disconnect { left: true }, "");
    commit_without_arriving(&mut desk);
    let chained = desk.left.iter().find_map(|left| left.id).unwrap();
    desk.core.emitted(chained, false, desk.at());
    desk.pass(100);
    desk.settle();
    for _ in 0..5 {
        desk.pass(desk.limits.sessions.memory.ms());
        desk.settle();
    }
    assert_eq!(stands_at(&mut desk, VISITOR.entity), Some(3));
    desk.pass(10_000);
    desk.settle();
    assert_eq!(stands_at(&mut desk, VISITOR.entity), None);
}

/// What is forgotten waits for nothing, whatever the snapshot says of it.
#[test]
fn a_forgotten_entity_is_told_as_one_that_never_was() {
    let mut desk = owning();
    visit(&mut desk, 1, true);
    tell_to(&mut desk, 1, VISITOR.entity);
    desk.settle();
    assert_eq!(revisions(&desk, VISITOR.entity), [1, 2, 3, 4, 1]);
}

/// The commits of a log, with other revisions of the room, as the former build wrote them.
pub(crate) fn rewrite(desk: &mut Desk, revisions: &[u64]) {
    let mut wanted = revisions.iter();
    for record in &mut desk.log {
        let Event::Commit(commit) = event(record) else {
            continue;
        };
        if record.key != VISITOR.entity {
            continue;
        }
        let revision = Revision(*wanted.next().unwrap());
        let commit = Commit {
            revision,
            ..Arc::unwrap_or_clone(commit)
        };
        *record = Record {
            header: codec::encode(&Event::Commit(Arc::new(commit))).into(),
            ..record.clone()
        };
    }
    assert_eq!(wanted.next(), None);
}

/// R45: what the former build wrote is replayed, and ends where its writer stood.
#[test]
fn a_log_that_holds_the_revisions_of_a_forgotten_entity_twice_is_replayed() {
    let mut desk = owning();
    for attempt in 1..=3 {
        visit(&mut desk, attempt, true);
    }
    desk.connect(
        Socket {
            attempt: 4,
            ..VISITOR
        },
        None,
    );
    desk.settle();
    rewrite(&mut desk, &[1, 2, 3, 4, 1, 2, 3, 4, 4, 5, 6, 7, 4]);
    replay_anew(&mut desk);
    assert_eq!(stands_at(&mut desk, VISITOR.entity), Some(4));
    desk.own();
    desk.send(
        Socket {
            attempt: 4,
            ..VISITOR
        },
        1,
        r#"{"Say":"hello"}"#,
    );
    desk.settle();
    assert_eq!(stands_at(&mut desk, VISITOR.entity), Some(5));
}

/// R45 reaches no further than what never had an event: what contradicts the log otherwise is set aside, alone.
#[test]
fn an_entity_with_events_whose_revisions_jump_is_quarantined_and_its_partition_goes_on() {
    let mut desk = owning();
    desk.connect(VISITOR, None);
    desk.send(VISITOR, 1, r#"{"Say":"one"}"#);
    desk.send(VISITOR, 2, r#"{"Say":"two"}"#);
    desk.connect(ANA, None);
    desk.settle();
    rewrite(&mut desk, &[1, 2, 2]);
    replay_anew(&mut desk);
    desk.own();
    desk.send(VISITOR, 3, r#"{"Say":"three"}"#);
    desk.send(ANA, 1, &crate::records::add("a"));
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.contains("quarantined")),
        "{heard:?}"
    );
    assert!(desk.state().1.contains(r#""a""#));
}
