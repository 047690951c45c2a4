//! Key sets behind a URL.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xp_edge::config::Key;
use xp_edge::units::Span;
use xp_protocol::CloseCode;

use crate::world::client::Dial;
use crate::world::{World, claims, config, tokens};

/// An identity provider: serves its key set, and counts how often it was asked.
#[derive(Clone, Default)]
struct Provider {
    keys: Arc<Mutex<Vec<Value>>>,
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
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
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
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, &claims("ana"), &self.key).unwrap()
    }
}

async fn world(addr: SocketAddr, retry: Span) -> World {
    let mut config = config();
    config.tokens = tokens(vec![Key::jwks_url(format!("http://{addr}/keys"))]);
    config.timing.jwks_retry = retry;
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
