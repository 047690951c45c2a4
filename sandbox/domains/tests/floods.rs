//! One subject says as much as it may, on plain sockets: neither does its partition stop, nor do others wait (R42).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use xp_domains::board::{self, Board};
use xp_protocol::Address;
use xplatform::sandbox::Config;
use xplatform::sandbox::Sandbox;

/// What the reproduction sends: three sockets with as many frames as one may send at once.
const SOCKETS: u32 = 3;
const FRAMES: u32 = 990;
const FRAME_BYTES: usize = 60_000;
/// Of the built-in lane.
const PARTITIONS: u32 = 8;

/// A socket that says the same again and again, and reads what it is shown without looking.
async fn flood(addr: std::net::SocketAddr, token: String, number: u32) {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!(
        "GET /v1/board/1?connection=00000000-0000-4000-8000-{number:012} HTTP/1.1\r\nHost: {addr}\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    let frame = frame();
    let (mut read, mut write) = socket.split();
    let said = async {
        for _ in 0..FRAMES {
            write.write_all(&frame).await.unwrap();
        }
    };
    let mut shown = sink();
    tokio::select! {
        () = said => {}
        _ = copy(&mut read, &mut shown) => panic!("the edge closed the socket"),
    }
}

/// A text frame (RFC 6455, 5.2) whose mask is zero: a cursor, and much white space.
fn frame() -> Vec<u8> {
    let word = r#"ephemeral {"type":"Cursor","data":{"x":1,"y":2}}"#;
    let length = u16::try_from(FRAME_BYTES).unwrap().to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.extend_from_slice(word.as_bytes());
    frame.resize(8 + FRAME_BYTES, b' ');
    frame
}

/// The limits on bytes alone would end it; here they let it pass.
fn without_byte_limits(config: &mut Config) {
    let limits = &mut config.edge.limits;
    limits.rates.bytes_burst.0 = 1 << 30;
    limits.rates.subject_bytes_burst.0 = 1 << 30;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_large_ephemerals_neither_stops_its_partition_nor_delays_others() {
    let sandbox = Sandbox::builder()
        .host::<Board>()
        .configure(without_byte_limits)
        .start()
        .await
        .unwrap();
    let ben = sandbox.user("ben").connect(&neighbour()).await;
    let ana = sandbox.user("ana");
    let mut floods = JoinSet::new();
    for number in 0..SOCKETS {
        floods.spawn(flood(sandbox.addr(), ana.token(), number));
    }
    let mut drawn = 0;
    while !floods.is_empty() {
        draw(&ben).await;
        drawn += 1;
        while floods.try_join_next().map(Result::unwrap).is_some() {}
    }
    for _ in 0..10 {
        draw(&ben).await;
    }
    assert!(drawn > 1, "ben drew while ana said as much as she could");
    sandbox.shutdown().await;
}

/// Another board of the same partition: who only waits for answers there is shown no cursors.
fn neighbour() -> String {
    let partition = |board: &str| board.parse::<Address>().unwrap().partition(PARTITIONS);
    let boards = (2..).map(|number| format!("board/{number}"));
    let mut same = boards.filter(|board| partition(board) == partition("board/1"));
    same.next().unwrap()
}

/// The visitor itself says when an answer takes too long.
async fn draw(who: &xplatform::sandbox::Visitor) {
    let answer = who
        .command(&board::Command::Draw {
            colour: "red".to_owned(),
            points: vec![(0, 0), (3, 4)],
        })
        .await;
    assert!(matches!(answer.reply(), Ok(board::Reply::Drawn { .. })));
}
