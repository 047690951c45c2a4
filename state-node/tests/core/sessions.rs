//! Sessions, their ends and their timers (R26–R29, R33).

use std::sync::Arc;

use xp_settings::Size;
use xp_state_node::store::MemoryStore;

use crate::desk::{ANA, BEN, Desk, Socket, bounded};
use crate::records::{add, words};
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::{DialAttempt, codec};

const MOURNS: &str = r#"{"sub":"ana","mourns":true}"#;
const LATER: &str = r#"{"type":"Nothing"}"#;

fn alarm(ms: u64) -> String {
    format!(r#"{{"type":"Alarm","data":{{"ms":{ms}}}}}"#)
}

/// R24, R28: a welcome names the edge and the attempt it is for, so that an edge without it can say so.
#[test]
fn a_welcome_names_its_edge_and_attempt() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    let header: Outbound = codec::decode(&desk.left[0].record.header).unwrap();
    let delivery = &header.deliveries[0];
    let Item::Welcome { edge, .. } = delivery.item else {
        panic!("{delivery:?}")
    };
    assert_eq!(edge.0.as_u128(), ANA.edge);
    let Recipients::Only(sockets) = &delivery.to else {
        panic!("{delivery:?}")
    };
    assert_eq!(sockets[0].attempt, DialAttempt(1));
}

/// R27: what a socket said that is not the session's any more is not heard.
#[test]
fn words_of_an_older_attempt_or_of_a_detached_session_are_ignored() {
    let mut desk = Desk::owning();
    let newer = Socket { attempt: 2, ..ANA };
    desk.connect(ANA, None);
    desk.connect(newer, None);
    desk.settle();
    desk.heard();
    desk.send(ANA, 1, &add("a"));
    desk.say(ANA, ClientAction::Disconnect { left: false }, "");
    assert!(desk.appends.is_empty());
    desk.say(newer, ClientAction::Disconnect { left: false }, "");
    desk.settle();
    desk.send(newer, 1, &add("a"));
    assert!(desk.appends.is_empty());
}

/// R29: an evicted edge speaks for nobody, and the sessions on it wait for another one.
#[test]
fn the_sessions_of_a_lost_edge_are_detached_and_its_messages_ignored() {
    let mut desk = Desk::owning();
    desk.join_edge(701);
    let elsewhere = Socket { edge: 701, ..BEN };
    desk.connect(ANA, None);
    desk.connect(elsewhere, None);
    desk.settle();
    desk.lose_edge(ANA.edge);
    assert_eq!(desk.appends.len(), 1, "one session was there");
    desk.settle();
    desk.send(ANA, 1, &add("a"));
    assert!(desk.appends.is_empty());
    desk.send(elsewhere, 1, &add("b"));
    desk.settle();
    assert_eq!(desk.state().0, 4);
}

/// R29: a verdict about an edge is one commit of the entity, and each session hears of it in turn.
#[test]
fn all_sessions_of_a_lost_edge_are_detached_by_one_commit_in_turn() {
    let mut desk = Desk::owning();
    desk.join_edge(701);
    let elsewhere = |connection| Socket {
        edge: 701,
        connection,
        ..ANA
    };
    desk.connect(ANA, None);
    for connection in [3, 4, 5] {
        desk.connect_as(elsewhere(connection), None, MOURNS);
    }
    desk.settle();
    desk.heard();
    desk.lose_edge(701);
    assert_eq!(desk.appends.len(), 1);
    desk.settle();
    let commits = desk.commits();
    let verdict = commits.last().unwrap();
    assert_eq!(
        (commits.len(), verdict.revision.0, verdict.event_count),
        (5, 5, 3)
    );
    let heard = desk.heard();
    let closes = heard.iter().filter(|word| *word == "close come-back");
    assert_eq!(closes.count(), 3, "{heard:?}");
    let events = heard.iter().filter(|word| word.starts_with("event 5"));
    assert_eq!(events.count(), 1, "one frame for everybody: {heard:?}");
    let told = r#"["0 written, 4 here","1 written, 3 here","2 written, 2 here"]"#;
    assert!(desk.state().1.contains(told), "{}", desk.state().1);
    // The log tells the same to whoever folds it.
    desk.crash();
    desk.own();
    assert!(desk.appends.is_empty(), "nobody is detached twice");
    assert!(desk.state().1.contains(told), "{}", desk.state().1);
}

/// R9, R29: more sessions than one record holds take several commits, and none of them is a fault.
#[test]
fn a_verdict_too_large_for_one_record_takes_several_commits() {
    let limits = bounded(|limits| limits.records.bytes_max = Size(16_384));
    let mut desk = Desk::with(limits, Arc::new(MemoryStore::default()));
    desk.own();
    for connection in 1..=50 {
        desk.connect_as(Socket { connection, ..ANA }, None, MOURNS);
    }
    desk.settle();
    desk.lose_edge(ANA.edge);
    desk.settle();
    let commits = desk.commits().len() - 50;
    assert!((2..=20).contains(&commits), "{commits} commits");
    let state = desk.state().1;
    assert!(state.contains("49 written, 1 here"), "{state}");
}

/// R26: `terminated` comes once, whoever owns the partition when the grace is over.
#[test]
fn a_session_ends_once_across_owners() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.connect(BEN, None);
    desk.say(ANA, ClientAction::Disconnect { left: false }, "");
    desk.settle();
    desk.crash();
    desk.own();
    desk.pass(desk.limits.sessions.grace.ms());
    desk.settle();
    desk.crash();
    desk.own();
    desk.pass(desk.limits.sessions.grace.ms());
    desk.settle();
    assert!(desk.state().1.contains(r#""present":1"#));
}

/// R26: the numbers outlive the session's end, so that a command sent again in a new life runs once.
#[test]
fn a_new_life_of_a_session_keeps_its_numbers_and_answers() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    desk.say(ANA, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    let again = Socket { attempt: 2, ..ANA };
    desk.connect(again, None);
    desk.settle();
    desk.heard();
    desk.send(again, 1, &add("a"));
    assert_eq!(desk.heard(), ["reply 1 2 1"]);
    assert!(desk.appends.is_empty());
}

/// R26: the memory of a session ends by a durable timer, and then a resume is refused.
#[test]
fn an_ended_session_is_forgotten_after_its_memory() {
    let mut desk = Desk::owning();
    desk.connect(BEN, None);
    desk.connect(ANA, None);
    desk.say(ANA, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    desk.crash();
    desk.own();
    desk.pass(desk.limits.sessions.memory.ms());
    desk.settle();
    desk.heard();
    desk.connect(Socket { attempt: 2, ..ANA }, Some(1));
    desk.settle();
    assert_eq!(desk.heard(), ["close session-expired"]);
}

/// R33: nobody waits for ever; what a session waited for when it ended is a stored fault.
#[test]
fn ending_a_session_faults_its_open_tickets() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, LATER);
    desk.send(ANA, 1, LATER);
    desk.settle();
    assert_eq!(
        desk.heard().len(),
        1,
        "the repeated number waits on the same ticket"
    );
    desk.say(ANA, ClientAction::Disconnect { left: true }, "");
    let again = Socket { attempt: 2, ..ANA };
    desk.connect(again, None);
    desk.settle();
    desk.heard();
    desk.send(again, 1, LATER);
    assert_eq!(desk.heard(), ["fault 1 4 unanswered"]);
    // The ticket's own timer finds nothing to do.
    let length = desk.log.len();
    desk.pass(desk.limits.ticket.ms());
    let commits = desk.appends.iter().flat_map(|append| &append.records);
    let commits = commits.filter(|record| !record.key.is_empty()).count();
    assert_eq!((commits, desk.log.len()), (0, length));
}

/// One timer per name: the last time set is the one at which it fires, once, whoever owns it then.
#[test]
fn a_timer_that_was_moved_fires_once_at_its_last_time() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &alarm(1000));
    desk.send(ANA, 2, &alarm(5000));
    desk.settle();
    desk.heard();
    desk.pass(1000);
    desk.settle();
    assert!(desk.heard().is_empty());
    desk.crash();
    desk.own();
    desk.pass(4000);
    desk.settle();
    desk.crash();
    desk.own();
    desk.pass(60_000);
    desk.settle();
    assert!(
        desk.state().1.contains(r#"["alarm"]"#),
        "{}",
        desk.state().1
    );
}

/// A timer's time is the owner's, never before it was due, and time never runs back in an entity.
#[test]
fn time_never_runs_back_in_an_entity() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.send(ANA, 1, &alarm(1000));
    desk.pass(3000);
    desk.now = xp_protocol::TimeMs(desk.now.0 - 20_000);
    desk.send(ANA, 2, &add("a"));
    desk.settle();
    let times: Vec<_> = desk.commits().iter().map(|commit| commit.now.0).collect();
    assert_eq!(times, [1_000_000, 1_000_000, 1_003_000, 1_003_000]);
}

/// R23: who is detached is told so inside the chain, in case its edge still holds it.
#[test]
fn a_detached_session_is_closed_inside_the_chain() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.lose_edge(ANA.edge);
    let append = desk.appends.pop_front().unwrap();
    let results = desk.append(&append.records);
    desk.answer(&append, results);
    let left = &desk.left[0];
    assert!(left.id.is_some(), "it belongs to the chain");
    assert_eq!(words(&left.record), ["close come-back"]);
}

/// What `connected` shows is for those who were there; the newcomer sees its welcome, whatever is whispered.
#[test]
fn a_newcomer_sees_its_welcome_alone() {
    let mut desk = Desk::owning();
    desk.connect(ANA, None);
    desk.settle();
    desk.heard();
    desk.connect_as(BEN, None, r#"{"sub":"ana","greets":true}"#);
    desk.settle();
    let heard = desk.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("event 2") && heard[0].contains("somebody came"));
    assert!(heard[1].starts_with("welcome 2 0") && !heard[1].contains("you came"));
}

/// `reconnected` is decided with the claims the session had; those of the new token hold once it is decided.
#[test]
fn the_claims_of_a_new_token_hold_after_the_reconnect_is_decided() {
    let mut desk = Desk::owning();
    desk.connect(BEN, None);
    desk.connect(ANA, None);
    desk.settle();
    let mut backs = Vec::new();
    for attempt in 2..4 {
        desk.heard();
        let again = Socket { attempt, ..ANA };
        desk.connect_as(again, None, r#"{"sub":"ana","greets":true}"#);
        desk.settle();
        let heard = desk.heard();
        backs.push(heard.iter().any(|word| word.contains("somebody is back")));
    }
    assert_eq!(backs, [false, true]);
}
