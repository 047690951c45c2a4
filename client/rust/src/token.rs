//! Tokens: where they come from, and when they expire.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

/// Why there is no token; the client tries again like after a failed dial.
pub type TokenError = Box<dyn std::error::Error + Send + Sync>;

type Coming = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send>>;

/// Gives a token whenever the client needs one.
#[derive(Clone)]
pub struct Tokens(Arc<dyn Fn() -> Coming + Send + Sync>);

impl Tokens {
    /// Tokens from an async function.
    ///
    /// ```
    /// let tokens = xp_client::Tokens::from_fn(|| async { Ok("a.b.c".to_owned()) });
    /// ```
    pub fn from_fn<F, R>(give: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, TokenError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(give())))
    }

    pub(crate) fn give(&self) -> Coming {
        (self.0)()
    }
}

impl From<String> for Tokens {
    fn from(token: String) -> Self {
        Self::from_fn(move || std::future::ready(Ok(token.clone())))
    }
}

impl From<&str> for Tokens {
    fn from(token: &str) -> Self {
        Self::from(token.to_owned())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// Gets the open socket a fresh token in time.
pub(crate) struct Refresher {
    tokens: Tokens,
    before: Duration,
    /// The token of the open socket.
    current: Option<String>,
    due: Option<Instant>,
    coming: Option<Coming>,
}

impl Refresher {
    pub(crate) fn new(tokens: Tokens, before: Duration) -> Self {
        Self {
            tokens,
            before,
            current: None,
            due: None,
            coming: None,
        }
    }

    /// The open socket has this token.
    pub(crate) fn uses(&mut self, token: String, unix_ms: u64) {
        self.due = wait(&token, unix_ms, self.before).map(|wait| Instant::now() + wait);
        self.current = Some(token);
    }

    /// There is no socket any more.
    pub(crate) fn stop(&mut self) {
        (self.current, self.due, self.coming) = (None, None, None);
    }

    /// Asks for a token now.
    pub(crate) fn refresh(&mut self) {
        if self.current.is_some() {
            self.due = None;
            self.coming = Some(self.tokens.give());
        }
    }

    /// The next token that is worth sending; may be cancelled without loss.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            if let Some(coming) = &mut self.coming {
                let given = coming.await;
                self.coming = None;
                if let Some(token) = self.accept(given.ok()) {
                    return token;
                }
            } else if let Some(due) = self.due {
                sleep_until(due).await;
                self.refresh();
            } else {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Without a new token the old one is asked about again, ever nearer to its expiry.
    fn accept(&mut self, given: Option<String>) -> Option<String> {
        let fresh = given.filter(|token| self.current.as_ref() != Some(token));
        let token = fresh.clone().or(self.current.take())?;
        self.uses(token, unix_ms());
        fresh
    }
}

/// How long to wait before refreshing `token`; `None` when it does not say, or it is too late.
fn wait(token: &str, unix_ms: u64, before: Duration) -> Option<Duration> {
    let left_ms = expires_at(token)?
        .saturating_mul(1000)
        .checked_sub(unix_ms)?;
    let left = Duration::from_millis(left_ms);
    let wait = left.saturating_sub(before).max(left / 2);
    (wait >= Duration::from_millis(100)).then_some(wait)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock that tokens and first attempts are measured by"
)]
pub(crate) fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since_epoch.map_or(0, |elapsed| elapsed.as_millis());
    u64::try_from(ms).expect("no clock shows half a billion years")
}

/// When `token` expires, in seconds since the Unix epoch; `None` for what is no JWT with an `exp`. Nothing is
/// verified: it only tells when to ask for the next one.
pub(crate) fn expires_at(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a saturating cast is what a time out of range needs"
    )]
    let exp = claims.exp as u64;
    Some(exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_from_the_claims() {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"ana","exp":1700000000}"#);
        assert_eq!(
            expires_at(&format!("head.{claims}.sign")),
            Some(1_700_000_000)
        );
    }

    #[test]
    fn what_is_no_jwt_has_no_expiry() {
        for token in ["", "opaque", "a.b.c", "a.eyJzdWIiOiJhIn0.c"] {
            assert_eq!(expires_at(token), None, "{token:?}");
        }
    }
}
