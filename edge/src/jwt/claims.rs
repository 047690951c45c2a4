//! The claims of a token, read strictly: a type that the RFC does not name is refused, not passed over.

use std::collections::BTreeMap;

use serde_json::Value;
use xp_protocol::TimeMs;

use super::{TokenError, bad};

/// Claims about the token rather than the user: a fresh token that differs in these only is no news.
const ABOUT_THE_TOKEN: [&str; 4] = ["exp", "iat", "nbf", "jti"];

pub(super) struct Claims(BTreeMap<String, Value>);

impl Claims {
    pub(super) fn parse(json: &str) -> Result<Self, TokenError> {
        let claims = serde_json::from_str(json);
        let claims =
            claims.map_err(|error| bad(format!("the claims are no JSON object: {error}")))?;
        Ok(Self(claims))
    }

    /// Whether all of these are there.
    pub(super) fn complete(&self, required: &[String]) -> Result<(), TokenError> {
        let lacks = |name: &&String| self.0.get(*name).is_none_or(Value::is_null);
        match required.iter().find(lacks) {
            Some(name) => Err(bad(format!("the claim {name:?} is missing"))),
            None => Ok(()),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// RFC 7519, 4.1.1: a text.
    pub(super) fn issuer(&self) -> Result<Option<&str>, TokenError> {
        match self.0.get("iss") {
            None => Ok(None),
            Some(Value::String(issuer)) => Ok(Some(issuer)),
            Some(_) => Err(bad("the claim \"iss\" is no text")),
        }
    }

    /// RFC 7519, 4.1.3: a text, or a list of nothing but texts.
    pub(super) fn audiences(&self) -> Result<Vec<&str>, TokenError> {
        let wrong = || bad("the claim \"aud\" is neither a text nor a list of texts");
        match self.0.get("aud") {
            None => Ok(Vec::new()),
            Some(Value::String(audience)) => Ok(vec![audience]),
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| one.as_str().ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// A claim in seconds since 1970, which may have a fraction.
    pub(super) fn time(&self, name: &str) -> Result<Option<TimeMs>, TokenError> {
        let Some(value) = self.0.get(name) else {
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

    /// What they say about the user.
    pub(super) fn about(mut self) -> Box<str> {
        self.0
            .retain(|name, _| !ABOUT_THE_TOKEN.contains(&name.as_str()));
        serde_json::to_string(&self.0)
            .expect("a map of JSON values with text keys is JSON")
            .into()
    }
}
