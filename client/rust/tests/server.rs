//! The client against a scripted server: each test says, frame by frame, what the server hears and says.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail the test where they stand"
)]

#[path = "server/script.rs"]
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use script::{Server, within};
use serde_json::json;
use xp_client::options::Settings;
use xp_client::{Answer, Client, End, Error, Item, Lost, Options, Payload, Tokens};
use xp_protocol::{Address, DialAttempt, FaultCode, Revision};

fn address() -> Address {
    "board/my kitchen".parse().unwrap()
}

/// Options that dial again at once, so that tests need not wait.
fn options(server: &Server) -> Options {
    Options {
        attempt: Some(DialAttempt(0)),
        settings: Settings {
            backoff_min_ms: 2,
            backoff_max_ms: 20,
            ..Settings::default()
        },
        ..Options::new(server.url(), address(), "a.b.c")
    }
}

async fn next(client: &mut Client) -> Item {
    within(client.next()).await.expect("the client goes on")
}

fn event(revision: u64, text: &str) -> Item {
    Item::Event {
        revision: Revision(revision),
        payload: Payload::text(text),
    }
}

#[tokio::test]
async fn a_command_goes_out_and_its_event_and_answer_come_back() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    let connection = client.connection();
    assert_eq!(
        socket.uri,
        format!("/v1/board/my%20kitchen?connection={connection}&attempt=1")
    );
    assert_eq!(socket.authorization, "Bearer a.b.c");
    socket.says("welcome 3 0 fresh {\"strokes\":[]}").await;
    let shown = Payload::text("{\"strokes\":[]}");
    let revision = Revision(3);
    assert_eq!(next(&mut client).await, Item::Welcome { revision, shown });

    let handle = client.handle();
    let command = tokio::spawn(async move { handle.command(&json!({"type": "Clear"})).await });
    socket.hears("send 1 {\"type\":\"Clear\"}").await;
    socket.says("event 4 [\"Cleared\"]").await;
    socket.says("reply 1 4 {\"ok\":true}").await;
    assert_eq!(next(&mut client).await, event(4, "[\"Cleared\"]"));
    let answer = within(command).await.unwrap().unwrap();
    assert_eq!(answer.revision(), Revision(4));
    assert_eq!(
        answer.reply::<serde_json::Value>().unwrap(),
        json!({"ok": true})
    );
}

#[tokio::test]
async fn a_broken_socket_is_replaced_resumed_and_given_everything_unanswered_again() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    let first = client.submit(Payload::text("a")).await.unwrap();
    let second = client.submit(Payload::text("b")).await.unwrap();
    socket.hears("send 1 a").await;
    socket.hears("send 2 b").await;
    socket.says("event 1 [1]").await;
    socket.says("reply 1 1 ").await;
    within(first).await.unwrap();
    socket.breaks();

    let mut socket = server.accept().await;
    assert!(socket.uri.ends_with("&attempt=2&since=1"), "{}", socket.uri);
    socket.says("welcome 1 2 resumed").await;
    socket.says("event 2 [2]").await;
    socket.hears("send 2 b").await;
    socket.says("reject 2 2 \"too late\"").await;
    let rejection = within(second).await.unwrap().reply::<()>().unwrap_err();
    assert_eq!(rejection, Error::Rejected(Payload::text("\"too late\"")));

    let mut items = Vec::new();
    for _ in 0..5 {
        items.push(next(&mut client).await);
    }
    assert!(matches!(items[0], Item::Welcome { .. }));
    assert_eq!(items[1], event(1, "[1]"));
    assert!(matches!(
        items[2],
        Item::Lost {
            why: Lost::Transport(_),
            ..
        }
    ));
    assert_eq!(items[3], Item::Resumed { since: Revision(1) });
    assert_eq!(items[4], event(2, "[2]"));
}

#[tokio::test]
async fn a_fresh_welcome_later_on_is_an_explicit_new_start() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 5 0 fresh old").await;
    next(&mut client).await;
    socket.closes(4400).await;
    let lost = next(&mut client).await;
    assert!(
        matches!(
            lost,
            Item::Lost {
                why: Lost::Code(4400, _),
                ..
            }
        ),
        "{lost:?}"
    );
    let mut socket = server.accept().await;
    socket.says("welcome 900 0 fresh new").await;
    let expected = Item::StartedOver {
        revision: Revision(900),
        shown: Payload::text("new"),
    };
    assert_eq!(next(&mut client).await, expected);
}

#[tokio::test]
async fn codes_below_4400_end_the_client_and_every_call() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    let waiting = client.submit(Payload::text("a")).await.unwrap();
    socket.hears("send 1 a").await;
    socket
        .closes_with(4003, "replaced: a newer socket took over")
        .await;
    let end = End::Code(4003, "a newer socket took over".into());
    let said = "closed with 4003 replaced (a newer socket took over)";
    assert_eq!(end.to_string(), said);
    assert_eq!(next(&mut client).await, Item::Closed(end.clone()));
    assert_eq!(within(client.next()).await, None);
    let error = Error::Ended(end);
    assert_eq!(within(waiting).await, Err(error.clone()));
    assert_eq!(within(client.command("late")).await, Err(error.clone()));
    assert_eq!(within(client.query("late")).await, Err(error.clone()));
    assert_eq!(client.ephemeral("late"), Err(error));
    within(client.close()).await;
}

#[tokio::test]
async fn leaving_closes_with_1000() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    let (closed, code) = tokio::join!(within(client.close()), socket.hears_close());
    assert_eq!((closed, code), ((), Some(1000)));
    assert_eq!(next(&mut client).await, Item::Closed(End::Left));
}

#[tokio::test]
async fn a_dropped_client_goes_away_without_ending_its_session() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    drop(client);
    assert_eq!(socket.hears_close().await, Some(1001));
}

#[tokio::test]
async fn queries_ephemeral_commands_and_binary_payloads_travel_as_they_are() {
    let mut server = Server::start().await;
    let mut client = Client::connect(options(&server)).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    client.ephemeral("cursor").unwrap();
    socket.hears("ephemeral \"cursor\"").await;

    let handle = client.handle();
    let query = tokio::spawn(async move { handle.query("how many").await });
    socket.hears("ask ?q1 \"how many\"").await;
    socket.says("fault ?q1 0 panicked").await;
    let answer = within(query).await.unwrap().unwrap();
    assert_eq!(
        answer.reply::<()>().unwrap_err(),
        Error::Fault(FaultCode::Panicked)
    );

    let bytes: &[u8] = b"\x00 \xff";
    let command = client.submit(Payload::binary(bytes)).await.unwrap();
    socket.hears_binary(b"send 1 \x00 \xff").await;
    socket.says_binary(b"reply 1 0 \xfe").await;
    let (revision, payload) = (Revision(0), Payload::binary(&b"\xfe"[..]));
    assert_eq!(
        within(command).await,
        Ok(Answer::Reply { revision, payload })
    );
}

#[tokio::test]
async fn a_command_beyond_the_window_waits_for_room() {
    let mut server = Server::start().await;
    let mut options = options(&server);
    options.settings.window = 2;
    let mut client = Client::connect(options).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    let handle = client.handle();
    let all = tokio::spawn(async move {
        let mut coming = Vec::new();
        for text in ["a", "b", "c", "d", "e"] {
            coming.push(handle.submit(Payload::text(text)).await.unwrap());
        }
        for answer in coming {
            answer.await.unwrap();
        }
    });
    socket.hears("send 1 a").await;
    socket.hears("send 2 b").await;
    socket.says("pong nothing 0").await;
    socket.says("reply 1 1 ").await;
    socket.hears("send 3 c").await;
    socket.says("busy 3 5").await;
    socket.hears("send 3 c").await;
    socket.says("reply 2 2 ").await;
    socket.hears("send 4 d").await;
    socket.says("reply 4 4 ").await;
    socket.says("reply 3 3 ").await;
    socket.hears("send 5 e").await;
    socket.says("reply 5 5 ").await;
    within(all).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_dialled_until_it_is() {
    let mut server = Server::start().await;
    let mut options = options(&server);
    server.stop().await;
    options.attempt = None;
    let mut client = Client::connect(options).unwrap();
    let lost = next(&mut client).await;
    assert!(
        matches!(
            lost,
            Item::Lost {
                why: Lost::Transport(_),
                ..
            }
        ),
        "{lost:?}"
    );
    server.restart().await;
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    let mut item = next(&mut client).await;
    while matches!(item, Item::Lost { .. }) {
        item = next(&mut client).await;
    }
    assert!(matches!(item, Item::Welcome { .. }), "{item:?}");
}

/// An unsigned token with an expiry, which is all that the client reads of it.
fn token_that_lives(seconds: f64, name: &str) -> String {
    let expires = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() + seconds;
    let claims = json!({"sub": name, "exp": expires}).to_string();
    format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn numbered_tokens() -> Tokens {
    let given = Arc::new(AtomicU64::new(0));
    Tokens::from_fn(move || {
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        let seconds = if number == 1 { 2.0 } else { 3600.0 };
        std::future::ready(Ok(token_that_lives(seconds, &number.to_string())))
    })
}

#[tokio::test]
async fn a_token_is_refreshed_on_the_open_socket_before_it_expires() {
    let mut server = Server::start().await;
    let mut options = options(&server);
    options.tokens = numbered_tokens();
    let mut client = Client::connect(options).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    next(&mut client).await;
    let frame = socket.hears_something().await;
    assert!(frame.starts_with("token h."), "{frame}");
    within(client.refresh_token()).await.unwrap();
    let again = socket.hears_something().await;
    assert!(again.starts_with("token h."), "{again}");
    assert_ne!(frame, again);
}

#[tokio::test]
async fn without_a_token_the_client_says_why_and_tries_again() {
    let mut server = Server::start().await;
    let asked = Arc::new(AtomicU64::new(0));
    let mut options = options(&server);
    options.tokens = Tokens::from_fn(move || {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        std::future::ready(if first {
            Err("nobody is logged in".into())
        } else {
            Ok("a.b.c".to_owned())
        })
    });
    let mut client = Client::connect(options).unwrap();
    let why = Lost::Transport("no token: nobody is logged in".to_owned());
    let lost = next(&mut client).await;
    assert!(
        matches!(&lost, Item::Lost { why: w, .. } if *w == why),
        "{lost:?}"
    );
    assert!(server.accept().await.uri.contains("&attempt=2"));
}

#[tokio::test]
async fn an_application_that_does_not_look_loses_nothing_and_one_that_drops_its_items_goes_on() {
    let mut server = Server::start().await;
    let mut options = options(&server);
    options.items_max = 1;
    let mut client = Client::connect(options).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    for revision in 1..=100 {
        socket.says(&format!("event {revision} []")).await;
    }
    assert!(matches!(next(&mut client).await, Item::Welcome { .. }));
    for revision in 1..=50 {
        assert_eq!(next(&mut client).await, event(revision, "[]"));
    }
    let (handle, items) = client.split();
    drop(items);
    let command = tokio::spawn(async move { handle.command("x").await });
    socket.hears("send 1 \"x\"").await;
    socket.says("reply 1 101 null").await;
    within(command).await.unwrap().unwrap();
}

#[tokio::test]
async fn wss_speaks_tls_with_the_roots_it_is_given() {
    let (mut server, tls) = Server::start_with_tls().await;
    let mut options = options(&server);
    options.tls = Some(tls);
    let mut client = Client::connect(options).unwrap();
    let mut socket = server.accept().await;
    socket.says("welcome 0 0 fresh ").await;
    assert!(matches!(next(&mut client).await, Item::Welcome { .. }));
}

#[tokio::test]
async fn wrong_options_are_refused_at_once() {
    for url in ["http://x", "board", "ws://", "ws://x?y=1", ""] {
        let options = Options::new(url, address(), "t");
        let error = Client::connect(options).unwrap_err();
        assert!(error.to_string().contains("such as wss://"), "{error}");
    }
}
