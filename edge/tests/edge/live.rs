//! The view of a client that has connected: what it is shown, and when.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Code;
use xp_protocol::CloseCode;
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::Item;
use xp_settings::Span;

use crate::world::owner::Heard;
use crate::world::{World, config, sign, time, token, until};

fn disconnect(heard: &Heard) -> Option<(u64, bool)> {
    match heard.action {
        ClientAction::Disconnect { left } => Some((heard.socket.attempt.0, left)),
        _ => None,
    }
}

#[tokio::test]
async fn two_clients_of_one_entity_see_what_either_does() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world.join("ben", 2).await;
    ana.send("send 1 {\"stroke\":7}").await;
    assert_eq!(ana.frame().await, "event 1 {\"stroke\":7}");
    assert_eq!(ana.frame().await, "reply 1 1 ");
    assert_eq!(ben.frame().await, "event 1 {\"stroke\":7}");
}

#[tokio::test]
async fn entities_do_not_hear_each_other() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world
        .dial("ben")
        .path("/v1/board/2")
        .connection(2)
        .open()
        .await;
    ben.expect("welcome").await;
    ana.send("send 1 a").await;
    ana.expect("event").await;
    ben.send("send 1 b").await;
    assert_eq!(ben.frame().await, "event 1 b");
}

#[tokio::test]
async fn a_query_is_answered_and_binary_stays_binary() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    ana.send("ask ?count x").await;
    assert_eq!(ana.frame().await, "reply ?count 0 x");
    let frame = Message::binary(b"ask ?raw \xFF\x00".to_vec());
    ana.socket.send(frame).await.unwrap();
    let answer = ana.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::binary(b"reply ?raw 0 \xFF\x00".to_vec()));
}

#[tokio::test]
async fn what_is_sent_before_the_welcome_waits_for_it() {
    let world = World::new().await;
    world.owner.moods(|moods| moods.sleeps = true);
    let mut ana = world
        .dial("ana")
        .query("attempt=5")
        .connection(1)
        .open()
        .await;
    ana.send("send 1 x").await;
    ana.send("ping x").await;
    let connect = |heard: &Heard| {
        matches!(heard.action, ClientAction::Connect { .. }).then_some(heard.socket)
    };
    let socket = world.owner.hears("a connect", connect).await;
    let welcome = xp_protocol::outbound::Item::Welcome {
        edge: xp_protocol::Incarnation(crate::world::id(1)),
        revision: xp_protocol::Revision(0),
        n: xp_protocol::MessageNumber(0),
        text: true,
    };
    world.owner.moods(|moods| moods.sleeps = false);
    let address = "board/1".parse().unwrap();
    world.owner.whisper(&address, socket, welcome, b"{}");
    assert_eq!(ana.frame().await, "welcome 0 0 fresh {}");
    let mut verbs: Vec<String> = Vec::new();
    for _ in 0..3 {
        verbs.push(ana.frame().await.split(' ').next().unwrap().to_owned());
    }
    verbs.sort();
    assert_eq!(verbs, ["event", "pong", "reply"]);
}

#[tokio::test]
async fn a_socket_that_is_not_welcomed_comes_back() {
    let mut config = config();
    config.timing.pending = Span::from_millis(50);
    let world = World::with(config).await;
    world.owner.moods(|moods| moods.sleeps = true);
    let dial = world.dial("ana").connection(1);
    assert_eq!(dial.refused().await, CloseCode::ComeBack);
}

/// Nothing is above the last number there is: who leaves his own out waits until that socket is gone.
#[tokio::test]
async fn a_dial_behind_the_last_attempt_there_is_comes_back() {
    let world = World::new().await;
    let dial = world.dial("ana").connection(1);
    let last = world
        .dial("ana")
        .connection(1)
        .query("attempt=18446744073709551615");
    let mut last = last.open().await;
    last.expect("welcome").await;
    assert_eq!(dial.refused().await, CloseCode::ComeBack);
    last.send("ping here").await;
    last.expect("pong").await;
}

#[tokio::test]
async fn a_newer_socket_of_the_same_connection_replaces_the_older() {
    let world = World::new().await;
    let dial = |attempt: &str| world.dial("ana").query(attempt).connection(1);
    let mut older = dial("attempt=1").open().await;
    older.expect("welcome").await;
    let mut newer = dial("attempt=2").open().await;
    newer.expect("welcome").await;
    assert_eq!(older.closed().await, CloseCode::Replaced);
    let left = world.owner.hears("the older one's end", disconnect).await;
    assert_eq!(left, (1, false));
    assert_eq!(dial("attempt=1").refused().await, CloseCode::ComeBack);
    newer.send("send 1 x").await;
    newer.expect("event").await;
}

#[tokio::test]
async fn only_a_goodbye_for_good_ends_the_session() {
    let world = World::new().await;
    for (attempt, code, left) in [(1, Code::Away, false), (2, Code::Normal, true)] {
        let dial = world.dial("ana").query(&format!("attempt={attempt}"));
        let mut ana = dial.connection(1).open().await;
        ana.expect("welcome").await;
        let frame = CloseFrame {
            code,
            reason: "".into(),
        };
        ana.socket.close(Some(frame)).await.unwrap();
        let same = |heard: &Heard| disconnect(heard).filter(|(a, _)| *a == attempt);
        assert_eq!(
            world.owner.hears("a disconnect", same).await,
            (attempt, left)
        );
        let end = ana.next().await;
        assert!(matches!(end, Some(Ok(Message::Close(Some(f)))) if f.code == code));
    }
}

#[tokio::test]
async fn a_socket_that_breaks_is_a_disconnect() {
    let world = World::new().await;
    drop(world.join("ana", 1).await);
    let (_, left) = world.owner.hears("a disconnect", disconnect).await;
    assert!(!left);
    until("nobody is left", || world.edge.connections() == 0).await;
}

#[tokio::test]
async fn a_token_ends_on_the_live_socket() {
    let world = World::new().await;
    let short = sign(&json!({ "sub": "ana", "exp": time(2) }));
    let dial = crate::world::client::Dial::to(world.edge.addr()).bearer(&short);
    let mut ana = dial.connection(1).open().await;
    ana.expect("welcome").await;
    assert_eq!(ana.closed().await, CloseCode::TokenExpired);
}

#[tokio::test]
async fn a_fresh_token_keeps_the_socket_and_new_claims_reach_the_entity() {
    let world = World::new().await;
    let short = sign(&json!({ "sub": "ana", "exp": time(2), "role": "painter" }));
    let dial = crate::world::client::Dial::to(world.edge.addr()).bearer(&short);
    let mut ana = dial.connection(1).open().await;
    ana.expect("welcome").await;
    // It differs from the first in a claim that is not the entity's, and in its end.
    ana.send(&format!("token {}", token("ana"))).await;
    let judge = sign(&json!({ "sub": "ana", "exp": time(3600), "role": "judge" }));
    ana.send(&format!("token {judge}")).await;
    let claims =
        |heard: &Heard| matches!(heard.action, ClientAction::Claims).then(|| heard.value.clone());
    let news = world.owner.hears("other claims", claims).await;
    assert_eq!(news, r#"{"role":"judge"}"#);
    assert_eq!(
        world.owner.heard(claims).len(),
        1,
        "the first refresh was no news"
    );
    // Past the first token's end.
    let end = time(2);
    until("the first token is over", || time(0) > end).await;
    ana.send("ping x").await;
    ana.expect("pong").await;
}

#[tokio::test]
async fn a_fresh_token_of_another_subject_or_of_nobody_closes_the_socket() {
    let world = World::new().await;
    for (number, fresh) in [(1, token("ben")), (2, "garbage".to_owned())] {
        let mut ana = world.join("ana", number).await;
        ana.send(&format!("token {fresh}")).await;
        assert_eq!(ana.closed().await, CloseCode::BadToken);
    }
}

#[tokio::test]
async fn a_trace_travels_with_the_next_command() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    ana.send(&format!("trace {trace}")).await;
    ana.send("send 1 x").await;
    ana.expect("event").await;
    let sent = |heard: &Heard| {
        matches!(heard.action, ClientAction::Send { .. }).then(|| heard.trace.clone())
    };
    let heard = world.owner.hears("a command", sent).await;
    assert_eq!(heard.as_deref(), Some(trace));
}

#[tokio::test]
async fn a_busy_connection_gets_everything_in_order() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let address = "board/1".parse().unwrap();
    for n in 1..=500 {
        world.owner.announce(&address, &n.to_string());
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for n in 1..=500 {
        assert_eq!(ana.frame().await, format!("event {n} {n}"));
    }
}

#[tokio::test]
async fn whatever_the_entity_closes_with_reaches_the_client() {
    let world = World::new().await;
    let address = "board/1".parse().unwrap();
    let connect = |number| {
        move |heard: &Heard| {
            let connects = matches!(heard.action, ClientAction::Connect { .. });
            let socket = heard.socket;
            (connects && socket.connection == crate::world::connection(number)).then_some(socket)
        }
    };
    world.owner.moods(|moods| moods.sleeps = true);
    let codes = [
        CloseCode::Refused,
        CloseCode::SessionExpired,
        CloseCode::Terminated,
        CloseCode::ForeignConnection,
        CloseCode::ComeBack,
    ];
    for (number, code) in (1..).zip(codes) {
        let mut ana = world.dial("ana").connection(number).open().await;
        let socket = world.owner.hears("a connect", connect(number)).await;
        world
            .owner
            .whisper(&address, socket, Item::Close { code }, b"");
        assert_eq!(ana.closed().await, code);
    }
}
