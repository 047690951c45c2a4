//! The verifier: judges tokens by the keys of now, which may be other ones at any time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{self, Notify};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};
use xp_protocol::TimeMs;

use super::claims::claimed;
use super::fetch::fetch;
use super::keys::{KeyId, Known};
use super::local::Local;
use super::{Demands, KeyError, KeySet, TokenError, Verified};
use crate::config::{Key, Tokens};
use crate::kept::Held;

/// Judges tokens by the keys of the configuration, and fetches key sets again when they rotate.
pub struct Verifier {
    demands: Demands,
    leeway_ms: u64,
    retry: Duration,
    /// Those that need no URL.
    local: Mutex<Local>,
    sets: RwLock<Arc<Sets>>,
    /// When the sets were fetched last. Held while they are.
    fetched: sync::Mutex<Option<Instant>>,
    changed: Notify,
}

/// What is known of all keys.
#[derive(Default)]
struct Sets {
    /// All of them together.
    keys: KeySet,
    local: KeySet,
    remote: Vec<Remote>,
}

/// A key set behind a URL, as far as it is known.
#[derive(Clone, Debug)]
struct Remote {
    url: String,
    issuer: Option<String>,
    /// Its last keys, and when they were had.
    had: Option<(KeySet, TimeMs)>,
    /// Why it could not be had the last time.
    failure: Option<String>,
}

impl Remote {
    fn of(key: &Key) -> Option<Self> {
        Some(Self {
            url: key.jwks_url.clone()?,
            issuer: key.issuer.clone(),
            had: None,
            failure: None,
        })
    }

    /// The same set after it was asked for at `now`. One that cannot be had keeps its last keys.
    fn heard(mut self, fetched: Result<KeySet, String>, now: TimeMs) -> Self {
        let url = &self.url;
        match fetched {
            Ok(set) => {
                let set = set.of(self.issuer.as_ref());
                let is_news = self
                    .had
                    .as_ref()
                    .is_none_or(|(last, _)| !last.is_same(&set));
                if is_news || self.failure.is_some() {
                    let (keys, passed_over) = (set.keys.len(), set.passed_over);
                    info!(url, keys, passed_over, "fetched a key set");
                }
                (self.had, self.failure) = (Some((set, now)), None);
            }
            Err(error) => {
                if self.failure.as_ref() != Some(&error) {
                    let known = self.had.as_ref().map_or(0, |(set, _)| set.keys.len());
                    warn!(
                        url,
                        error,
                        known,
                        "a key set cannot be had; its last keys stay, and who comes with another one is closed no-keys"
                    );
                }
                self.failure = Some(error);
            }
        }
        self
    }

    /// Whether it may hold the key of a token although it is not known: it cannot be had, or was had before the token
    /// was made.
    fn may_know(&self, token: &str, leeway_ms: u64) -> bool {
        let claimed = claimed(token);
        let is_theirs = self.issuer.is_none() || claimed.issuer.is_none();
        if !is_theirs && self.issuer != claimed.issuer {
            return false;
        }
        let had = self.had.as_ref().map(|(_, at)| *at);
        match (had, claimed.issued) {
            _ if self.failure.is_some() => true,
            (None, _) => true,
            // A time in whole seconds was up to one second later.
            (Some(had), Some(issued)) => issued.plus_ms(leeway_ms + 1_000) > had,
            (Some(_), None) => false,
        }
    }
}

impl Sets {
    fn new(local: KeySet, remote: Vec<Remote>) -> Self {
        let mut keys = local.clone();
        let had = remote.iter().filter_map(|remote| remote.had.as_ref());
        for (set, _) in had {
            keys.keys.extend(set.keys.iter().cloned());
        }
        Self {
            keys,
            local,
            remote,
        }
    }
}

impl Verifier {
    /// A verifier that has read its local keys, and fetched nothing yet. Sets are fetched at most once
    /// every `retry`.
    ///
    /// # Errors
    /// [`KeyError`] names the key and what is wrong with it.
    pub fn new(tokens: &Tokens, retry: Duration) -> Result<Self, KeyError> {
        let local = Local::read(&tokens.keys)?;
        let remote = tokens.keys.iter().filter_map(Remote::of).collect();
        Ok(Self {
            demands: Demands::new(tokens),
            leeway_ms: tokens.leeway.ms(),
            retry,
            sets: RwLock::new(Arc::new(Sets::new(local.keys(), remote))),
            local: Mutex::new(local),
            fetched: sync::Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Whether there is anything to fetch.
    #[must_use]
    pub fn has_urls(&self) -> bool {
        !self.sets().remote.is_empty()
    }

    /// Whether some key set has never been had.
    #[must_use]
    pub fn lacks_keys(&self) -> bool {
        let sets = self.sets();
        sets.remote.iter().any(|remote| remote.had.is_none())
    }

    /// Whether some key set could not be had the last time.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let sets = self.sets();
        sets.remote.iter().any(|remote| remote.failure.is_some())
    }

    /// The keys that count.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<KeyId> {
        self.sets().keys.keys.iter().map(Known::id).collect()
    }

    /// Resolves when the keys have changed since this was asked last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Judges a token at `now`. A token whose key is unknown makes the sets be fetched again first. Of its claims only those
    /// are left that stand in `told`.
    ///
    /// # Errors
    /// [`TokenError`] with the reason for the log.
    pub async fn check(
        &self,
        token: &str,
        told: &[String],
        now: TimeMs,
    ) -> Result<Verified, TokenError> {
        let judge = || self.demands.verify(&self.sets().keys, token, told, now);
        match judge() {
            Err(TokenError::UnknownKey { .. }) if self.has_urls() => {
                self.refresh(now).await;
                judge().map_err(|error| self.explain(error, token))
            }
            judged => judged,
        }
    }

    /// An unknown key is no fault of the token's as long as the set that may hold it cannot be asked.
    fn explain(&self, error: TokenError, token: &str) -> TokenError {
        let sets = self.sets();
        let may_know = |remote: &&Remote| remote.may_know(token, self.leeway_ms);
        let unasked = sets.remote.iter().find(may_know);
        match (error, unasked) {
            (TokenError::UnknownKey { .. }, Some(remote)) => TokenError::NoKeys {
                url: remote.url.clone(),
                reason: remote.failure.clone().unwrap_or_default(),
            },
            (error, _) => error,
        }
    }

    /// Fetches the sets, unless that was done just now. A set that cannot be had keeps its last keys.
    pub async fn refresh(&self, now: TimeMs) {
        let mut fetched = self.fetched.lock().await;
        // By a clock that nobody can set.
        if fetched.is_some_and(|at| at.elapsed() < self.retry) {
            return;
        }
        *fetched = Some(Instant::now());
        let asked = self.sets().remote.clone().into_iter();
        let asked = asked.map(|remote| async move {
            let fetched = fetch(remote.url.clone()).await;
            remote.heard(fetched, now)
        });
        let remote = futures_util::future::join_all(asked).await;
        self.put(|now| Sets::new(now.local.clone(), remote));
    }

    /// Takes what the files of keys hold now, each in the order of the configuration, and says how many have changed.
    /// What cannot be used is told: at once when a person `asked`.
    pub(crate) fn look(&self, held: Vec<Held>, asked: bool) -> usize {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = local.look(held, asked);
        if changed > 0 {
            self.put(|now| Sets::new(local.keys(), now.remote.clone()));
        }
        changed
    }

    /// From what there is to what there is to be, in one step: files and URLs are read beside each other.
    fn put(&self, next: impl FnOnce(&Sets) -> Sets) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let next = next(&sets);
        let is_same = sets.keys.is_same(&next.keys);
        *sets = Arc::new(next);
        drop(sets);
        if !is_same {
            self.changed.notify_one();
        }
    }

    fn sets(&self) -> Arc<Sets> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&sets)
    }
}
