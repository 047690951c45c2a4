//! Key sets behind a URL.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xp_edge::Readiness;
use xp_edge::config::Key;
use xp_protocol::CloseCode;
use xp_settings::Span;

use crate::world::client::{Client, Dial};
use crate::world::{World, claims, config, time, tokens, until};

/// An identity provider: serves its key set, and counts how often it was asked.
#[derive(Clone, Default)]
struct Provider {
    keys: Arc<Mutex<Vec<Value>>>,
    down: Arc<Mutex<bool>>,
    asked: Arc<Mutex<usize>>,
}

impl Provider {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let provider = Self::default();
        tokio::spawn(provider.clone().serve(listener));
        (provider, addr)
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.unwrap() > 0 {}
            *self.asked.lock().unwrap() += 1;
            let body = json!({ "keys": *self.keys.lock().unwrap() }).to_string();
            let length = body.len();
            let is_down = *self.down.lock().unwrap();
            let status = if is_down { "503 Away" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }

    /// Publishes these entries and no others.
    fn publish(&self, entries: Vec<Value>) {
        *self.keys.lock().unwrap() = entries;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    /// Begins to sign with another key. The old one is gone from the set.
    fn rotate(&self, kid: &str) -> Signer {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        *self.keys.lock().unwrap() = vec![serde_json::to_value(jwk).unwrap()];
        Signer {
            kid: kid.to_owned(),
            key,
        }
    }
}

struct Signer {
    kid: String,
    key: EncodingKey,
}

impl Signer {
    fn token(&self) -> String {
        self.sign(&claims("ana"))
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).unwrap()
    }
}

async fn world(addr: SocketAddr, retry: Span) -> World {
    asking(addr, retry, Span::from_secs(300)).await
}

/// An edge that asks again after so long, and at other times no sooner than after `retry`.
async fn asking(addr: SocketAddr, retry: Span, refresh: Span) -> World {
    let mut config = config();
    config.timing.keys.refresh = refresh;
    config.tokens = tokens(vec![Key::jwks_url(format!("http://{addr}/keys"))]);
    config.timing.keys.retry = retry;
    World::with(config).await
}

fn dial(world: &World, signer: &Signer) -> Dial {
    Dial::to(world.edge.addr()).bearer(&signer.token())
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_the_first_token_names_it() {
    let (provider, addr) = Provider::start().await;
    let first = provider.rotate("first");
    let world = world(addr, Span::from_millis(0)).await;
    let mut client = dial(&world, &first).connection(1).open().await;
    client.expect("welcome").await;
    let second = provider.rotate("second");
    let mut client = dial(&world, &second).connection(2).open().await;
    client.expect("welcome").await;
    assert_eq!(provider.asked(), 2);
    let old = dial(&world, &first).connection(3);
    assert_eq!(old.refused().await, CloseCode::BadToken);
}

#[tokio::test]
async fn unknown_keys_do_not_make_the_edge_ask_more_often_than_allowed() {
    let (provider, addr) = Provider::start().await;
    provider.rotate("first");
    let world = world(addr, Span::from_secs(3600)).await;
    let stranger = provider.rotate("unknown to the edge");
    for number in 1..=5 {
        let refused = dial(&world, &stranger).connection(number).refused().await;
        assert_eq!(refused, CloseCode::BadToken);
    }
    assert_eq!(provider.asked(), 1);
}

/// A client that was told `bad-token` would not come back, although nothing is wrong with its token.
#[tokio::test]
async fn an_issuer_that_is_down_is_a_passing_reason() {
    let (provider, addr) = Provider::start().await;
    let first = provider.rotate("first");
    provider.set_down(true);
    let world = world(addr, Span::from_millis(0)).await;
    let refused = dial(&world, &first).connection(1).refused().await;
    assert_eq!(refused, CloseCode::NoKeys);
    assert_eq!(world.edge.readiness(), Readiness::Keyless);
    assert!(world.edge.readiness().to_string().contains("jwks-url"));
    let line = ["a key set cannot be had", "503"];
    until("the log says why", || world.logs.have(&line)).await;
    provider.set_down(false);
    until("it is asked again", || world.edge.is_ready()).await;
    let mut client = dial(&world, &first).connection(1).open().await;
    client.expect("welcome").await;
    // Whom its last keys vouch for comes in, and others when it is back.
    provider.set_down(true);
    let mut client = dial(&world, &first).connection(2).open().await;
    client.expect("welcome").await;
    let second = provider.rotate("second");
    let refused = dial(&world, &second).connection(3).refused().await;
    assert_eq!(refused, CloseCode::NoKeys);
    assert!(world.edge.is_ready(), "its last keys count");
}

/// Between two requests a token may come by a key that is newer than the last one.
#[tokio::test]
async fn a_token_made_after_the_last_request_is_no_bad_one_yet() {
    let (provider, addr) = Provider::start().await;
    provider.rotate("first");
    let world = world(addr, Span::from_secs(3600)).await;
    let second = provider.rotate("second");
    let signed = |issued: i64| {
        let mut claims = claims("ana");
        claims["iat"] = json!(issued);
        Dial::to(world.edge.addr()).bearer(&second.sign(&claims))
    };
    let young = signed(time(1)).connection(1).refused().await;
    assert_eq!(young, CloseCode::NoKeys);
    let old = signed(time(-60)).connection(2).refused().await;
    assert_eq!(old, CloseCode::BadToken, "its key would have been there");
    assert_eq!(provider.asked(), 1);
}

/// An edge that fetches a set again and again, and a client that came in with its first key.
async fn attached() -> (Provider, Signer, World, Client) {
    let (provider, addr) = Provider::start().await;
    let first = provider.rotate("first");
    let again = Span::from_millis(20);
    let world = asking(addr, Span::from_millis(0), again).await;
    let mut client = dial(&world, &first).connection(1).open().await;
    client.expect("welcome").await;
    (provider, first, world, client)
}

#[tokio::test]
async fn a_set_without_a_usable_key_wipes_nothing() {
    let (provider, first, world, mut ana) = attached().await;
    for (number, entries) in [
        (2, vec![]),
        (3, vec![json!({ "kty": "oct", "k": "c2VjcmV0" })]),
    ] {
        provider.publish(entries);
        let asked = provider.asked();
        until("it is asked twice", || provider.asked() >= asked + 2).await;
        let mut client = dial(&world, &first).connection(number).open().await;
        client.expect("welcome").await;
    }
    ana.send("ping here").await;
    ana.expect("pong").await;
}

#[tokio::test]
async fn a_withdrawn_key_ends_the_sockets_that_came_in_with_it() {
    let (provider, first, world, mut ana) = attached().await;
    let mut ben = dial(&world, &first).connection(2).open().await;
    ben.expect("welcome").await;
    let second = provider.rotate("second");
    let fresh = second.token();
    // Whoever has a fresh token when the old key goes stays; nobody knows which is first.
    assert_eq!(ana.closed().await, CloseCode::TokenExpired);
    assert_eq!(ben.closed().await, CloseCode::TokenExpired);
    let line = ["xp_edge::connection", "the key of its token was withdrawn"];
    until("the log says why", || world.logs.have(&line)).await;
    let old = dial(&world, &first).connection(3).refused().await;
    assert_eq!(old, CloseCode::BadToken);
    let mut ana = Dial::to(world.edge.addr())
        .bearer(&fresh)
        .connection(1)
        .open()
        .await;
    ana.expect("welcome").await;
}

#[tokio::test]
async fn who_showed_a_fresh_token_in_time_stays_when_the_old_key_goes() {
    let (provider, first, world, mut ana) = attached().await;
    let old = provider.keys.lock().unwrap().clone();
    let mut ben = dial(&world, &first).connection(2).open().await;
    ben.expect("welcome").await;
    let second = provider.rotate("second");
    let new = provider.keys.lock().unwrap().clone();
    provider.publish([old, new.clone()].concat());
    ana.send(&format!("token {}", second.token())).await;
    ana.send("ping taken").await;
    ana.expect("pong").await;
    provider.publish(new);
    assert_eq!(ben.closed().await, CloseCode::TokenExpired);
    ana.send("ping still").await;
    ana.expect("pong").await;
}
