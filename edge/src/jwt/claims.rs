//! The claims of a token, read strictly: a type that the RFC does not name is refused, not passed over.

use std::collections::BTreeMap;

use jsonwebtoken::dangerous::insecure_decode_claims;
use serde_json::Value;
use xp_protocol::TimeMs;

use super::{TokenError, bad};

/// Claims about the token rather than the user: a fresh token that differs in these only is no news.
const ABOUT_THE_TOKEN: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// What a token says of itself, which nobody has verified: good for the reason of a refusal, and for nothing else.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct UnverifiedClaims {
    iss: Option<String>,
    iat: Option<f64>,
}

/// The same, in the platform's words.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) issuer: Option<String>,
    pub(super) issued: Option<TimeMs>,
}

/// What a token claims of its issuer and its age.
pub(super) fn claimed(token: &str) -> Claimed {
    let unverified: UnverifiedClaims = insecure_decode_claims(token).unwrap_or_default();
    Claimed {
        issuer: unverified.iss,
        issued: unverified.iat.and_then(from_seconds),
    }
}

fn from_seconds(seconds: f64) -> Option<TimeMs> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    let ms = |seconds: f64| TimeMs((seconds * 1000.0) as u64);
    (0.0..1e15).contains(&seconds).then(|| ms(seconds))
}

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
        let time = value.as_f64().and_then(from_seconds);
        let wrong = || bad(format!("the claim {name:?} is no time"));
        time.map(Some).ok_or_else(wrong)
    }

    /// What those of them that are in `told` say about the user.
    pub(super) fn about(mut self, told: &[String]) -> Box<str> {
        self.0
            .retain(|name, _| told.contains(name) && !ABOUT_THE_TOKEN.contains(&name.as_str()));
        serde_json::to_string(&self.0)
            .expect("a map of JSON values with text keys is JSON")
            .into()
    }
}
