//! Records that are lost, logs that fail, sockets the owner still believes in.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use xp_cluster::members::End;
use xp_cluster::timing::STATE_NODE_HEARTBEAT_MS;
use xp_edge::{Config, Readiness};
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Socket};
use xp_protocol::{CloseCode, DialAttempt, Incarnation, MessageNumber, Offset, Revision};
use xp_protocol::{PartitionId, TimeMs, codec};
use xp_settings::Span;
use xp_transport::simulated::{Faults, Simulated};
use xp_transport::{Clock, Log, Record, TopicPartition};

use crate::world::client::Dial;
use crate::world::outage::Weather;
use crate::world::owner::Heard;
use crate::world::{PATIENCE, World, config, connection, id, lanes, token, until};

#[tokio::test]
async fn a_lost_record_is_asked_for_and_seen_once_in_order() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world.join("ben", 2).await;
    ana.send("send 1 a").await;
    ben.expect("event").await;
    world.owner.moods(|moods| moods.loses_records = true);
    ana.send("send 2 b").await;
    let second = |heard: &Heard| {
        matches!(
            heard.action,
            ClientAction::Send {
                n: MessageNumber(2),
                ..
            }
        )
        .then_some(())
    };
    world.owner.hears("the second command", second).await;
    world.owner.moods(|moods| moods.loses_records = false);
    ana.send("send 3 c").await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(ana.frame().await);
    }
    let expected = [
        "event 1 a",
        "reply 1 1 ",
        "event 2 b",
        "reply 2 2 ",
        "event 3 c",
        "reply 3 3 ",
    ];
    assert_eq!(seen, expected);
    assert_eq!(ben.frame().await, "event 2 b");
    assert_eq!(ben.frame().await, "event 3 c");
}

#[tokio::test]
async fn a_resume_that_is_not_answered_is_asked_for_again() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let address = "board/1".parse().unwrap();
    world.owner.moods(|moods| moods.loses_records = true);
    world.owner.announce(&address, "a");
    world.owner.moods(|moods| moods.loses_records = false);
    world.owner.moods(|moods| moods.sleeps = true);
    world.owner.announce(&address, "b");
    let resumes = |heard: &Heard| matches!(heard.action, ClientAction::Resume { .. }).then_some(());
    until("two resumes", || world.owner.heard(resumes).len() >= 2).await;
    world.owner.moods(|moods| moods.sleeps = false);
    assert_eq!(ana.frame().await, "event 1 a");
    assert_eq!(ana.frame().await, "event 2 b");
}

#[tokio::test]
async fn a_client_goes_on_from_where_it_was() {
    let world = World::new().await;
    let mut ben = world.join("ben", 2).await;
    let dial = |attempt: &str| world.dial("ana").query(attempt).connection(1);
    let mut ana = dial("attempt=1").open().await;
    ana.expect("welcome").await;
    ben.send("send 1 a").await;
    ana.expect("event").await;
    drop(ana);
    ben.send("send 2 b").await;
    ben.send("send 3 c").await;
    let mut ana = dial("attempt=2").query("since=1").open().await;
    assert_eq!(ana.frame().await, "welcome 1 0 resumed");
    assert_eq!(ana.frame().await, "event 2 b");
    assert_eq!(ana.frame().await, "event 3 c");
}

#[tokio::test]
async fn an_owner_that_welcomes_a_socket_that_is_gone_hears_of_its_end() {
    let world = World::new().await;
    let ghost = Socket {
        connection: connection(9),
        attempt: DialAttempt(7),
    };
    let welcome = Item::Welcome {
        edge: Incarnation(id(1)),
        revision: Revision(0),
        n: MessageNumber(0),
        text: true,
    };
    let address = "board/9".parse().unwrap();
    world.owner.whisper(&address, ghost, welcome, b"{}");
    let gone = |heard: &Heard| {
        let gone = matches!(heard.action, ClientAction::Disconnect { left: false });
        (gone && heard.socket == ghost).then_some(())
    };
    world.owner.hears("the ghost's end", gone).await;
}

#[tokio::test]
async fn a_lane_that_stays_away_closes_the_socket_and_its_disconnect_arrives_in_the_end() {
    let mut impatient = config();
    impatient.timing.lane.patience = Span::from_millis(100);
    let world = World::with(impatient).await;
    let mut ana = world.join("ana", 1).await;
    let broken = Faults {
        loss: 1.0,
        timeout_ms: 50,
        ..Faults::none()
    };
    world
        .log
        .with_model(|log| log.set_topic_faults("main.inbound", broken));
    ana.send("send 1 x").await;
    assert_eq!(ana.closed().await, CloseCode::LaneLost);
    world
        .log
        .with_model(|log| log.set_topic_faults("main.inbound", Faults::none()));
    let gone =
        |heard: &Heard| matches!(heard.action, ClientAction::Disconnect { .. }).then_some(());
    world.owner.hears("a disconnect", gone).await;
    let sent = |heard: &Heard| matches!(heard.action, ClientAction::Send { .. }).then_some(());
    assert!(world.owner.heard(sent).is_empty());
}

#[tokio::test]
async fn an_outbound_partition_that_breaks_closes_everybody_and_is_read_again() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    ana.send("send 1 x").await;
    ana.expect("event").await;
    let at = TopicPartition {
        topic: "main.outbound".into(),
        partition: PartitionId(0),
    };
    world.log.with_model(|log| log.truncate(&at, Offset(0)));
    assert_eq!(ana.closed().await, CloseCode::LaneLost);
    until("the lane is read again", || world.edge.is_ready()).await;
    world.join("ben", 2).await;
}

#[tokio::test]
async fn an_edge_that_was_replaced_closes_everybody_and_takes_nobody() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let next = world.another_edge(config(), 2).await.unwrap();
    assert_eq!(ana.closed().await, CloseCode::ComeBack);
    assert_eq!(world.edge.evicted().await, End::Replaced);
    assert_eq!(world.edge.readiness(), Readiness::Evicted);
    let dial = world.dial("ana").connection(1);
    assert_eq!(dial.refused().await, CloseCode::Draining);
    assert!(next.is_ready());
}

/// Somebody else in the cluster, who is heard.
async fn neighbour(log: Simulated) {
    let alive = Member::Alive {
        incarnation: Incarnation(id(70)),
        who: Who::new("neighbour", Kind::StateNode),
        joined: Offset(0),
        sent: TimeMs(0),
        leaving: false,
        warm: Vec::new(),
    };
    let mut beats = tokio::time::interval(Duration::from_millis(STATE_NODE_HEARTBEAT_MS));
    loop {
        beats.tick().await;
        xp_cluster::log::append(&log, &alive).await.unwrap();
    }
}

/// R25, R37: who was not heard of for too long sends everybody away, and may come back on the same address.
#[tokio::test]
async fn an_edge_that_was_not_heard_of_closes_everybody_and_may_join_again() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let _neighbour = JoinSet::from_iter([neighbour(world.log.another_producer())]);
    world.cluster.set(Weather::Refusing);
    until("the edge is not ready", || {
        world.edge.readiness() == Readiness::Unheard
    })
    .await;
    let evicted = timeout(PATIENCE, world.edge.evicted()).await;
    assert_eq!(evicted.unwrap(), End::Silent);
    assert_eq!(ana.closed().await, CloseCode::ComeBack);
    assert_eq!(world.edge.readiness(), Readiness::Evicted);
    world.cluster.set(Weather::Fine);
    let listen = world.edge.addr();
    let log: Arc<dyn Log> = Arc::new(world.cluster.clone());
    world.edge.end().await;
    let config = Config { listen, ..config() };
    let again = Incarnation(id(2));
    let edge = xp_edge::start(config, lanes(), log, again, Clock::system()).await;
    let edge = edge.unwrap();
    assert_eq!((edge.addr(), edge.is_ready()), (listen, true));
    let dial = Dial::to(listen).bearer(&token("ana")).connection(1);
    dial.open().await.expect("welcome").await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_left_out_and_named() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let at = TopicPartition {
        topic: "main.outbound".into(),
        partition: PartitionId(0),
    };
    let strange = Record {
        key: "board/1".into(),
        header: "\u{7f}from the future".into(),
        value: "".into(),
        ..Record::default()
    };
    assert!(codec::decode::<xp_protocol::outbound::Outbound>(&strange.header).is_err());
    world.log.append(&at, vec![strange]).await;
    until("the log names it", || {
        world.logs.have(&["outbound", "version 127"])
    })
    .await;
    ana.send("send 1 x").await;
    ana.expect("event").await;
}
