//! What cannot mean anything: values that can be read, and by which nobody could ever come in.

use super::{Config, Tokens};

/// A value that can be read and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct Unusable {
    /// The key, as in `edge.origins`.
    pub key: String,
    /// What is wrong with its value, and what to do.
    pub what: String,
}

fn unusable<T>(key: &str, what: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable {
        key: format!("edge.{key}"),
        what: what.into(),
    })
}

impl Config {
    /// Whether all of it can be used.
    ///
    /// # Errors
    /// [`Unusable`] with the first key that cannot.
    pub fn judge(&self) -> Result<(), Unusable> {
        sources(&self.tokens)?;
        issuers(&self.tokens)
    }
}

fn sources(tokens: &Tokens) -> Result<(), Unusable> {
    match tokens.keys.iter().find(|key| key.source().is_none()) {
        Some(_) => unusable(
            "tokens.keys",
            "each key has exactly one of secret, secret-env, secret-file, pem-file, jwks-file and jwks-url",
        ),
        None => Ok(()),
    }
}

/// Where there are several, each key is of one of them, and each of them has a key.
fn issuers(tokens: &Tokens) -> Result<(), Unusable> {
    let issuers = &tokens.issuers;
    let mut named = tokens.keys.iter().filter_map(|key| key.issuer.as_ref());
    if let Some(stranger) = named.find(|issuer| !issuers.contains(issuer)) {
        let what = format!("names the issuer {stranger:?}, which is not in edge.tokens.issuers");
        return unusable("tokens.keys", what);
    }
    if issuers.len() < 2 {
        return Ok(());
    }
    if tokens.keys.iter().any(|key| key.issuer.is_none()) {
        let what = "there are several issuers, so each key says whose tokens it signs, as in { jwks-url = \"https://a.example/keys\", issuer = \"https://a.example\" }: any issuer could sign for every other one otherwise";
        return unusable("tokens.keys", what);
    }
    for issuer in issuers {
        let signs = |key: &super::Key| key.issuer.as_ref() == Some(issuer);
        if !tokens.keys.iter().any(signs) {
            let what = format!("no key of edge.tokens.keys is of the issuer {issuer:?}");
            return unusable("tokens.issuers", what);
        }
        if issuer.contains('#') {
            let what = format!(
                "{issuer:?} has a '#', which parts issuer and subject where there are several issuers"
            );
            return unusable("tokens.issuers", what);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use crate::units::Span;

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";

    fn tokens(keys: Vec<Key>, issuers: &[&str]) -> Tokens {
        Tokens {
            keys,
            issuers: issuers.iter().map(|issuer| (*issuer).to_owned()).collect(),
            audiences: Vec::new(),
            required: Vec::new(),
            leeway: Span::from_secs(5),
        }
    }

    fn refused(tokens: &Tokens, reason: &str) {
        let judged = sources(tokens).and_then(|()| issuers(tokens));
        let error = judged.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn each_of_several_issuers_has_keys_of_its_own() {
        let bound = vec![Key::pem_file("a").of(A), Key::pem_file("b").of(B)];
        issuers(&tokens(bound.clone(), &[A, B])).unwrap();
        issuers(&tokens(vec![Key::pem_file("a")], &[A])).unwrap();
        let loose = vec![Key::pem_file("a").of(A), Key::pem_file("b")];
        refused(&tokens(loose, &[A, B]), "each key says whose tokens");
        refused(&tokens(bound[..1].to_vec(), &[A, B]), "no key of");
        refused(&tokens(bound, &[A]), "not in edge.tokens.issuers");
        let odd = vec![Key::pem_file("a").of("a#"), Key::pem_file("b").of(B)];
        refused(&tokens(odd, &["a#", B]), "has a '#'");
    }

    #[test]
    fn a_key_has_exactly_one_source() {
        refused(&tokens(vec![Key::default()], &[]), "exactly one of");
        let two = Key {
            pem_file: Some("a".into()),
            ..Key::secret("b")
        };
        refused(&tokens(vec![two], &[]), "exactly one of");
    }
}
