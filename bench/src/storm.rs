//! The connection storm, W7: clients with ES256 tokens connect, join, drop and come back, beside a bare server that
//! accepts, verifies the token and answers the upgrade; and what an idle connection weighs.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::figures::seconds_since_1970;
use crate::floor::Bare;
use crate::node::{Door, Home, Node};
use crate::report::{Goal, Row, Series};
use crate::scale::Scale;
use crate::verdict::Seen;

const CLIENTS: usize = 15_000;
/// The node's own, and room for dials that end.
const OTHER_FILES: u64 = 1_000;
/// Who dial at once.
const AT_ONCE: usize = 64;
/// Of so many entities each client joins one.
const ENTITIES: usize = 1_000;
const PUBLIC_KEY: &str = "public.pem";
/// The finest difference of CPU times, in seconds.
const TICK: f64 = 0.01;
/// Of a token, in seconds.
const LIFE: u64 = 86_400;

#[derive(Serialize)]
struct Claims {
    sub: String,
    exp: u64,
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let clients = scale.pick(most(), 100);
    let home = Home::new(&format!(
        "[[edge.tokens.keys]]\npem-file = \"{PUBLIC_KEY}\"\n"
    ))?;
    let tokens = tokens(&home, clients)?;
    let node = Node::start(&home)?;
    let bare = Bare::start(&home, &["gate", "--key", PUBLIC_KEY])?;
    let storm = Storm { tokens };
    let [mut floor, mut connects, mut returns] = [(); 3].map(|()| Vec::new());
    // The first of them make the entities and warm the allocator.
    let warm = storm.connect(&node.door, 0).await?;
    let before = node.resident()?;
    let idle = storm.connect(&node.door, 1).await?;
    let kib = (node.resident()? - before) / 1_024.0 / clients as f64;
    drop((warm, idle));
    for round in 0..scale.rounds() {
        let per_second = |seconds: f64| clients as f64 / seconds.max(TICK);
        let cpu = bare.cpu()?;
        drop(storm.connect(&bare.door, round).await?);
        floor.push(per_second(bare.cpu()? - cpu));
        for rates in [&mut connects, &mut returns] {
            let cpu = node.cpu()?;
            drop(storm.connect(&node.door, 2 + round).await?);
            rates.push(per_second(node.cpu()? - cpu));
        }
    }
    let case = format!("{clients} clients with ES256 tokens");
    let floor = Series::of("accept + verify + upgrade", floor);
    let row = |what, unit, rounds| Row::of("W7", &case, what, unit, Series::of("platform", rounds));
    let unit = "per CPU-second";
    let rows = [
        row("connections", unit, connects).beside(floor.clone()),
        row("reconnections", unit, returns).beside(floor),
    ];
    let mut rows = rows
        .map(|row| row.wanted(Goal::RatioAtLeast(0.7)).seen(Seen::NOTHING))
        .to_vec();
    rows.push(row("an idle connection", "KiB", vec![kib]).wanted(Goal::AtMost(6.0)));
    Ok(rows.into_iter().map(|row| row.durable("none")).collect())
}

/// So many clients as the goal names, or as a process may have open files for: two waves are open at once, and the old
/// one may still be closing when the next one dials.
fn most() -> usize {
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let spare = open_files.saturating_sub(OTHER_FILES) / 2;
    usize::try_from(spare).unwrap_or(CLIENTS).min(CLIENTS)
}

/// One for each client, each of a subject of its own.
fn tokens(home: &Home, clients: usize) -> Result<Arc<Vec<String>>> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    fs::write(home.path().join(PUBLIC_KEY), pair.public_key_pem())?;
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
    let exp = seconds_since_1970() + LIFE;
    let token = |client| {
        let sub = format!("client-{client}");
        encode(&Header::new(Algorithm::ES256), &Claims { sub, exp }, &key)
    };
    let tokens: Result<Vec<_>, _> = (0..clients).map(token).collect();
    Ok(Arc::new(tokens?))
}

struct Storm {
    tokens: Arc<Vec<String>>,
}

impl Storm {
    /// All clients connect and join, some at once; each time that they come as the same wave they are the same sessions.
    async fn connect(&self, door: &Door, wave: u32) -> Result<Vec<Client>> {
        let mut dialling = JoinSet::new();
        let mut left: VecDeque<usize> = (0..self.tokens.len()).collect();
        let mut clients = Vec::with_capacity(left.len());
        while !left.is_empty() || !dialling.is_empty() {
            while dialling.len() < AT_ONCE
                && let Some(client) = left.pop_front()
            {
                let door = Door {
                    addr: door.addr,
                    token: self.tokens[client].clone(),
                };
                let session = wave * u32::try_from(self.tokens.len())? + u32::try_from(client)?;
                let address = format!("cell/{}", client % ENTITIES);
                dialling.spawn(async move { Client::join(&door, &address, session).await });
            }
            let joined = dialling.join_next().await.context("some are dialling")?;
            clients.push(joined??);
        }
        Ok(clients)
    }
}
