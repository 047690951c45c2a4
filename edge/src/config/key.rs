//! A key of the configuration: where it comes from, and whose tokens it signs.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::Secret;

/// One key: exactly one of its sources, and its issuer where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Key {
    /// The one of `issuers` whose tokens it signs: another issuer's are not by this key, whoever signed them. Needed
    /// when there are several issuers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// A shared secret, HS256; for development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The environment variable that holds a shared secret, HS256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// The file whose bytes are a shared secret, HS256; one line end is not part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// A public key: RSA means RS256, P-256 means ES256, Ed25519 means EdDSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem_file: Option<PathBuf>,
    /// A JSON Web Key Set in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// A JSON Web Key Set fetched over HTTPS, again every `edge.timing.keys.refresh`, and at once when a token
    /// names a key that is not in it. Plain HTTP is for this machine alone: on any other way whoever is between may hand
    /// in keys of his own, and a warning says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The configuration itself.
    Secret(&'a Secret),
    /// A variable of the environment.
    SecretEnv(&'a str),
    /// A file with a shared secret.
    SecretFile(&'a Path),
    /// A file with a public key.
    PemFile(&'a Path),
    /// A file with a key set.
    JwksFile(&'a Path),
    /// A key set that is fetched.
    JwksUrl(&'a str),
}

impl Key {
    /// A shared secret.
    pub fn secret(secret: impl Into<Secret>) -> Self {
        let secret = Some(secret.into());
        Self {
            secret,
            ..Self::default()
        }
    }

    /// A shared secret in a variable of the environment.
    pub fn secret_env(name: impl Into<String>) -> Self {
        let secret_env = Some(name.into());
        Self {
            secret_env,
            ..Self::default()
        }
    }

    /// A shared secret in a file.
    pub fn secret_file(path: impl Into<PathBuf>) -> Self {
        let secret_file = Some(path.into());
        Self {
            secret_file,
            ..Self::default()
        }
    }

    /// A public key in a file.
    pub fn pem_file(path: impl Into<PathBuf>) -> Self {
        let pem_file = Some(path.into());
        Self {
            pem_file,
            ..Self::default()
        }
    }

    /// A key set in a file.
    pub fn jwks_file(path: impl Into<PathBuf>) -> Self {
        let jwks_file = Some(path.into());
        Self {
            jwks_file,
            ..Self::default()
        }
    }

    /// A key set behind a URL.
    pub fn jwks_url(url: impl Into<String>) -> Self {
        let jwks_url = Some(url.into());
        Self {
            jwks_url,
            ..Self::default()
        }
    }

    /// The same key, for the tokens of one issuer.
    #[must_use]
    pub fn of(self, issuer: impl Into<String>) -> Self {
        let issuer = Some(issuer.into());
        Self { issuer, ..self }
    }

    /// Where its set is fetched.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.jwks_url.as_deref()
    }

    /// The file that it is read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self.source()? {
            Source::SecretFile(path) | Source::PemFile(path) | Source::JwksFile(path) => Some(path),
            Source::Secret(_) | Source::SecretEnv(_) | Source::JwksUrl(_) => None,
        }
    }

    /// Its one source; `None` when none or several are named.
    #[must_use]
    pub fn source(&self) -> Option<Source<'_>> {
        let sources = [
            self.secret.as_ref().map(Source::Secret),
            self.secret_env.as_deref().map(Source::SecretEnv),
            self.secret_file.as_deref().map(Source::SecretFile),
            self.pem_file.as_deref().map(Source::PemFile),
            self.jwks_file.as_deref().map(Source::JwksFile),
            self.jwks_url.as_deref().map(Source::JwksUrl),
        ];
        let mut named = sources.into_iter().flatten();
        named.next().filter(|_| named.next().is_none())
    }
}
