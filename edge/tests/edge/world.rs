//! A whole world for one edge: a log in memory, an owner, tokens and clients.

pub mod client;
pub mod logs;
pub mod outage;
pub mod owner;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;
use xp_edge::config::{DrainTiming, Key, Limits, Proxies, Timing, Tokens};
use xp_edge::{Config, Handle, Lane, Lanes, StartError};
use xp_protocol::{ConnectionId, Incarnation, TimeMs};
use xp_settings::Span;
use xp_transport::Clock;
use xp_transport::simulated::Simulated;

use client::{Client, Dial};
use outage::Outage;
use owner::Owner;

pub const SECRET: &str = "a secret of thirty-two bytes, or more";
/// Long enough for a busy machine; no test waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub log: Simulated,
    /// The edge's way to `main.inbound`.
    pub inbound: Outage,
    /// The edges' way to `cluster`.
    pub cluster: Outage,
    pub owner: Owner,
    pub edge: Handle,
    pub logs: logs::Logs,
}

/// An id from a number, so that tests need no randomness.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn connection(number: u128) -> ConnectionId {
    ConnectionId(id(number))
}

pub fn config() -> Config {
    Config {
        name: "edge".to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        outbound_partition: Some(0),
        tls: None,
        tokens: tokens(vec![Key::secret(SECRET.to_owned())]),
        origins: vec!["https://good.example".to_owned()],
        explains: false,
        proxies: Proxies::default(),
        limits: Limits::default(),
        timing: Timing {
            close: Span::from_millis(500),
            resume: Span::from_millis(50),
            drain: DrainTiming {
                spread: Span::from_millis(20),
                ..DrainTiming::default()
            },
            ..Timing::default()
        },
    }
}

pub fn tokens(keys: Vec<Key>) -> Tokens {
    Tokens {
        keys,
        issuers: Vec::new(),
        audiences: Vec::new(),
        required: Vec::new(),
        leeway: Span::from_millis(0),
    }
}

pub fn lanes() -> Lanes {
    let lane = Lane {
        name: "main".to_owned(),
        partitions: 2,
        outbound_partitions: 1,
    };
    Lanes::one(&lane, ["board", "auction"]).telling("board", &["role"])
}

/// Seconds since 1970, `ahead` seconds from now.
pub fn time(ahead: i64) -> i64 {
    i64::try_from(Clock::system().now().0 / 1000).unwrap() + ahead
}

pub fn claims(subject: &str) -> Value {
    json!({ "sub": subject, "exp": time(3600), "role": "painter", "email": "ana@example.org" })
}

pub fn sign(claims: &Value) -> String {
    sign_with(
        Algorithm::HS256,
        &EncodingKey::from_secret(SECRET.as_bytes()),
        claims,
    )
}

pub fn sign_with(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

pub fn token(subject: &str) -> String {
    sign(&claims(subject))
}

impl World {
    pub async fn new() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let logs = logs::Logs::start();
        let topics = [("cluster", 1), ("main.inbound", 2), ("main.outbound", 1)];
        let log = Simulated::new(&topics, TimeMs(0));
        let owner = Owner::start(Arc::new(log.another_producer()));
        let inbound = Outage::of(log.another_producer(), &["main.inbound"]);
        let cluster = Outage::of(inbound.clone(), &["cluster"]);
        let edge = Self::edge(&cluster, config, 1).await;
        Self {
            log,
            inbound,
            cluster,
            owner,
            edge: edge.unwrap(),
            logs,
        }
    }

    /// An edge on the same log.
    pub async fn another_edge(
        &self,
        config: Config,
        incarnation: u128,
    ) -> Result<Handle, StartError> {
        Self::edge(&self.cluster, config, incarnation).await
    }

    async fn edge(log: &Outage, config: Config, incarnation: u128) -> Result<Handle, StartError> {
        let log = Arc::new(log.clone());
        let incarnation = Incarnation(id(incarnation));
        xp_edge::start(config, lanes(), log, incarnation, Clock::system()).await
    }

    /// A dial to `board/1` as connection 1 of `subject`.
    pub fn dial(&self, subject: &str) -> Dial {
        Dial::to(self.edge.addr()).bearer(&token(subject))
    }

    /// A client that has had its welcome.
    pub async fn join(&self, subject: &str, number: u128) -> Client {
        let mut client = self.dial(subject).connection(number).open().await;
        client.expect("welcome").await;
        client
    }
}

/// Waits until `holds`.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("in vain: {what}"));
}
