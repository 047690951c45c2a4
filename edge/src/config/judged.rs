//! Checks of an edge's configuration: values that can be read, and with which no client could ever connect.

use std::net::IpAddr;

use http::Uri;

use super::origins::never_matches;
use super::{Config, Key, Tokens};

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
        issuers(&self.tokens)?;
        key_sets(&self.tokens)?;
        origins(&self.origins)
    }

    /// What can be used, and had better be otherwise.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let urls = self.tokens.keys.iter().filter_map(Key::url);
        let open = urls.filter(|url| is_open(url));
        let warning = |url: &str| {
            format!(
                "edge.tokens.keys: {url} is fetched in the clear: whoever is between can hand in keys of his own and come in as anybody; use https"
            )
        };
        open.map(warning).collect()
    }
}

/// Whether a key set comes over a network where others could put in theirs.
fn is_open(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let is_plain = uri
        .as_ref()
        .is_some_and(|uri| uri.scheme_str() == Some("http"));
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("");
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = address.parse().is_ok_and(|at: IpAddr| at.is_loopback());
    is_plain && !is_here && !host.eq_ignore_ascii_case("localhost")
}

/// Each key set is at an address that can be asked.
fn key_sets(tokens: &Tokens) -> Result<(), Unusable> {
    for url in tokens.keys.iter().filter_map(Key::url) {
        let uri = url.parse::<Uri>().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str);
        let host = uri.as_ref().and_then(Uri::host).unwrap_or("");
        if !matches!(scheme, Some("https" | "http")) || host.is_empty() {
            let what = format!(
                "{url:?} is no address of a key set: write it whole, as in jwks-url = \"https://accounts.example.org/.well-known/jwks.json\""
            );
            return unusable("tokens.keys", what);
        }
    }
    Ok(())
}

/// Each origin is one that a browser can send.
fn origins(origins: &[String]) -> Result<(), Unusable> {
    let why = |origin: &String| Some((origin.clone(), never_matches(origin)?));
    match origins.iter().find_map(why) {
        Some((origin, why)) => unusable("origins", format!("{origin:?} is no origin: {why}")),
        None => Ok(()),
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
        let signs = |key: &Key| key.issuer.as_ref() == Some(issuer);
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
    use super::*;
    use xp_settings::Span;

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
    fn a_key_set_has_a_whole_address() {
        for url in [
            "accounts.example.org/keys",
            "ftp://a.example/keys",
            "/keys",
            "https://",
            "https:/a.example",
            "",
        ] {
            let odd = tokens(vec![Key::jwks_url(url)], &[]);
            let error = key_sets(&odd).unwrap_err().to_string();
            assert!(error.contains("write it whole"), "{url}: {error}");
        }
    }

    #[test]
    fn a_key_set_in_the_clear_is_warned_of_unless_it_is_here() {
        for open in [
            "http://a.example/keys",
            "http://10.0.0.1:80/keys",
            "HTTP://a.example/keys",
        ] {
            assert!(is_open(open), "{open}");
            key_sets(&tokens(vec![Key::jwks_url(open)], &[])).unwrap();
        }
        for fine in [
            "https://a.example/keys",
            "http://127.0.0.1:7/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(!is_open(fine), "{fine}");
        }
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
