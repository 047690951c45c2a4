//! Keys, each with the one algorithm it is for.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde_json::Value;

/// The shortest shared secret, in bytes: RFC 7518 asks for as many as the hash has.
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// One key that tokens may be signed with.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whose tokens it signs. A key without one signs for whoever is accepted at all.
    pub issuer: Option<String>,
    /// Its name in a key set. A key without one fits every token of its algorithm.
    pub kid: Option<String>,
    /// The only algorithm it verifies.
    pub algorithm: Algorithm,
    /// What verifies a signature: a public key, or a shared secret.
    pub key: DecodingKey,
}

/// Which key it is, whatever it is called: the same key of the same issuer has the same one at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u64);

impl Known {
    /// Which key it is. Nobody who could choose a key would gain by one with the id of another.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut hasher = DefaultHasher::new();
        self.issuer.hash(&mut hasher);
        self.algorithm.hash(&mut hasher);
        match self.key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => bytes.hash(&mut hasher),
            DecodingKeyKind::RsaModulusExponent { n, e } => (n, e).hash(&mut hasher),
        }
        KeyId(hasher.finish())
    }
}

/// The keys by which tokens are judged at one moment.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// In the order of the configuration.
    pub keys: Vec<Known>,
    /// Entries of a published set that are no key for signatures of a kind known here.
    pub passed_over: usize,
}

/// A published set. Each entry is read by itself: an odd one is no reason to do without the others (RFC 7517, 5).
#[derive(serde::Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nothing is configured.
    #[error("tokens.keys is empty, so no client could ever connect: name at least one key")]
    None,
    /// The file cannot be read.
    #[error("tokens.keys: {path} cannot be read")]
    File {
        /// The path, as configured.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The environment variable is not set.
    #[error("tokens.keys: the environment variable {0} is not set")]
    Env(String),
    /// A secret that can be guessed.
    #[error(
        "tokens.keys: a shared secret has at least {SECRET_BYTES_MIN} bytes, and this one has {0}"
    )]
    Short(usize),
    /// The bytes are no key.
    #[error("tokens.keys: {origin}: {reason}")]
    Bad {
        /// Where they come from.
        origin: String,
        /// What is wrong with them, and what would do.
        reason: String,
    },
}

impl KeySet {
    /// The usable keys of a JSON Web Key Set. Others, such as keys for encryption, are left out.
    ///
    /// # Errors
    /// When the text is no key set.
    pub fn from_jwks(json: &[u8], origin: &str) -> Result<Self, KeyError> {
        let set: Published = serde_json::from_slice(json).map_err(|error| KeyError::Bad {
            origin: origin.to_owned(),
            reason: format!("not a JSON Web Key Set: {error}"),
        })?;
        let published = set.keys.len();
        let read = |entry| known(&serde_json::from_value(entry).ok()?);
        let keys: Vec<_> = set.keys.into_iter().filter_map(read).collect();
        Ok(Self {
            passed_over: published - keys.len(),
            keys,
        })
    }

    /// The same set, if any token can be judged by it.
    pub(super) fn usable(self) -> Result<Self, String> {
        if self.keys.is_empty() {
            let passed_over = self.passed_over;
            return Err(format!(
                "it holds no usable key, and {passed_over} of another kind"
            ));
        }
        Ok(self)
    }

    /// Whether both hold the same keys under the same names, in any order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let names = |set: &Self| -> BTreeSet<_> {
            let named = |key: &Known| (key.kid.clone(), key.id());
            set.keys.iter().map(named).collect()
        };
        names(self) == names(other)
    }

    /// The same keys, for the tokens of one issuer.
    #[must_use]
    pub fn of(mut self, issuer: Option<&String>) -> Self {
        for key in &mut self.keys {
            key.issuer = issuer.cloned();
        }
        self
    }

    /// The keys a token with this header may be signed by.
    pub fn fitting<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Known> {
        self.keys.iter().filter(move |key| {
            let named = key.kid.is_none() || kid.is_none() || key.kid.as_deref() == kid;
            key.algorithm == algorithm && named
        })
    }
}

/// A symmetric key in a published set would be everybody's, so it is left out like an unknown one.
fn known(jwk: &Jwk) -> Option<Known> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
        return None;
    }
    let claimed = jwk.common.key_algorithm.map(|claimed| claimed.to_string());
    if claimed.is_some_and(|claimed| claimed != format!("{algorithm:?}")) {
        return None;
    }
    Some(Known {
        issuer: None,
        kid: jwk.common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
