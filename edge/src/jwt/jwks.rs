//! The verifier, and key sets behind a URL that may rotate at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::{info, warn};
use xp_protocol::TimeMs;

use super::{Demands, KeyError, KeySet, TokenError, Verified};
use crate::config::{Key, Tokens};

/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(3);
/// The largest key set that is read, in bytes.
const SET_BYTES_MAX: u64 = 256 << 10;

/// Judges tokens by the keys of the configuration, and fetches key sets again when they rotate.
pub struct Verifier {
    demands: Demands,
    local: KeySet,
    remote: Vec<Key>,
    retry_ms: u64,
    keys: RwLock<Arc<KeySet>>,
    fetched: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    at: Option<TimeMs>,
    by_url: BTreeMap<String, KeySet>,
}

impl Verifier {
    /// A verifier that has read its local keys, and fetched nothing yet. Sets are fetched at most once
    /// every `retry_ms`.
    ///
    /// # Errors
    /// [`KeyError`] names the key and what is wrong with it.
    pub fn new(tokens: &Tokens, retry_ms: u64) -> Result<Self, KeyError> {
        let local = KeySet::local(&tokens.keys)?;
        let remote = tokens.keys.iter().filter(|key| key.jwks_url.is_some());
        Ok(Self {
            demands: Demands::new(tokens),
            remote: remote.cloned().collect(),
            retry_ms,
            keys: RwLock::new(Arc::new(local.clone())),
            local,
            fetched: Mutex::default(),
        })
    }

    /// Whether there is anything to fetch.
    #[must_use]
    pub fn has_urls(&self) -> bool {
        !self.remote.is_empty()
    }

    /// Judges a token at `now`. One whose key is unknown makes the sets be fetched again first.
    ///
    /// # Errors
    /// [`TokenError`] with the reason for the log.
    pub async fn check(&self, token: &str, now: TimeMs) -> Result<Verified, TokenError> {
        match self.demands.verify(&self.keys(), token, now) {
            Err(TokenError::UnknownKey { .. }) if self.has_urls() => {
                self.refresh(now).await;
                self.demands.verify(&self.keys(), token, now)
            }
            judged => judged,
        }
    }

    /// Fetches the sets, unless that was done just now. A set that cannot be had keeps its last keys.
    pub async fn refresh(&self, now: TimeMs) {
        let mut fetched = self.fetched.lock().await;
        let recent = |at: TimeMs| now.since_ms(at) < self.retry_ms;
        if fetched.at.is_some_and(recent) {
            return;
        }
        fetched.at = Some(now);
        for key in &self.remote {
            let Some(url) = key.jwks_url.as_deref() else {
                continue;
            };
            match fetch(url.to_owned()).await {
                Ok(set) => {
                    info!(url, keys = set.keys.len(), "fetched a key set");
                    let set = set.of(key.issuer.as_ref());
                    fetched.by_url.insert(url.to_owned(), set);
                }
                Err(error) => warn!(
                    url,
                    error, "a key set cannot be fetched; its last keys stay"
                ),
            }
        }
        let all = self.local.keys.iter();
        let all = all.chain(fetched.by_url.values().flat_map(|set| &set.keys));
        let keys = Arc::new(KeySet {
            keys: all.cloned().collect(),
        });
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn keys(&self) -> Arc<KeySet> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }
}

async fn fetch(url: String) -> Result<KeySet, String> {
    let fetched = tokio::task::spawn_blocking(move || get(&url));
    fetched.await.map_err(|error| error.to_string())?
}

fn get(url: &str) -> Result<KeySet, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH))
        .tls_config(tls())
        .build();
    let mut response = ureq::Agent::new_with_config(config)
        .get(url)
        .call()
        .map_err(|error| error.to_string())?;
    let body = response.body_mut().with_config().limit(SET_BYTES_MAX);
    let json = body.read_to_vec().map_err(|error| error.to_string())?;
    KeySet::from_jwks(&json, url).map_err(|error| error.to_string())
}

/// The machine's root certificates, and the same cryptography as everywhere else.
fn tls() -> ureq::tls::TlsConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build()
}
