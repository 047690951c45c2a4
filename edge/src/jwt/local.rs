//! Keys of tokens that stand in files, the environment or the configuration itself. Those in files may be rolled.

use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey};
use xp_settings::Secret;
use xp_transport::private::without_line_end;

use super::keys::{KeyError, KeySet, Known, SECRET_BYTES_MIN};
use crate::config::{Key, Source};
use crate::kept::{self, Held, Kept};

/// All of them, in the order of the configuration.
pub(super) struct Local(Vec<Entry>);

/// One key of the configuration.
struct Entry {
    key: Key,
    /// Of its file, if it has one.
    kept: Option<Kept>,
    set: KeySet,
}

impl Local {
    /// Reads them; sets behind a URL are fetched by [`super::Verifier`].
    pub(super) fn read(keys: &[Key]) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        let entries = keys.iter().map(Entry::read);
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    /// All keys that they hold.
    pub(super) fn keys(&self) -> KeySet {
        let keys = self.0.iter().flat_map(|entry| entry.set.keys.clone());
        KeySet {
            keys: keys.collect(),
            passed_over: 0,
        }
    }

    /// Takes what the files hold now, in the order of the configuration, and says how many have changed. One that cannot
    /// be used changes nothing.
    pub(super) fn look(&mut self, held: Vec<Held>, asked: bool) -> usize {
        let entries = self.0.iter_mut().filter(|entry| entry.kept.is_some());
        let looked = entries
            .zip(held)
            .map(|(entry, held)| entry.look(held, asked));
        looked.filter(|is_new| *is_new).count()
    }
}

impl Entry {
    fn read(key: &Key) -> Result<Self, KeyError> {
        let held = key.file().map(kept::read);
        let held = held.as_slice();
        Ok(Self {
            set: set(key, held)?,
            kept: (!held.is_empty()).then(|| Kept::of(held)),
            key: key.clone(),
        })
    }

    fn look(&mut self, held: Held, asked: bool) -> bool {
        let (Some(path), Some(kept)) = (self.key.file(), &mut self.kept) else {
            return false;
        };
        let look = kept.look(&[held], asked, |held| set(&self.key, held));
        let what = format!("a key of tokens (edge.tokens.keys, {})", path.display());
        let new = look.told(&what);
        let is_new = new.is_some();
        self.set = new.unwrap_or_else(|| std::mem::take(&mut self.set));
        is_new
    }
}

/// The keys of a source, whose file, if it is one, holds this.
fn set(key: &Key, held: &[Held]) -> Result<KeySet, KeyError> {
    let one = |key| KeySet {
        keys: vec![key],
        passed_over: 0,
    };
    let set = match key.source() {
        Some(Source::Secret(secret)) => shared(secret.expose().as_bytes()).map(one),
        Some(Source::SecretEnv(name)) => {
            let secret = std::env::var(name).map(Secret::from);
            let secret = secret.map_err(|_| KeyError::Env(name.to_owned()))?;
            shared(secret.expose().as_bytes()).map(one)
        }
        Some(Source::SecretFile(path)) => shared(without_line_end(of(path, held)?)).map(one),
        Some(Source::PemFile(path)) => pem(of(path, held)?, path).map(one),
        Some(Source::JwksFile(path)) => {
            let origin = path.display().to_string();
            let set = KeySet::from_jwks(of(path, held)?, &origin)?;
            set.usable()
                .map_err(|reason| KeyError::Bad { origin, reason })
        }
        // Fetched; and a key without one source is told of by the configuration's own check.
        Some(Source::JwksUrl(_)) | None => Ok(KeySet::default()),
    };
    Ok(set?.of(key.issuer.as_ref()))
}

fn of<'a>(path: &Path, held: &'a [Held]) -> Result<&'a [u8], KeyError> {
    let held = held.first().expect("a source that is a file was read");
    held.as_deref().map_err(|error| KeyError::File {
        path: path.to_owned(),
        source: std::io::Error::new(error.kind(), error.to_string()),
    })
}

fn shared(secret: &[u8]) -> Result<Known, KeyError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError::Short(secret.len()));
    }
    Ok(Known {
        issuer: None,
        kid: None,
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(secret),
    })
}

/// The family is in the key itself, so that nobody can configure the wrong one.
fn pem(bytes: &[u8], path: &Path) -> Result<Known, KeyError> {
    let families = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(bytes)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(bytes)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(bytes)),
    ];
    let fits = families
        .into_iter()
        .find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
    let (algorithm, key) = fits.ok_or_else(|| KeyError::Bad {
        origin: path.display().to_string(),
        reason: "not a public key in PEM form (RSA, P-256 or Ed25519)".to_owned(),
    })?;
    Ok(Known {
        issuer: None,
        kid: None,
        algorithm,
        key,
    })
}
