//! Tokens: whose signature counts, by which algorithm, and what they must say.
//!
//! Each key fixes its one algorithm, so a token's header can choose neither `none` nor HS256 with a
//! public key as the secret.

mod verifier;
mod demands;
mod claims;
mod fetch;
mod local;
mod keys;

use bytes::Bytes;
use xp_protocol::CloseCode;

pub use demands::{Demands, qualified};
pub use keys::{KeyError, KeyId, KeySet};
pub use verifier::Verifier;

use crate::session::Identity;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// What is said of a socket whose token no key vouches for any more.
pub(crate) const KEY_WITHDRAWN: &str = "the key of its token was withdrawn";
/// The longest token, in bytes; a longer one is refused before it is decoded.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A token that holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is about, and until when.
    pub identity: Identity,
    /// Whose signature it is.
    pub key: KeyId,
    /// The claims that the entity is told, as the token's issuer wrote them: a JSON object.
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
    /// It does not hold yet, but soon will: the issuer's clock is ahead of this one.
    #[error("the token holds only {in_ms} ms from now: compare the clocks of issuer and edge")]
    Early {
        /// In how long, leeway included.
        in_ms: u64,
    },
    /// No key is known for it. A key set may have rotated.
    #[error(
        "no key for algorithm {algorithm} and {}",
        kid.as_ref().map_or_else(|| "no key id".to_owned(), |kid| format!("key id {kid:?}"))
    )]
    UnknownKey {
        /// What the header says.
        algorithm: String,
        /// What the header says.
        kid: Option<String>,
    },
    /// No key is known for it, and a set that may hold it cannot be asked now.
    #[error(
        "no key for it, and {url} may have one: {}",
        if reason.is_empty() { "it was asked before the token was made" } else { reason }
    )]
    NoKeys {
        /// The address of the key set.
        url: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// What is wrong with the token itself, for the log.
    #[error("{0}")]
    Bad(String),
}

impl TokenError {
    /// The close code a client sees.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        match self {
            Self::Expired { .. } => CloseCode::TokenExpired,
            Self::Early { .. } => CloseCode::TokenEarly,
            Self::NoKeys { .. } => CloseCode::NoKeys,
            _ => CloseCode::BadToken,
        }
    }
}

fn bad(reason: impl Into<String>) -> TokenError {
    TokenError::Bad(reason.into())
}

#[cfg(test)]
mod tests;
