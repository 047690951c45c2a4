//! Tokens: whose signature counts, by which algorithm, and what they must say.
//!
//! Each key fixes its one algorithm, so a token's header can choose neither `none` nor HS256 with a
//! public key as the secret.

mod jwks;
mod keys;

use std::collections::BTreeMap;

use bytes::Bytes;
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::Value;
use serde_json::value::RawValue;
use xp_protocol::TimeMs;

pub use jwks::Verifier;
pub use keys::{KeyError, KeySet};

use crate::config::Tokens;
use crate::session::Identity;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// The longest token, in bytes; a longer one is refused before it is decoded.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Claims about the token rather than the user: a fresh token that differs in these only is no news.
const ABOUT_THE_TOKEN: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// A token that holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is about, and until when.
    pub identity: Identity,
    /// The claims as the token's issuer wrote them: a JSON object.
    pub claims: Bytes,
}

/// Why a token is refused. The text is for the operator's log; the client sees the close code alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("no token: send Authorization: Bearer, or the subprotocols xp.v1, xp.bearer.<jwt>")]
    Missing,
    /// It is over.
    #[error("the token expired {ago_ms} ms ago")]
    Expired {
        /// How long ago, leeway included.
        ago_ms: u64,
    },
    /// No key is known for it. A key set may have rotated.
    #[error("no key for algorithm {algorithm} and key id {kid:?}")]
    UnknownKey {
        /// What the header says.
        algorithm: String,
        /// What the header says.
        kid: Option<String>,
    },
    /// Anything else.
    #[error("{0}")]
    Bad(String),
}

impl TokenError {
    /// The close code a client sees.
    #[must_use]
    pub fn code(&self) -> xp_protocol::CloseCode {
        match self {
            Self::Expired { .. } => xp_protocol::CloseCode::TokenExpired,
            _ => xp_protocol::CloseCode::BadToken,
        }
    }
}

fn bad(reason: impl Into<String>) -> TokenError {
    TokenError::Bad(reason.into())
}

/// What tokens must say.
#[derive(Clone, Debug)]
pub struct Demands {
    issuers: Vec<String>,
    audiences: Vec<String>,
    required: Vec<String>,
    leeway_ms: u64,
}

impl Demands {
    /// The demands of a configuration: `exp` and `sub` always, `iss` and `aud` when they are configured.
    #[must_use]
    pub fn new(tokens: &Tokens) -> Self {
        let mut required = vec!["exp".to_owned(), "sub".to_owned()];
        required.extend(tokens.required.iter().cloned());
        if !tokens.issuers.is_empty() {
            required.push("iss".to_owned());
        }
        if !tokens.audiences.is_empty() {
            required.push("aud".to_owned());
        }
        Self {
            issuers: tokens.issuers.clone(),
            audiences: tokens.audiences.clone(),
            required,
            leeway_ms: tokens.leeway.ms(),
        }
    }

    /// Judges `token` at `now` by `keys`.
    ///
    /// # Errors
    /// [`TokenError`] with the reason for the log.
    pub fn verify(&self, keys: &KeySet, token: &str, now: TimeMs) -> Result<Verified, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(bad(format!("a token has at most {TOKEN_BYTES_MAX} bytes")));
        }
        let raw = self.signed_claims(keys, token)?;
        let claims: BTreeMap<String, Value> = serde_json::from_str(raw.get())
            .map_err(|error| bad(format!("the claims are no JSON object: {error}")))?;
        self.complete(&claims)?;
        let expires = self.lasts(&claims, now)?;
        let identity = Identity {
            subject: subject(&claims)?,
            expires,
            about: about(claims),
        };
        let claims = Bytes::copy_from_slice(raw.get().as_bytes());
        Ok(Verified { identity, claims })
    }

    /// The claims, once some key that fits the header has signed them.
    fn signed_claims(&self, keys: &KeySet, token: &str) -> Result<Box<RawValue>, TokenError> {
        let header =
            decode_header(token).map_err(|error| bad(format!("unreadable header: {error}")))?;
        let mut failure = TokenError::UnknownKey {
            algorithm: format!("{:?}", header.alg),
            kid: header.kid.clone(),
        };
        for key in keys.fitting(header.alg, header.kid.as_deref()) {
            let validation = self.validation(key.algorithm);
            match decode::<Box<RawValue>>(token, &key.key, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => failure = bad(error.to_string()),
            }
        }
        Err(failure)
    }

    /// What the library checks. Times and presence are checked here, by the caller's clock and in one place.
    fn validation(&self, algorithm: jsonwebtoken::Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = !self.audiences.is_empty();
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
        }
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
        }
        validation
    }

    fn complete(&self, claims: &BTreeMap<String, Value>) -> Result<(), TokenError> {
        let lacks = |name: &&String| claims.get(*name).is_none_or(Value::is_null);
        match self.required.iter().find(lacks) {
            Some(name) => Err(bad(format!("the claim {name:?} is missing"))),
            None => Ok(()),
        }
    }

    /// When the token ends, if it is valid now.
    fn lasts(&self, claims: &BTreeMap<String, Value>, now: TimeMs) -> Result<TimeMs, TokenError> {
        let expires = time(claims, "exp")?.unwrap_or_default();
        let expires = expires.plus_ms(self.leeway_ms);
        if now >= expires {
            let ago_ms = now.since_ms(expires);
            return Err(TokenError::Expired { ago_ms });
        }
        match time(claims, "nbf")? {
            Some(from) if now.plus_ms(self.leeway_ms) < from => Err(bad(format!(
                "not valid before {} ms from now",
                from.since_ms(now)
            ))),
            _ => Ok(expires),
        }
    }
}

/// A claim in seconds since 1970, which may have a fraction.
fn time(claims: &BTreeMap<String, Value>, name: &str) -> Result<Option<TimeMs>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|s| (0.0..1e15).contains(s));
    let seconds = seconds.ok_or_else(|| bad(format!("the claim {name:?} is no time")))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked above"
    )]
    let ms = (seconds * 1000.0) as u64;
    Ok(Some(TimeMs(ms)))
}

fn subject(claims: &BTreeMap<String, Value>) -> Result<Box<str>, TokenError> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or("");
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(bad(format!(
            "the claim \"sub\" is a text of 1 to {SUBJECT_BYTES_MAX} bytes"
        )));
    }
    Ok(subject.into())
}

fn about(mut claims: BTreeMap<String, Value>) -> Box<str> {
    claims.retain(|name, _| !ABOUT_THE_TOKEN.contains(&name.as_str()));
    serde_json::to_string(&claims)
        .expect("a map of JSON values with text keys is JSON")
        .into()
}

#[cfg(test)]
mod tests;
