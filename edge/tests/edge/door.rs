//! Refused handshakes: each with its close code, and with what the operator reads of it.

use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::json;
use xp_edge::Config;
use xp_edge::config::Key;
use xp_protocol::CloseCode;
use xp_protocol::inbound::ClientAction;

use crate::world::client::Dial;
use crate::world::{self, World, claims, config, sign, sign_with, time, token, tokens, until};

/// The dial is closed with `code`, and the log says so with `reason`.
async fn check(world: &World, dial: Dial, code: CloseCode, reason: &str) {
    assert_eq!(dial.connection(1).refused().await, code, "{reason}");
    let line = ["xp_edge::handshake", code.name(), reason];
    until(reason, || world.logs.have(&line)).await;
}

fn anonymous(world: &World) -> Dial {
    Dial::to(world.edge.addr())
}

/// A program that is not started by a configuration file hears of it, too.
#[tokio::test]
async fn an_origin_that_no_browser_sends_is_refused_at_the_start() {
    let world = World::new().await;
    let config = Config {
        origins: vec!["https://good.example/".to_owned()],
        ..config()
    };
    let started = world.another_edge(config, 7).await;
    let refused = started.err().expect("nobody could ever come in");
    let said = refused.to_string();
    assert!(
        said.contains("edge.origins") && said.contains("\"https://good.example\""),
        "{said}"
    );
}

#[tokio::test]
async fn without_a_good_token_nobody_comes_in() {
    let world = World::new().await;
    let bad = CloseCode::BadToken;
    check(&world, anonymous(&world), bad, "no token").await;
    check(
        &world,
        anonymous(&world).bearer("garbage"),
        bad,
        "unreadable header",
    )
    .await;
    let forged = EncodingKey::from_secret(b"another secret of thirty-two bytes or more");
    let forged = sign_with(Algorithm::HS256, &forged, &claims("ana"));
    check(
        &world,
        anonymous(&world).bearer(&forged),
        bad,
        "InvalidSignature",
    )
    .await;
}

#[tokio::test]
async fn an_expired_token_is_told_from_a_bad_one() {
    let world = World::new().await;
    let old = sign(&json!({ "sub": "ana", "exp": time(-10) }));
    let dial = anonymous(&world).bearer(&old);
    check(&world, dial, CloseCode::TokenExpired, "the token expired").await;
}

#[tokio::test]
async fn a_token_that_soon_holds_is_told_so() {
    let world = World::new().await;
    let early = sign(&json!({ "sub": "ana", "exp": time(3600), "nbf": time(60) }));
    let dial = anonymous(&world).bearer(&early);
    check(&world, dial, CloseCode::TokenEarly, "the token holds only").await;
}

#[tokio::test]
async fn a_token_that_needs_no_signature_is_a_bad_one() {
    let world = World::new().await;
    // {"alg":"none"}.{"sub":"ana","exp":99999999999}.
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEiLCJleHAiOjk5OTk5OTk5OTk5fQ.";
    let dial = anonymous(&world).bearer(none);
    check(&world, dial, CloseCode::BadToken, "unreadable header").await;
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_secret_is_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    let pem = KeyPair::generate_for(&PKCS_RSA_SHA256)
        .unwrap()
        .public_key_pem();
    let path = dir.path().join("rsa.pem");
    std::fs::write(&path, &pem).unwrap();
    let mut config = config();
    config.tokens = tokens(vec![Key::pem_file(path)]);
    let world = World::with(config).await;
    let forged = EncodingKey::from_secret(pem.as_bytes());
    let forged = sign_with(Algorithm::HS256, &forged, &claims("ana"));
    let dial = anonymous(&world).bearer(&forged);
    check(
        &world,
        dial,
        CloseCode::BadToken,
        "no key for algorithm HS256",
    )
    .await;
}

#[tokio::test]
async fn a_token_without_a_required_claim_is_a_bad_one() {
    let mut config = config();
    config.tokens.required = vec!["role".to_owned()];
    config.tokens.issuers = vec!["issuer".to_owned()];
    let world = World::with(config).await;
    for (claims, reason) in [
        (json!({ "sub": "ana" }), "exp"),
        (json!({ "exp": time(60) }), "sub"),
        (
            json!({ "sub": "ana", "exp": time(60), "iss": "issuer" }),
            "role",
        ),
        (json!({ "sub": "ana", "exp": time(60), "role": "x" }), "iss"),
    ] {
        let dial = anonymous(&world).bearer(&sign(&claims));
        check(
            &world,
            dial,
            CloseCode::BadToken,
            &format!("\"{reason}\" is missing"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_live_connection_of_another_subject_cannot_be_taken() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let dial = world.dial("ben").query("attempt=99999999999999");
    check(
        &world,
        dial,
        CloseCode::ForeignConnection,
        "of another subject",
    )
    .await;
    ana.send("ping still-here").await;
    ana.expect("pong").await;
}

#[tokio::test]
async fn unknown_addresses_are_named() {
    let world = World::new().await;
    let unknown = CloseCode::UnknownAddress;
    let dial = |path| world.dial("ana").path(path);
    check(&world, dial("/v1/castle/1"), unknown, "nothing of category").await;
    check(&world, dial("/v1/board"), unknown, "the path is").await;
    check(&world, dial("/v1/BOARD/1"), unknown, "a category is").await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_turned_away() {
    let world = World::new().await;
    let from = |origin| world.dial("ana").header("origin", origin);
    let code = CloseCode::ForeignOrigin;
    check(
        &world,
        from("https://evil.example"),
        code,
        "https://evil.example",
    )
    .await;
    let mut good = from("https://good.example").connection(2).open().await;
    good.expect("welcome").await;
}

#[tokio::test]
async fn a_dial_without_a_connection_id_is_a_protocol_error() {
    let world = World::new().await;
    assert_eq!(world.dial("ana").refused().await, CloseCode::ProtocolError);
}

#[tokio::test]
async fn a_browser_brings_its_token_among_the_subprotocols_and_gets_one_back() {
    let world = World::new().await;
    let offered = format!("xp.v1, xp.bearer.{}", token("ana"));
    let dial = anonymous(&world).header("sec-websocket-protocol", &offered);
    let mut client = dial.connection(1).open().await;
    let selected = client.response.headers().get_all("sec-websocket-protocol");
    assert_eq!(selected.iter().collect::<Vec<_>>(), ["xp.v1"]);
    client.expect("welcome").await;
}

#[tokio::test]
async fn the_entity_hears_who_came_and_of_the_claims_those_that_it_names() {
    let world = World::new().await;
    world.join("ana", 1).await;
    let heard = world.owner.hears("a connect", |heard| {
        matches!(heard.action, ClientAction::Connect { .. }).then(|| heard.clone())
    });
    let heard = heard.await;
    let ClientAction::Connect { subject, since, .. } = heard.action else {
        unreachable!("picked as one")
    };
    assert_eq!((&*subject, since), ("ana", None));
    assert_eq!(heard.value, r#"{"role":"painter"}"#);
    assert_eq!(heard.socket.connection, world::connection(1));
}

#[tokio::test]
async fn plain_http_tells_health_and_readiness_and_the_way() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new().await;
    for (path, status, text) in [
        ("/health", "200 OK", "live"),
        ("/ready", "200 OK", "ready"),
        ("/", "404 Not Found", "/v1/{category}/{id}"),
        ("/v1/board/1", "426 Upgrade Required", "A proxy in between"),
    ] {
        let mut socket = tokio::net::TcpStream::connect(world.edge.addr())
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: edge\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(text), "{answer}");
    }
}
