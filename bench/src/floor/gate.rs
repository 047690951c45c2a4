//! A bare gate: it accepts, verifies the ES256 token of the request and answers the upgrade, one client after the other.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::door;
use crate::figures::now;
use crate::poller::Poller;

const A_WHILE: Duration = Duration::from_secs(1);
const LISTENER: usize = 0;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

pub(super) fn serve(key: &Path) -> Result<()> {
    let key = DecodingKey::from_ec_pem(&std::fs::read(key)?)?;
    let validation = Validation::new(Algorithm::ES256);
    let listener = door::listen()?;
    let mut poller = Poller::new()?;
    poller.add(&listener, LISTENER)?;
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    loop {
        let ready: Vec<usize> = poller.wait(now() + A_WHILE)?.collect();
        for client in ready {
            if client != LISTENER {
                // Clients say nothing more: they have gone.
                clients[client - 1] = None;
                continue;
            }
            let client = door::accept(&listener, |head| {
                let token = bearer(head).context("there is a token")?;
                let claims = decode::<Claims>(token, &key, &validation)?.claims;
                anyhow::ensure!(!claims.sub.is_empty(), "it is somebody's");
                Ok(())
            })?;
            poller.add(&client, clients.len() + 1)?;
            clients.push(Some(client));
        }
    }
}

fn bearer(head: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(head).ok()?;
    let after = head.split("authorization: Bearer ").nth(1)?;
    after.split("\r\n").next()
}
