//! Sessions begin, are lost, come back and end.

use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, DialAttempt, Revision};

use crate::edge::{Client, Edge};
use crate::world::{World, add};

#[tokio::test]
async fn a_resume_repeats_exactly_what_was_missed_from_memory_and_from_the_log() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, mut ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    for client in [&ana, &ben] {
        edge.connect(client, None).await;
        edge.welcome(client).await;
    }
    edge.say(&ben, ClientAction::Disconnect { left: false }, "")
        .await;
    for entry in ["a", "b", "c"] {
        edge.ask(&mut ana, &add(entry)).await;
    }
    ben.attempt = DialAttempt(2);
    let missed = resume(&mut edge, &ben, 2).await;
    assert_eq!(missed, ["a", "b", "c"]);

    // What was in memory is gone after a restart, and the log has it.
    world.restart().await;
    let mut edge = world.edge().await;
    ben.attempt = DialAttempt(3);
    let missed = resume(&mut edge, &ben, 3).await;
    assert_eq!(missed, ["a", "b", "c"], "revision 3 was the disconnect");
}

/// Connects with `since` and returns the entries of the events that follow, up to the revision announced.
async fn resume(edge: &mut Edge, client: &Client, since: u64) -> Vec<String> {
    edge.connect(client, Some(since)).await;
    let resumed = edge
        .hear(client, |heard| {
            matches!(heard.item, Item::Resumed { .. } | Item::Welcome { .. })
        })
        .await;
    let Item::Resumed {
        since: echoed,
        upto,
        announce,
        ..
    } = resumed.item
    else {
        panic!("started over: {resumed:?}")
    };
    assert_eq!((echoed, announce), (Revision(since), true));
    let mut missed = Vec::new();
    while missed.len() < 3 {
        let event = edge
            .hear(client, |heard| matches!(heard.item, Item::Event { .. }))
            .await;
        let Item::Event { revision, .. } = event.item else {
            unreachable!()
        };
        assert!(revision > echoed && revision <= upto && !event.chained);
        let outputs: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        missed.push(outputs[0]["data"]["entry"].as_str().unwrap().to_owned());
    }
    missed
}

#[tokio::test]
async fn a_resume_of_a_forgotten_session_is_refused() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let ana = Client::new("ledger/1", 1);
    edge.connect(&ana, Some(4)).await;
    let close = Item::Close {
        code: CloseCode::SessionExpired,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
}

#[tokio::test]
async fn a_refused_connection_leaves_neither_session_nor_entity() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect_as(&ana, None, r#"{"sub":"ana","guest":true}"#)
        .await;
    let no = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Reject { .. }))
        .await;
    assert_eq!(no.text(), r#""Guests""#);
    edge.hear(&ana, |heard| {
        heard.item
            == Item::Close {
                code: CloseCode::Refused,
            }
    })
    .await;
    edge.connect(&ben, None).await;
    assert_eq!(edge.welcome(&ben).await.0, 1);
}

#[tokio::test]
async fn a_lost_session_ends_once_after_its_grace() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ben, None).await;
    edge.welcome(&ben).await;
    // A crash loses the edge with the process: its sessions are detached, and end after the grace.
    world.crash().await;
    let mut edge = world.edge().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut present = String::new();
    for attempt in 1.. {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the lost session is still there: {present}"
        );
        world.clock.advance(world.limits.sessions.grace.ms());
        ana.attempt = DialAttempt(attempt);
        edge.connect(&ana, None).await;
        (.., present) = edge.welcome(&ana).await;
        if present.contains(r#""present":1"#) {
            break;
        }
    }
    // It has ended once: after its memory too, nobody leaves again.
    world.clock.advance(world.limits.sessions.memory.ms());
    ana.attempt = DialAttempt(u64::MAX);
    edge.connect(&ana, None).await;
    let (.., shown) = edge.welcome(&ana).await;
    assert!(shown.contains(r#""present":1"#), "{shown}");
}

#[tokio::test]
async fn the_entity_ends_a_session() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Kick"}"#).await;
    let close = Item::Close {
        code: CloseCode::Terminated,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
    edge.connect(&ben, None).await;
    let (revision, _, shown) = edge.welcome(&ben).await;
    assert!(shown.contains(r#""present":1"#), "{revision} {shown}");
}

#[tokio::test]
async fn what_an_earlier_life_of_a_session_saw_last_is_no_place_to_resume_from() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    edge.connect(&ana, None).await;
    let (seen, ..) = edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Kick"}"#).await;
    let close = Item::Close {
        code: CloseCode::Terminated,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
    edge.connect(&ben, None).await;
    let (.., shown) = edge.welcome(&ben).await;
    assert!(shown.contains(r#""present":1"#), "ana is over: {shown}");
    ana.attempt = DialAttempt(2);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    ana.attempt = DialAttempt(3);
    edge.connect(&ana, Some(seen)).await;
    let accepted = edge
        .hear(&ana, |heard| {
            matches!(heard.item, Item::Resumed { .. } | Item::Welcome { .. })
        })
        .await;
    assert!(
        matches!(accepted.item, Item::Welcome { .. }),
        "it must start over: {accepted:?}"
    );
}

#[tokio::test]
async fn a_newer_socket_replaces_the_older_one_and_an_older_one_is_ignored() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let old = Client::new("ledger/1", 1);
    let mut new = Client {
        attempt: DialAttempt(5),
        ..old.clone()
    };
    edge.connect(&old, None).await;
    edge.welcome(&old).await;
    edge.connect(&new, None).await;
    edge.hear(&old, |heard| {
        heard.item
            == Item::Close {
                code: CloseCode::Replaced,
            }
    })
    .await;
    edge.welcome(&new).await;
    let late = Client {
        attempt: DialAttempt(3),
        ..old.clone()
    };
    edge.connect(&late, None).await;
    edge.say(&old, ClientAction::Disconnect { left: false }, "")
        .await;
    assert_eq!(edge.ask(&mut new, &add("a")).await, "1");
}
