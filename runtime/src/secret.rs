//! The development secret: what signs the tokens of `xp token` and of fake users in tests.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::{Map, Value, json};
use xp_protocol::TimeMs;
use xp_transport::private;

/// Signs tokens with HS256. Whoever has it can be anybody: for development only.
#[derive(Clone)]
pub struct Secret(xp_settings::Secret);

/// Why there is no development secret.
#[derive(Debug, thiserror::Error)]
#[error("the development secret {path} cannot be {done}: {why}", path = .path.display())]
pub struct SecretError {
    path: PathBuf,
    done: &'static str,
    why: String,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Whose it is: `sub`.
    pub subject: String,
    /// Further claims, as the domain reads them.
    pub claims: Map<String, Value>,
    /// For how long it holds.
    pub ttl: Duration,
}

impl Secret {
    /// The secret in `path`; a new one, readable by its owner alone, when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn load_or_make(path: &Path) -> Result<Self, SecretError> {
        match Self::load(path) {
            Ok(None) => Self::make(path),
            Ok(Some(secret)) => Ok(secret),
            Err(error) => Err(error),
        }
    }

    /// The secret in `path`, if there is such a file.
    ///
    /// # Errors
    /// When it cannot be read, or is empty.
    pub fn load(path: &Path) -> Result<Option<Self>, SecretError> {
        match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Err(problem(
                path,
                "used",
                "it is empty; delete it to get a new one".to_owned(),
            )),
            Ok(text) => {
                let secret = private::without_line_end(text.as_bytes());
                let secret = String::from_utf8_lossy(secret).into_owned();
                Ok(Some(Self(secret.into())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(problem(path, "read", advise(&error))),
        }
    }

    fn make(path: &Path) -> Result<Self, SecretError> {
        let made = random().and_then(|secret| write_private(path, &secret).map(|()| secret.into()));
        match made {
            Ok(secret) => Ok(Self(secret)),
            // Another process was faster: its secret is the one that counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load_or_make(path),
            Err(error) => Err(problem(path, "made", advise(&error))),
        }
    }

    /// A token by this secret, as of `now`.
    #[must_use]
    pub fn sign(&self, grant: &Grant, now: TimeMs) -> String {
        let issued = now.0 / 1_000;
        let mut claims = grant.claims.clone();
        claims.insert("sub".to_owned(), json!(grant.subject));
        claims.insert("iat".to_owned(), json!(issued));
        claims.insert(
            "exp".to_owned(),
            json!(issued.saturating_add(grant.ttl.as_secs())),
        );
        let key = EncodingKey::from_secret(self.0.expose().as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
            .expect("a map of JSON values signs with every shared secret")
    }
}

impl Grant {
    /// A token for `subject` that holds for a day.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            claims: Map::new(),
            ttl: Duration::from_secs(86_400),
        }
    }
}

fn problem(path: &Path, done: &'static str, why: String) -> SecretError {
    SecretError {
        path: path.to_owned(),
        done,
        why,
    }
}

fn advise(error: &io::Error) -> String {
    format!(
        "{error}; make sure that its directory can be read and written, or choose another data directory"
    )
}

/// 256 random bits in hex, so that the file can be read aloud and copied.
fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Linked into place whole, so that nobody ever reads half a secret.
fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        private::make_dir(dir)?;
    }
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/development-secret");
        let first = Secret::load_or_make(&path).unwrap();
        let second = Secret::load_or_make(&path).unwrap();
        assert_eq!(first.0, second.0);
        assert_eq!(first.0.expose().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn an_empty_secret_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("development-secret");
        fs::write(&path, "\n").unwrap();
        let said = Secret::load_or_make(&path).err().unwrap().to_string();
        assert!(said.contains("delete it to get a new one"), "{said}");
    }

    #[test]
    fn a_token_carries_subject_expiry_and_further_claims() {
        let mut grant = Grant::of("ana");
        grant.claims.insert("role".to_owned(), json!("seller"));
        grant.ttl = Duration::from_secs(60);
        let token = Secret("s".into()).sign(&grant, TimeMs(1_700_000_000_500));
        let mut checks = jsonwebtoken::Validation::new(Algorithm::HS256);
        checks.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_secret(b"s");
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &checks)
            .unwrap()
            .claims;
        assert_eq!(
            claims,
            json!({"sub": "ana", "role": "seller", "iat": 1_700_000_000, "exp": 1_700_000_060})
        );
    }
}
