//! Commands, their answers, and what fails.

use xp_protocol::outbound::Item;
use xp_protocol::{CloseCode, DialAttempt};

use crate::edge::Client;
use crate::world::{World, add};

#[tokio::test]
async fn a_command_is_answered_after_its_event() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    let (revision, n, shown) = edge.welcome(&ana).await;
    assert_eq!((revision, n), (1, 0));
    assert_eq!(
        shown,
        r#"[{"type":"All","data":{"entries":[],"present":1}}]"#
    );
    edge.send(&mut ana, &add("a")).await;
    let event = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    assert_eq!(event.text(), r#"[{"type":"Added","data":{"entry":"a"}}]"#);
    assert!(event.chained);
    assert_eq!(edge.answer(&ana).await, "1");
}

#[tokio::test]
async fn a_repeated_number_gets_its_stored_answer_also_after_a_crash() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
    assert_eq!(edge.ask(&mut ana, &add("")).await, r#"reject "Empty""#);
    edge.send_again(&ana, 1, &add("a")).await;
    let first = Client {
        n: 1,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&first).await, "1");

    world.crash().await;
    let mut edge = world.edge().await;
    ana.attempt = DialAttempt(2);
    edge.connect(&ana, None).await;
    let (_, n, shown) = edge.welcome(&ana).await;
    assert_eq!(n, 2);
    assert!(shown.contains(r#""entries":["a"]"#), "{shown}");
    edge.send_again(&ana, 2, &add("")).await;
    assert_eq!(edge.answer(&ana).await, r#"reject "Empty""#);
    assert_eq!(edge.ask(&mut ana, &add("b")).await, "2");
}

#[tokio::test]
async fn a_hole_in_the_numbers_closes_the_socket() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send_again(&ana, 2, &add("a")).await;
    let close = Item::Close {
        code: CloseCode::ComeBack,
    };
    edge.hear(&ana, |heard| heard.item == close).await;
}

#[tokio::test]
async fn a_panic_is_a_fault_for_that_message_alone() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Panic"}"#).await,
        "fault panicked"
    );
    assert_eq!(edge.ask(&mut ana, "{").await, "fault unreadable");
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Grow","data":{"bytes":2000000}}"#)
            .await,
        "fault too-large"
    );
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
}

#[tokio::test]
async fn a_panic_in_apply_is_a_fault_before_the_append() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"SpoilApply"}"#).await,
        "fault panicked"
    );
    assert_eq!(edge.ask(&mut ana, &add("b")).await, "2");
}

#[tokio::test]
async fn timers_and_deferred_answers_survive_a_crash() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    assert_eq!(
        edge.ask(&mut ana, r#"{"type":"Alarm","data":{"ms":20000}}"#)
            .await,
        "0"
    );
    edge.send(&mut ana, r#"{"type":"Later","data":{"ms":20000}}"#)
        .await;
    edge.send(&mut ana, &add("a")).await;
    assert_eq!(edge.answer(&ana).await, "1");

    world.crash().await;
    let mut edge = world.edge().await;
    ana.attempt = DialAttempt(2);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    world.clock.advance(20_000);
    let alarm = edge
        .hear(&ana, |heard| heard.text().contains("alarm"))
        .await;
    assert!(matches!(alarm.item, Item::Event { .. }));
    let later = Client {
        n: 2,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&later).await, "7");
}

#[tokio::test]
async fn a_ticket_that_nobody_answers_becomes_a_fault() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    edge.send(&mut ana, r#"{"type":"Nothing"}"#).await;
    edge.send(&mut ana, &add("a")).await;
    assert_eq!(edge.answer(&ana).await, "1");
    world.clock.advance(world.limits.ticket.ms());
    let waiting = Client {
        n: 1,
        ..ana.clone()
    };
    assert_eq!(edge.answer(&waiting).await, "fault unanswered");
}

#[tokio::test]
async fn entities_converse_across_partitions_and_crashes() {
    let mut world = World::new().await;
    let mut ana = Client::new("ledger/1", 1);
    let mut edge = world.edge().await;
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    for round in 1..=6_u64 {
        let borrow = format!(r#"{{"type":"Borrow","data":{{"from":"other{round}","entry":"e"}}}}"#);
        edge.send(&mut ana, &borrow).await;
        if round % 2 == 0 {
            // Whatever was on its way between the two is in the log, or is sent again.
            world.crash().await;
            edge = world.edge().await;
            ana.attempt = DialAttempt(round);
            edge.connect(&ana, None).await;
            edge.welcome(&ana).await;
            edge.send_again(&ana, round, &borrow).await;
        }
        assert_eq!(edge.answer(&ana).await, "101", "round {round}");
    }
    let refused = r#"{"type":"Borrow","data":{"from":"other1","entry":""}}"#;
    assert_eq!(edge.ask(&mut ana, refused).await, r#"reject "Empty""#);
}

#[tokio::test]
async fn a_whisper_reaches_one_and_all_see_one_event_frame() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let (mut ana, ben) = (Client::new("ledger/1", 1), Client::new("ledger/1", 2));
    for client in [&ana, &ben] {
        edge.connect(client, None).await;
        edge.welcome(client).await;
    }
    edge.send(&mut ana, r#"{"type":"Whisper","data":{"text":"psst"}}"#)
        .await;
    let to_ben = edge
        .hear(&ben, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    assert_eq!(
        to_ben.text(),
        r#"[{"type":"Text","data":{"text":"for all"}}]"#
    );
    let to_ana = edge
        .hear(&ana, |heard| matches!(heard.item, Item::Event { .. }))
        .await;
    let both =
        r#"[{"type":"Text","data":{"text":"for all"}},{"type":"Text","data":{"text":"psst"}}]"#;
    assert_eq!(to_ana.text(), both);
}
