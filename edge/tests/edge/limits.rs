//! Limits for a client that has connected: what it may not do, and what it may not take up.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use xp_protocol::CloseCode;
use xp_protocol::inbound::ClientAction;
use xp_settings::{Size, Span};

use crate::world::client::Client;
use crate::world::owner::Heard;
use crate::world::{World, config, until};

/// The client is closed with `code`, and the log says so.
async fn check(world: &World, client: &mut Client, code: CloseCode, reason: &str) {
    assert_eq!(client.closed().await, code);
    let line = ["xp_edge::connection", code.name(), reason];
    until(reason, || world.logs.have(&line)).await;
}

fn raw(client: &mut Client) -> &mut TcpStream {
    match client.socket.get_mut() {
        MaybeTlsStream::Plain(stream) => stream,
        _ => panic!("a plain socket"),
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_the_socket() {
    let mut config = config();
    config.limits.frame_bytes_max = Size(1024);
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    ana.send(&format!("send 1 {}", "x".repeat(1024 - 7))).await;
    ana.expect("event").await;
    ana.send(&format!("send 2 {}", "x".repeat(1024 - 6))).await;
    check(&world, &mut ana, CloseCode::FrameTooLarge, "1024").await;
}

#[tokio::test]
async fn broken_utf8_closes_the_socket() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    // A masked text frame of two bytes that are no UTF-8; the mask is zero.
    let frame = [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28];
    raw(&mut ana).write_all(&frame).await.unwrap();
    check(&world, &mut ana, CloseCode::BrokenUtf8, "not UTF-8").await;
}

#[tokio::test]
async fn an_unknown_verb_closes_the_socket() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    ana.send("shout 1").await;
    check(&world, &mut ana, CloseCode::ProtocolError, "unknown verb").await;
}

#[tokio::test]
async fn an_unmasked_frame_closes_the_socket() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    raw(&mut ana).write_all(b"\x81\x06ping x").await.unwrap();
    check(&world, &mut ana, CloseCode::ProtocolError, "").await;
}

#[tokio::test]
async fn too_many_frames_close_the_socket() {
    let mut config = config();
    config.limits.rates.frames_per_second = 1;
    config.limits.rates.frames_burst = 5;
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    for _ in 0..6 {
        ana.send("ping x").await;
    }
    check(&world, &mut ana, CloseCode::TooFast, "more frames").await;
}

#[tokio::test]
async fn a_subject_has_so_many_connections_and_no_more() {
    let mut config = config();
    config.limits.connections.per_subject = 2;
    let world = World::with(config).await;
    let one = world.join("ana", 1).await;
    let _two = world.join("ana", 2).await;
    let third = world.dial("ana").connection(3);
    assert_eq!(third.refused().await, CloseCode::TooManyConnections);
    let line = ["xp_edge::handshake", "too-many-connections", "ana"];
    until("the log line", || world.logs.have(&line)).await;
    let _ben = world.join("ben", 4).await;
    drop(one);
    until("one left", || world.edge.connections() == 2).await;
    world.join("ana", 3).await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let mut config = config();
    config.limits.connections.per_address = 1;
    let world = World::with(config).await;
    let _one = world.join("ana", 1).await;
    let second = world.dial("ben").connection(2);
    assert_eq!(second.refused().await, CloseCode::TooManyConnections);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_slow_and_the_others_are_not() {
    let mut config = config();
    config.limits.queue.bytes_max = Size(256 << 10);
    let world = World::with(config).await;
    let mut slow = world.join("ana", 1).await;
    let mut quick = world.join("ben", 2).await;
    let address = "board/1".parse().unwrap();
    let payload = "x".repeat(64 << 10);
    let mut seen = 0;
    // More than the kernel's buffers and the queue hold together.
    while !world.logs.have(&["xp_edge::connection", "slow", "ana"]) {
        world.owner.announce(&address, &payload);
        quick.expect("event").await;
        seen += 1;
        assert!(seen < 2_000, "128 MiB unread, and still not slow");
    }
    // What it does read is in order and whole, and then comes the reason, unless its patience ended first.
    let mut revision = 0;
    loop {
        match slow.next().await {
            Some(Ok(Message::Text(text))) => {
                revision += 1;
                assert!(text.starts_with(&format!("event {revision} x")));
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                let code = CloseCode::from_number(frame.code.into());
                break assert_eq!(code, Some(CloseCode::Slow));
            }
            end => break assert!(!matches!(end, Some(Ok(_))), "{end:?}"),
        }
    }
    assert!(revision < seen);
    world.owner.announce(&address, "y");
    quick.expect("event").await;
}

#[tokio::test]
async fn over_the_partitions_bound_commands_are_busy_and_pass_later() {
    let mut config = config();
    config.limits.partition.unanswered_max = 1;
    let world = World::with(config).await;
    let mut ana = world.join("ana", 1).await;
    world.owner.moods(|moods| moods.sleeps = true);
    ana.send("send 1 x").await;
    ana.send("send 2 x").await;
    assert_eq!(ana.frame().await, "busy 2 1000");
    // Number 1 is sent again after silence; it passes, and is answered this time.
    world.owner.moods(|moods| moods.sleeps = false);
    ana.send("send 1 x").await;
    ana.expect("event").await;
    ana.expect("reply").await;
    ana.send("send 2 x").await;
    assert_eq!(ana.frame().await, "event 2 x");
}

/// Reads on until this command has its answer.
async fn replied(client: &mut Client, n: u64) {
    while !client.frame().await.starts_with(&format!("reply {n} ")) {}
}

/// While nobody owns a partition, what clients say waits in its lane; beyond the bound they are told so, at once.
#[tokio::test]
async fn without_an_owner_commands_wait_in_the_lane_and_beyond_the_bound_everybody_is_told_to_wait()
{
    let mut config = config();
    config.limits.partition.unanswered_max = 4;
    let world = World::with(config).await;
    let mut clients = [world.join("ana", 1).await, world.join("ben", 2).await];
    world.owner.moods(|moods| moods.sleeps = true);
    for client in &mut clients {
        client.send("send 1 x").await;
        client.send("send 2 x").await;
        client.send("ping all-are-queued").await;
        client.expect("pong").await;
    }
    for client in &mut clients {
        client.send("send 3 x").await;
        assert_eq!(client.frame().await, "busy 3 1000");
        client.send("ask ?x x").await;
        assert_eq!(client.frame().await, "busy ?x 1000");
    }
    let commands = |heard: &Heard| matches!(heard.action, ClientAction::Send { .. }).then_some(());
    until("all four wait in the lane", || {
        world.owner.heard(commands).len() == 4
    })
    .await;
    assert!(world.edge.is_ready());
    // Whoever owns it then answers what waited, and there is room again.
    world.owner.moods(|moods| moods.sleeps = false);
    for client in &mut clients {
        client.send("send 1 x").await;
        client.send("send 2 x").await;
        replied(client, 2).await;
        client.send("send 3 x").await;
        replied(client, 3).await;
    }
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_closed() {
    let mut config = config();
    config.timing.ping = Span::from_millis(50);
    config.timing.silent = Span::from_millis(200);
    let world = World::with(config).await;
    let mut talking = world.join("ben", 2).await;
    let mut ana = world.join("ana", 1).await;
    // Reading answers the pings, and whoever answers stays.
    talking.send("ping x").await;
    let closed = async {
        // Not polled, this client answers nothing.
        until("ana is silent", || {
            world.logs.have(&["xp_edge::connection", "silent", "ana"])
        })
        .await;
    };
    let stays = async {
        talking.expect("pong").await;
        loop {
            match talking.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        () = closed => {}
        () = stays => {}
    }
    assert_eq!(ana.closed().await, CloseCode::Silent);
}

#[tokio::test]
async fn a_socket_in_the_middle_of_nothing_is_given_up() -> io::Result<()> {
    let mut config = config();
    config.timing.handshake = Span::from_millis(50);
    let world = World::with(config).await;
    let mut socket = TcpStream::connect(world.edge.addr()).await?;
    socket.write_all(b"GET /v1/bo").await?;
    let mut answer = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut answer).await;
    assert!(ended.is_err() || answer.is_empty());
    Ok(())
}
