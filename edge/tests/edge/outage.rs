//! A log that goes away for a while, and for longer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xp_edge::Config;
use xp_protocol::CloseCode;
use xp_protocol::inbound::ClientAction;
use xp_settings::Span;

use crate::world::client::Client;
use crate::world::outage::Weather;
use crate::world::owner::Heard;
use crate::world::{PATIENCE, World, config, until};

/// Stalls are noticed at once, and sockets outlast every test unless it says otherwise.
fn patient() -> Config {
    let mut config = config();
    config.timing.lane.stall = Span::from_millis(50);
    config.timing.retry = Span::from_millis(10);
    config.timing.lane.patience = Span(PATIENCE * 10);
    config
}

fn impatient() -> Config {
    let mut config = patient();
    config.timing.lane.patience = Span::from_millis(100);
    config
}

/// The numbers of the commands that reached the log, in order.
fn numbers(world: &World) -> Vec<u64> {
    let number = |heard: &Heard| match heard.action {
        ClientAction::Send { n, .. } => Some(n.0),
        _ => None,
    };
    world.owner.heard(number)
}

async fn stalls(world: &World) {
    until("a stall", || {
        world
            .logs
            .have(&["the log does not take appends", "main.inbound"])
    })
    .await;
}

/// The next frame that answers something. What a lying log took is shown whenever it arrives.
async fn told(client: &mut Client, shown: &mut Vec<String>) -> String {
    loop {
        let frame = client.frame().await;
        if !frame.starts_with("event ") {
            return frame;
        }
        shown.push(frame);
    }
}

#[tokio::test]
async fn a_socket_outlives_an_outage_and_its_command_is_answered_afterwards() {
    for weather in [Weather::Refusing, Weather::Hanging, Weather::Lying] {
        let world = World::with(patient()).await;
        let mut ana = world.join("ana", 1).await;
        let mut ben = world.join("ben", 2).await;
        world.inbound.set(weather);
        ana.send("send 1 a").await;
        stalls(&world).await;
        let mut shown = Vec::new();
        ben.send("send 1 b").await;
        assert_eq!(told(&mut ben, &mut shown).await, "busy 1 1000");
        ben.send("ask ?x b").await;
        assert_eq!(told(&mut ben, &mut shown).await, "busy ?x 1000");
        world.inbound.set(Weather::Fine);
        let mut seen = [ana.frame().await, ana.frame().await];
        seen.sort();
        assert_eq!(seen, ["event 1 a", "reply 1 1 "], "{weather:?}");
        until("the stall is over", || {
            world.logs.have(&["the log takes appends again"])
        })
        .await;
        if shown.is_empty() {
            shown.push(ben.frame().await);
        }
        assert_eq!(shown, ["event 1 a"], "{weather:?}");
        ben.send("send 1 b").await;
        assert_eq!(ben.frame().await, "event 2 b");
    }
}

#[tokio::test]
async fn what_is_repeated_in_a_stall_waits_once() {
    let world = World::with(patient()).await;
    let mut ana = world.join("ana", 1).await;
    world.inbound.set(Weather::Refusing);
    ana.send("send 1 a").await;
    stalls(&world).await;
    for _ in 0..5 {
        ana.send("send 1 a").await;
    }
    ana.send("send 2 b").await;
    assert_eq!(ana.frame().await, "busy 2 1000");
    world.inbound.set(Weather::Fine);
    ana.expect("event").await;
    ana.expect("reply").await;
    ana.send("send 2 b").await;
    ana.expect("event").await;
    assert_eq!(numbers(&world), [1, 2]);
}

#[tokio::test]
async fn ephemeral_commands_are_dropped_in_a_stall() {
    let world = World::with(patient()).await;
    let mut ana = world.join("ana", 1).await;
    world.inbound.set(Weather::Hanging);
    ana.send("send 1 a").await;
    stalls(&world).await;
    ana.send("ephemeral cursor").await;
    ana.send("ping x").await;
    ana.expect("pong").await;
    world.inbound.set(Weather::Fine);
    ana.expect("event").await;
    ana.expect("reply").await;
    ana.send("ephemeral pointer").await;
    let ephemeral = |heard: &Heard| {
        matches!(heard.action, ClientAction::Ephemeral { .. }).then(|| heard.value.clone())
    };
    world.owner.hears("a pointer", ephemeral).await;
    assert_eq!(world.owner.heard(ephemeral), ["pointer"]);
}

#[tokio::test]
async fn nothing_later_passes_before_what_failed() {
    let world = World::with(patient()).await;
    let mut ana = world.join("ana", 1).await;
    // The first is in flight when the others queue behind it, and fails when they could pass.
    world.inbound.set(Weather::Hanging);
    for n in 1..=20 {
        ana.send(&format!("send {n} x")).await;
    }
    ana.send("ping all-are-queued").await;
    ana.expect("pong").await;
    for weather in [Weather::Lying, Weather::Refusing] {
        world.inbound.set(weather);
        let before = world.inbound.appends();
        until("some tries", || world.inbound.appends() > before + 2).await;
    }
    world.inbound.set(Weather::Fine);
    for n in 1..=20 {
        assert_eq!(ana.frame().await, format!("event {n} x"));
        assert_eq!(ana.frame().await, format!("reply {n} {n} "));
    }
    let mut first = Vec::new();
    for n in numbers(&world) {
        if !first.contains(&n) {
            first.push(n);
        }
    }
    assert!(first.is_sorted(), "{first:?}");
}

#[tokio::test]
async fn patience_over_closes_the_partitions_sockets_and_drops_what_they_said() {
    for weather in [Weather::Refusing, Weather::Hanging] {
        let world = World::with(impatient()).await;
        let mut ana = world.join("ana", 1).await;
        let mut silent = world.join("ben", 2).await;
        world.inbound.set(weather);
        ana.send("send 1 x").await;
        stalls(&world).await;
        assert_eq!(ana.closed().await, CloseCode::LaneLost, "{weather:?}");
        assert_eq!(silent.closed().await, CloseCode::LaneLost, "{weather:?}");
        world.inbound.set(Weather::Fine);
        let gone =
            |heard: &Heard| matches!(heard.action, ClientAction::Disconnect { .. }).then_some(());
        until("both disconnects", || world.owner.heard(gone).len() == 2).await;
        until("the edge is ready again", || world.edge.is_ready()).await;
        if weather == Weather::Refusing {
            assert!(numbers(&world).is_empty());
        }
        world.join("ana", 3).await;
    }
}

async fn ready(world: &World) -> String {
    let mut socket = TcpStream::connect(world.edge.addr()).await.unwrap();
    let request = b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    format!("{} {}", head.split(' ').nth(1).unwrap(), text.trim_end())
}

#[tokio::test]
async fn an_edge_with_a_stalled_partition_is_not_ready() {
    let world = World::with(patient()).await;
    let mut ana = world.join("ana", 1).await;
    assert_eq!(ready(&world).await, "200 ready");
    world.inbound.set(Weather::Refusing);
    ana.send("send 1 x").await;
    stalls(&world).await;
    let why = "503 not ready: a lane does not take what clients say";
    assert_eq!(ready(&world).await, why);
    world.inbound.set(Weather::Fine);
    ana.expect("event").await;
    until("the edge is ready again", || world.edge.is_ready()).await;
    assert_eq!(ready(&world).await, "200 ready");
}

#[tokio::test]
async fn an_edge_whose_heartbeats_are_not_taken_is_not_ready() {
    let world = World::with(patient()).await;
    world.cluster.set(Weather::Hanging);
    until("the edge is not ready", || !world.edge.is_ready()).await;
    let why = "503 not ready: the cluster log cannot be written or read";
    assert_eq!(ready(&world).await, why);
    world.cluster.set(Weather::Fine);
    until("the edge is ready again", || world.edge.is_ready()).await;
}

#[tokio::test]
async fn a_socket_that_comes_in_a_stall_comes_back_later() {
    let mut config = patient();
    config.timing.pending = Span::from_millis(100);
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    world.inbound.set(Weather::Hanging);
    ana.send("send 1 x").await;
    stalls(&world).await;
    let dial = world.dial("ben").connection(2);
    assert_eq!(dial.refused().await, CloseCode::ComeBack);
    world.inbound.set(Weather::Fine);
    ana.expect("event").await;
    world.join("ben", 2).await;
}

#[tokio::test]
async fn when_too_much_waits_nobody_else_comes_in() {
    let mut config = patient();
    config.limits.partition.bytes_max = xp_settings::Size(1);
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    world.inbound.set(Weather::Hanging);
    ana.send("send 1 x").await;
    stalls(&world).await;
    // The first waits in the queue, and fills it.
    let _pending = world.dial("ben").connection(2).open().await;
    until("the first is in", || world.edge.connections() == 2).await;
    let dial = world.dial("ben").connection(3);
    assert_eq!(dial.refused().await, CloseCode::LaneLost);
}

#[tokio::test]
async fn a_drain_without_a_log_ends_all_the_same() {
    let mut config = patient();
    config.timing.drain.wait = Span::from_millis(200);
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    world.inbound.set(Weather::Hanging);
    world.cluster.set(Weather::Hanging);
    let drained = tokio::time::timeout(PATIENCE, world.edge.drain());
    drained.await.expect("an end");
    assert_eq!(ana.closed().await, CloseCode::Draining);
}

#[tokio::test]
async fn an_edge_does_not_wait_for_ever_for_a_log_to_start_on() {
    let world = World::new().await;
    world.cluster.set(Weather::Hanging);
    let mut config = config();
    config.timing.start = Span::from_millis(50);
    let error = world.another_edge(config, 2).await.err().unwrap();
    assert!(error.to_string().contains("edge.timing.start"), "{error}");
}
