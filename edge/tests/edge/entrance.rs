//! The time before a good token: silent sockets, bad tokens, proxies, probes, and an edge that is full.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xp_edge::Config;
use xp_edge::config::ToldBy;
use xp_protocol::CloseCode;

use crate::world::client::Dial;
use crate::world::{World, config, token};

async fn ask(world: &World, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(world.edge.addr()).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset tells as much as an end.
    drop(socket.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The first line of the answer, of a socket that may stay open behind it.
async fn start(world: &World, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(world.edge.addr()).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\n") && socket.read_buf(&mut line).await.unwrap() > 0 {}
    String::from_utf8_lossy(&line).into_owned()
}

async fn get(world: &World, path: &str) -> String {
    ask(
        world,
        format!("GET {path} HTTP/1.1\r\nhost: edge\r\n\r\n").as_bytes(),
    )
    .await
}

async fn limited(limit: impl FnOnce(&mut Config)) -> World {
    let mut config = config();
    limit(&mut config);
    World::with(config).await
}

#[tokio::test]
async fn silent_sockets_give_way_to_clients_and_probes() {
    let world = limited(|config| {
        config.limits.connections.arrivals_per_network = 8;
        // The silent ones would still be there when the test has long been over.
        config.timing.handshake = "10min".parse().unwrap();
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(world.edge.addr()).await.unwrap());
    }
    world.join("ana", 1).await;
    assert!(get(&world, "/health").await.contains("200 OK"));
    // The oldest is gone, the newest is still waited for.
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0);
    let newest = silent.last_mut().unwrap();
    newest
        .write_all(b"GET /live HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    newest.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// Anybody may dial, and say what it likes.
#[tokio::test]
async fn who_is_turned_away_again_and_again_fills_no_log_and_forges_no_line() {
    let world = World::new().await;
    let forged = format!("/v1/board/%1b%0aERROR{}", "x".repeat(4_000));
    let mut reasons = Vec::new();
    for _ in 0..60 {
        let mut socket = world.dial("ana").path(&forged).open().await;
        let reason = socket.reason().await;
        assert!(reason.starts_with("unknown-address #"), "{reason}");
        let dial = Dial::to(world.edge.addr()).connection(1).bearer("nonsense");
        reasons.push(dial.open().await.reason().await);
    }
    let lines = world.logs.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("turned a client away"));
    let told: Vec<_> = told.collect();
    assert!(told.iter().all(|line| line.len() < 700), "{told:#?}");
    assert!(
        lines.iter().all(|line| !line.contains('\u{1b}')),
        "{lines:#?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("ERROR ")),
        "{lines:#?}"
    );
    // Five of each code in a second; the dials take a few.
    assert!(told.len() < 100, "{}", told.len());
    let first = reasons.first().unwrap();
    let reference = first.strip_prefix("bad-token ").unwrap();
    let has_it = |line: &&String| line.contains(&format!("reference={reference:?}"));
    assert!(lines.iter().any(|line| has_it(&line)), "{first}: {told:#?}");
}

#[tokio::test]
async fn who_develops_hears_why_it_is_turned_away() {
    let world = limited(|config| config.explains = true).await;
    let dial = Dial::to(world.edge.addr()).connection(1).bearer("nonsense");
    let reason = dial.open().await.reason().await;
    assert!(reason.starts_with("bad-token: "), "{reason}");
}

#[tokio::test]
async fn an_edge_that_is_full_says_so_and_still_answers_probes() {
    let world = limited(|config| config.limits.connections.max = 1).await;
    assert!(get(&world, "/ready").await.contains("200 OK"));
    let mut ana = world.join("ana", 1).await;
    let dial = world.dial("ben").connection(2);
    let refused = tokio_tungstenite::connect_async(dial.request()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("503"), "{refused}");
    assert!(get(&world, "/health").await.contains("200 OK"));
    let ready = get(&world, "/ready").await;
    assert!(
        ready.contains("503") && ready.contains("connections.max"),
        "{ready}"
    );
    ana.send("ping still-here").await;
    ana.expect("pong").await;
}

#[tokio::test]
async fn bad_tokens_have_a_budget_of_their_own() {
    let world = limited(|config| {
        let limits = &mut config.limits;
        (
            limits.handshakes.bad_tokens_per_second,
            limits.handshakes.bad_tokens_burst,
        ) = (1, 3);
        (limits.handshakes.per_second, limits.handshakes.burst) = (1, 2);
    })
    .await;
    let mut codes = Vec::new();
    for number in 0..10 {
        let dial = Dial::to(world.edge.addr()).bearer("garbage");
        codes.push(dial.connection(number).refused().await);
    }
    assert_eq!(codes[..3], [CloseCode::BadToken; 3]);
    assert!(codes.contains(&CloseCode::TooFast), "{codes:?}");
    world.join("ana", 1).await;
}

#[tokio::test]
async fn a_subject_comes_in_so_often_and_no_more() {
    let world = limited(|config| {
        let limits = &mut config.limits;
        limits.handshakes.subject_per_second = 1;
        limits.handshakes.subject_burst = 2;
    })
    .await;
    let mut refused = 0;
    for number in 1..=10 {
        let mut client = world.dial("ana").connection(number).open().await;
        let welcomed = matches!(client.next().await, Some(Ok(message)) if message.is_text());
        refused += usize::from(!welcomed);
    }
    assert!(refused >= 5, "{refused}");
    world.join("ben", 20).await;
}

#[tokio::test]
async fn whatever_way_a_probe_asks_it_is_told_the_truth() {
    let world = World::new().await;
    for (request, says) in [
        ("GET /ready HTTP/1.0\r\n\r\n", ["200 OK", "ready"]),
        (
            "GET /health?from=lb HTTP/1.0\r\nhost: x\r\n\r\n",
            ["200 OK", "live"],
        ),
        ("GET /live HTTP/1.1\r\n\r\n", ["200 OK", "live"]),
        ("GET / HTTP/1.0\r\n\r\n", ["404", "/v1/{category}/{id}"]),
        // What HAProxy's `option httpchk /ready` says, and its `HEAD`.
        ("OPTIONS /ready HTTP/1.0\r\n\r\n", ["200 OK", "ready"]),
        (
            "OPTIONS /ready HTTP/1.1\r\nhost: x\r\n\r\n",
            ["200 OK", "ready"],
        ),
        // What a proxy sends that passes no upgrade on.
        (
            "GET /v1/board/1 HTTP/1.0\r\nupgrade: websocket\r\n\r\n",
            ["426", "HTTP/1.1"],
        ),
        ("POST /ready HTTP/1.1\r\n\r\n", ["400", "no websocket"]),
    ] {
        let answer = ask(&world, request.as_bytes()).await;
        assert!(says.iter().all(|part| answer.contains(part)), "{answer}");
    }
}

#[tokio::test]
async fn a_probe_that_wants_the_status_alone_hears_nothing_else() {
    let world = World::new().await;
    for version in ["1.0", "1.1"] {
        let request = format!("HEAD /ready HTTP/{version}\r\nhost: x\r\n\r\n");
        let answer = ask(&world, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-length: 6\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

fn behind_a_proxy(config: &mut Config, told_by: ToldBy) {
    config.proxies.trusted = vec!["127.0.0.1".parse().unwrap()];
    config.proxies.told_by = told_by;
    config.limits.connections.per_address = 1;
}

fn forwarded(world: &World, number: u128, header: &'static str, value: &str) -> Dial {
    world.dial("ana").connection(number).header(header, value)
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_by_their_own_networks() {
    let world = limited(|config| behind_a_proxy(config, ToldBy::XForwardedFor)).await;
    let from = |number, addr| forwarded(&world, number, "x-forwarded-for", addr);
    let mut first = from(1, "203.0.113.7").open().await;
    first.expect("welcome").await;
    let mut second = from(2, "198.51.100.1, 2001:db8::1").open().await;
    second.expect("welcome").await;
    let same_network = from(3, "2001:db8::2").refused().await;
    assert_eq!(same_network, CloseCode::TooManyConnections);
}

#[tokio::test]
async fn who_is_turned_away_behind_a_proxy_is_told_of_by_his_own_address() {
    let world = limited(|config| behind_a_proxy(config, ToldBy::XForwardedFor)).await;
    let dial = Dial::to(world.edge.addr()).connection(1).bearer("nonsense");
    let dial = dial.header("x-forwarded-for", "203.0.113.7");
    assert_eq!(dial.refused().await, CloseCode::BadToken);
    let told = ["turned a client away", "peer=203.0.113.7:"];
    assert!(world.logs.have(&told), "{:#?}", world.logs.lines());
}

#[tokio::test]
async fn nobody_else_says_where_he_comes_from() {
    let world = limited(|config| config.limits.connections.per_address = 1).await;
    let from = |number, addr| forwarded(&world, number, "x-forwarded-for", addr);
    let mut first = from(1, "203.0.113.7").open().await;
    first.expect("welcome").await;
    let second = from(2, "203.0.113.8").refused().await;
    assert_eq!(second, CloseCode::TooManyConnections);
}

#[tokio::test]
async fn a_proxy_that_speaks_first_must() {
    let world = limited(|config| behind_a_proxy(config, ToldBy::ProxyV2)).await;
    let addresses = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0, 80];
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    let request = b"GET /ready HTTP/1.1\r\n\r\n";
    let proxied = [&head[..], &addresses, request].concat();
    assert!(ask(&world, &proxied).await.contains("200 OK"));
    // A probe of the port alone says nothing, and is not told of.
    drop(tokio::net::TcpStream::connect(world.edge.addr()).await);
    assert_eq!(ask(&world, request).await, "");
    let of_proxies = |line: &&String| line.contains("a trusted proxy does not speak as");
    let lines = world.logs.lines();
    assert_eq!(lines.iter().filter(of_proxies).count(), 1, "{lines:#?}");
}

/// Whoever is in between may have read such a request otherwise than the edge does.
#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_a_bad_one() {
    let world = World::new().await;
    let host = "host: edge";
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let plain = "/v1/board/1?connection=00000000-0000-0000-0000-000000000001";
    let dial = |target: &str, headers: &[&str]| {
        let headers = headers.join("\r\n");
        format!(
            "GET {target} HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n{headers}\r\n\r\n"
        )
    };
    let good = start(&world, dial(plain, &[host, key]).as_bytes()).await;
    assert!(good.contains("101 Switching"), "{good}");
    let escaped = plain.replace("board/1", "board/%31%c3%bc");
    let good = start(&world, dial(&escaped, &[host, key]).as_bytes()).await;
    assert!(good.contains("101 Switching"), "{good}");
    let odd = [
        "/v1/board/%zz",
        "/v1/board/%",
        "/v1/board/1%4",
        "/v1/board/%4g",
        "/v1/board/1?connection=%zz",
    ];
    let mut requests: Vec<String> = odd
        .iter()
        .map(|target| dial(target, &[host, key]))
        .collect();
    for headers in [
        vec![key],
        vec![host, host, key],
        vec![host],
        vec![host, key, key],
        vec![host, "sec-websocket-key: short"],
        vec![host, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ"],
        vec![host, "sec-websocket-key: dGhlIHNhbXBsZSBub25j*Q=="],
        vec![host, "sec-websocket-key:"],
        vec![
            host,
            key,
            "origin: https://good.example",
            "origin: https://evil.example",
        ],
        vec![
            host,
            key,
            "authorization: Bearer a",
            "authorization: Bearer b",
        ],
    ] {
        requests.push(dial(plain, &headers));
    }
    for request in requests {
        let answer = ask(&world, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}{answer}");
    }
}

/// A name that is no ASCII was taken for none, and whoever has no origin comes from no page.
#[tokio::test]
async fn a_page_whose_origin_is_no_ascii_is_turned_away() {
    let world = World::new().await;
    let token = token("ana");
    let dial = |origin: &[u8]| {
        let head = "GET /v1/board/1?connection=00000000-0000-0000-0000-000000000001 HTTP/1.1\r\nhost: edge\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let ours = format!("{head}authorization: Bearer {token}\r\norigin: ");
        [ours.as_bytes(), origin, b"\r\n\r\n"].concat()
    };
    let foreign: [&[u8]; 3] = [
        "https://b\u{fc}cher.example".as_bytes(),
        b"\xff",
        "\u{202e}https://good.example".as_bytes(),
    ];
    for origin in foreign {
        let answer = ask(&world, &dial(origin)).await;
        assert!(answer.contains("foreign-origin"), "{answer}");
    }
}
