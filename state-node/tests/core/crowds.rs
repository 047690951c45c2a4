//! Entities that many have been at: what one more costs, and how many there may be (R26, R27).

use std::sync::Arc;

use xp_protocol::inbound::ClientAction;
use xp_settings::Span;
use xp_state_node::Limits;
use xp_state_node::store::MemoryStore;

use crate::desk::{ANA, BEN, Desk, Socket, bounded};
use crate::records::add;

fn visit(connection: u128) -> Socket {
    Socket { connection, ..ANA }
}

fn leave(desk: &mut Desk, who: Socket) {
    desk.say(who, ClientAction::Disconnect { left: true }, "");
    desk.settle();
}

fn limited(limits: Limits) -> Desk {
    let mut desk = Desk::with(limits, Arc::new(MemoryStore::default()));
    desk.own();
    desk
}

/// Every dial once paid for all sessions that the entity remembered.
#[test]
fn a_dial_touches_what_it_names_however_many_sessions_are_remembered() {
    let mut desk = limited(bounded(|limits| limits.sessions.per_subject = 10_000));
    let mut costs = Vec::new();
    for connection in 10..3_010 {
        let before = desk.core.index_work();
        desk.connect(visit(connection), None);
        leave(&mut desk, visit(connection));
        costs.push(desk.core.index_work() - before);
        desk.left.clear();
    }
    assert!(costs[0] > 0);
    assert_eq!(costs.iter().max(), costs.iter().min());
}

/// R26: each of them is still forgotten at its time, also after a restart.
#[test]
fn who_left_is_forgotten_in_time_although_others_came_since() {
    let mut desk = limited(bounded(|limits| {
        limits.sessions.memory = Span::from_millis(1_000)
    }));
    desk.connect(BEN, None);
    desk.settle();
    for connection in 10..20 {
        desk.connect(visit(connection), None);
        leave(&mut desk, visit(connection));
        desk.pass(10);
    }
    desk.crash();
    desk.own();
    desk.settle();
    desk.pass(5_000);
    desk.settle();
    desk.connect(visit(12), Some(1));
    desk.settle();
    assert_eq!(desk.heard().last().unwrap(), "close session-expired");
}

/// A subject that begins session after session shuts nobody out but itself.
#[test]
fn a_subject_has_so_many_remembered_sessions_at_an_entity_and_no_more() {
    let mut desk = limited(bounded(|limits| {
        limits.sessions.per_subject = 3;
        limits.sessions.memory = Span::from_millis(1_000);
    }));
    desk.connect(BEN, None);
    for connection in [10, 11] {
        desk.connect(visit(connection), None);
        leave(&mut desk, visit(connection));
    }
    desk.heard();
    desk.connect(visit(12), None);
    desk.settle();
    assert_eq!(desk.heard(), ["close too-many-connections"]);
    // One that is remembered comes back.
    desk.connect(
        Socket {
            attempt: 2,
            ..visit(10)
        },
        None,
    );
    desk.settle();
    assert!(desk.heard()[0].starts_with("welcome"));
    leave(
        &mut desk,
        Socket {
            attempt: 2,
            ..visit(10)
        },
    );
    desk.pass(5_000);
    desk.settle();
    desk.heard();
    desk.connect(visit(12), None);
    desk.settle();
    assert!(desk.heard()[0].starts_with("welcome"), "they are forgotten");
}

#[test]
fn a_subject_enters_so_many_new_entities_a_minute_and_no_more() {
    let mut desk = limited(bounded(|limits| limits.sessions.entities_per_subject = 1));
    let second = Socket {
        entity: "ledger/2",
        ..ANA
    };
    desk.connect(ANA, None);
    desk.connect(second, None);
    desk.settle();
    let heard = desk.heard();
    assert_eq!(heard.last().unwrap(), "close too-fast", "{heard:?}");
    // One that is there already is not new.
    desk.connect(BEN, None);
    desk.settle();
    assert!(desk.heard()[0].starts_with("welcome"));
    desk.pass(60_000);
    desk.connect(second, None);
    desk.settle();
    assert!(desk.heard().last().unwrap().starts_with("welcome"));
}

/// R27: a client whose clock was put right counts from below.
#[test]
fn a_lower_attempt_comes_in_when_nobody_has_the_session() {
    let mut desk = Desk::owning();
    let ahead = Socket {
        attempt: 25_200_000,
        ..ANA
    };
    let right = Socket { attempt: 7, ..ANA };
    desk.connect(ahead, None);
    desk.send(ahead, 1, &add("a"));
    desk.settle();
    desk.heard();
    // While the socket from before is attached, this one might be late.
    desk.connect(right, Some(2));
    desk.settle();
    assert_eq!(desk.heard(), [""; 0]);
    desk.say(ahead, ClientAction::Disconnect { left: false }, "");
    desk.settle();
    desk.heard();
    desk.connect(right, Some(2));
    desk.send(right, 1, &add("a"));
    desk.send(right, 2, &add("b"));
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.starts_with("resumed")),
        "{heard:?}"
    );
    assert!(
        desk.state().1.contains(r#"["a","b"]"#),
        "{}",
        desk.state().1
    );
}

/// R27, R28: one that was late all the same is followed by its edge's goodbye, and takes nothing from who is attached.
#[test]
fn a_late_connect_of_a_dead_socket_takes_no_session_from_who_has_it() {
    let mut desk = Desk::owning();
    let newer = Socket { attempt: 2, ..ANA };
    desk.connect(newer, None);
    desk.settle();
    desk.heard();
    desk.connect(ANA, None);
    desk.settle();
    assert_eq!(desk.heard(), [""; 0]);
    desk.say(newer, ClientAction::Disconnect { left: false }, "");
    desk.connect(ANA, None);
    desk.say(ANA, ClientAction::Disconnect { left: false }, "");
    let newest = Socket { attempt: 3, ..ANA };
    desk.connect(newest, None);
    desk.settle();
    desk.heard();
    desk.send(newest, 1, &add("a"));
    desk.settle();
    let heard = desk.heard();
    assert!(
        heard.iter().any(|word| word.contains("reply 1")),
        "{heard:?}"
    );
}
