//! Boards that are larger than a record of the log: their welcomes, and resumes after much was missed (R41).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use xp_client::{Client, Item, Options, Payload};

use crate::checker::View;
use crate::installation::Installation;
use crate::process::PATIENCE;
use crate::radio::Radio;

/// The most points of one stroke.
const POINTS: usize = 1_000;
/// So many strokes are more than 1 MiB.
const STROKES: usize = 75;
/// So many make an answer of 1.06 MB and a little more.
const ANSWERED: usize = 43;
/// So many are half of it.
const HALF: usize = 22;
const DIALS: usize = 200;
/// All who dial share two processors with the platform.
const DIALLING: Duration = Duration::from_secs(60);

/// About 24 KB as JSON.
fn stroke(nth: usize) -> Payload {
    let points = vec![[-1_000_000_007, 1_000_000_007]; POINTS];
    let colour = format!("colour-{nth}");
    Payload::json(&json!({"type": "Draw", "data": {"colour": colour, "points": points}})).unwrap()
}

fn connect<I: Installation>(who: &str, url: &str, at: &I) -> Client {
    let address = "board/large".parse().unwrap();
    let mut options = Options::new(url, address, at.signer().tokens(who));
    options.settings.backoff_min_ms = 5;
    options.settings.backoff_max_ms = 100;
    Client::connect(options).unwrap()
}

async fn next(client: &mut Client) -> Item {
    let item = timeout(PATIENCE, client.next()).await;
    item.expect("something happens").expect("it is not over")
}

/// Waits for the welcome, which nothing may come before.
async fn enter<I: Installation>(who: &str, url: &str, at: &I) -> (Client, Payload) {
    let mut client = connect(who, url, at);
    match next(&mut client).await {
        Item::Welcome { shown, .. } => (client, shown),
        other => panic!("{who} was not welcomed: {other:?}"),
    }
}

/// Somebody draws so many strokes, each answered, and leaves.
async fn draw<I: Installation>(who: &str, strokes: usize, at: &I) {
    let (client, _) = enter(who, &at.urls()[0], at).await;
    let handle = client.handle();
    let (_, mut items) = client.split();
    let looking = tokio::spawn(async move { while items.next().await.is_some() {} });
    for nth in 0..strokes {
        let answer = timeout(PATIENCE, handle.command_payload(stroke(nth))).await;
        let reply: Value = answer.expect("an answer").unwrap().reply().unwrap();
        assert_eq!(reply["type"], "Drawn");
    }
    handle.close().await;
    looking.await.unwrap();
}

/// Each stroke with every one of its points.
fn is_whole(shown: &Payload, strokes: usize) -> bool {
    let shown: Value = shown.read().unwrap();
    has_all(&shown[0]["data"], strokes)
}

fn has_all(board: &Value, strokes: usize) -> bool {
    let board = board["strokes"].as_object().unwrap();
    let all = |stroke: &Value| stroke["points"].as_array().unwrap().len() == POINTS;
    board.len() == strokes && board.values().all(all)
}

pub(crate) async fn a_board_larger_than_a_record_is_shown_whole<I: Installation>() {
    let mut installation = I::start().await;
    draw("ana", STROKES, &installation).await;
    for (nth, url) in installation.urls().iter().enumerate() {
        let (client, shown) = enter(&format!("bob{nth}"), url, &installation).await;
        assert!(is_whole(&shown, STROKES), "edge {nth} shows another board");
        client.close().await;
    }
    installation.end().await;
}

/// An answer is no part of the chain: it comes in pieces of its own.
pub(crate) async fn an_answer_larger_than_a_record_arrives_whole<I: Installation>() {
    let mut installation = I::start().await;
    draw("ana", ANSWERED, &installation).await;
    for (nth, url) in installation.urls().iter().enumerate() {
        let (client, _) = enter(&format!("bob{nth}"), url, &installation).await;
        let handle = client.handle();
        let (_, mut items) = client.split();
        let looking = tokio::spawn(async move { while items.next().await.is_some() {} });
        let answer = timeout(PATIENCE, handle.query(&json!({"type": "All"}))).await;
        let reply: Value = answer.expect("an answer").unwrap().reply().unwrap();
        let bytes = reply.to_string().len();
        assert!((1_060_000..1_100_000).contains(&bytes), "{bytes} bytes");
        assert!(has_all(&reply["data"], ANSWERED), "edge {nth} answers less");
        handle.close().await;
        looking.await.unwrap();
    }
    installation.end().await;
}

pub(crate) async fn who_missed_more_than_a_record_sees_every_stroke_once<I: Installation>() {
    let mut installation = I::start().await;
    let url = installation.urls().pop().unwrap();
    let server: SocketAddr = url.strip_prefix("ws://").unwrap().parse().unwrap();
    let radio = Radio::before(server).await;
    let mut phone = connect("phone", &format!("ws://{}", radio.addr), &installation);
    let mut view = View::default();
    view.see(&next(&mut phone).await);
    radio.off();
    draw("ana", STROKES, &installation).await;
    radio.on();
    while view.strokes.len() < STROKES {
        view.see(&next(&mut phone).await);
    }
    assert_eq!(view.wrong, Vec::<String>::new());
    let came_back = (view.resumed, view.started_over);
    assert_eq!(came_back, (1, 0), "{:?}", view.losses);
    phone.close().await;
    installation.end().await;
}

pub(crate) async fn a_crowd_before_a_large_board_is_let_in_and_nobody_is_closed<I: Installation>() {
    let mut installation = I::start().await;
    draw("ana", HALF, &installation).await;
    let urls = installation.urls();
    let dialling = (0..DIALS).map(|nth| {
        let client = connect(&format!("bob{nth}"), &urls[nth % urls.len()], &installation);
        tokio::spawn(welcomed(client))
    });
    for dialling in dialling.collect::<Vec<_>>() {
        let client = dialling.await.unwrap();
        client.close().await;
    }
    installation.end().await;
}

async fn welcomed(mut client: Client) -> Client {
    let item = timeout(DIALLING, client.next()).await;
    match item.expect("a board lets everybody in") {
        Some(Item::Welcome { shown, .. }) => assert!(is_whole(&shown, HALF)),
        other => panic!("no welcome, but {other:?}"),
    }
    client
}
