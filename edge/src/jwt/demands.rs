//! The demands on a token: what it must say, and with whose key it must be signed.

use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde_json::value::RawValue;
use xp_protocol::{TimeMs, claims::keep};

use super::claims::Claims;
use super::keys::{KeySet, Known};
use super::{SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX, TokenError, Verified, bad};
use crate::config::Tokens;
use crate::session::Identity;

/// How far ahead a token may begin to hold and be told so. Clocks of issuers that are further off are not waited for.
const EARLY_MS_MAX: u64 = 5 * 60 * 1000;

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

    /// Judges `token` at `now` by `keys`. Of its claims only those are left that stand in `told`.
    ///
    /// # Errors
    /// [`TokenError`] with the reason for the log.
    pub fn verify(
        &self,
        keys: &KeySet,
        token: &str,
        told: &[String],
        now: TimeMs,
    ) -> Result<Verified, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(bad(format!("a token has at most {TOKEN_BYTES_MAX} bytes")));
        }
        let header = header(token)?;
        let mut failure = TokenError::UnknownKey {
            algorithm: format!("{:?}", header.alg),
            kid: header.kid.clone(),
        };
        for key in keys.fitting(header.alg, header.kid.as_deref()) {
            match signed_claims(key, token) {
                Ok(raw) => return self.judge(key, &raw, told, now),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Judges what `key` has signed.
    fn judge(
        &self,
        key: &Known,
        raw: &RawValue,
        told: &[String],
        now: TimeMs,
    ) -> Result<Verified, TokenError> {
        let claims = Claims::parse(raw.get())?;
        claims.complete(&self.required)?;
        self.is_ours(key, &claims)?;
        let expires = self.lasts(&claims, now)?;
        let identity = Identity {
            subject: self.subject(&claims)?,
            expires,
            about: claims.about(told),
        };
        let claims = keep(raw.get().as_bytes(), told).map_err(|error| bad(error.to_string()))?;
        Ok(Verified {
            identity,
            key: key.id(),
            claims,
        })
    }

    /// Whether issuer and audience are accepted, and the key is this issuer's.
    fn is_ours(&self, key: &Known, claims: &Claims) -> Result<(), TokenError> {
        let issuer = claims.issuer()?;
        let audiences = claims.audiences()?;
        if let Some(issuer) = issuer
            && !self.issuers.is_empty()
            && !self.issuers.iter().any(|ours| ours == issuer)
        {
            return Err(bad(format!("the issuer {issuer:?} is not accepted")));
        }
        if key.issuer.is_some() && key.issuer.as_deref() != issuer {
            return Err(bad(format!(
                "the issuer {issuer:?} does not sign with a key of {:?}",
                key.issuer
            )));
        }
        let accepted = |audience: &&str| self.audiences.iter().any(|ours| ours == audience);
        if !self.audiences.is_empty() && !audiences.iter().any(accepted) {
            return Err(bad(format!("the audience {audiences:?} is not accepted")));
        }
        Ok(())
    }

    /// When the token ends, if it is valid now.
    fn lasts(&self, claims: &Claims, now: TimeMs) -> Result<TimeMs, TokenError> {
        let expires = claims.time("exp")?.unwrap_or_default();
        let expires = expires.plus_ms(self.leeway_ms);
        if now >= expires {
            let ago_ms = now.since_ms(expires);
            return Err(TokenError::Expired { ago_ms });
        }
        let from = claims.time("nbf")?.unwrap_or_default();
        match from.since_ms(now.plus_ms(self.leeway_ms)) {
            0 => Ok(expires),
            in_ms if in_ms <= EARLY_MS_MAX => Err(TokenError::Early { in_ms }),
            in_ms => Err(bad(format!("not valid before {in_ms} ms from now"))),
        }
    }

    /// Who it is about. Where there are several issuers, each has subjects of its own.
    fn subject(&self, claims: &Claims) -> Result<Box<str>, TokenError> {
        let subject = claims.text("sub").unwrap_or("");
        let qualified = match claims.issuer()? {
            // An issuer is a URL without a fragment, and the configuration minds that no accepted one has a '#'.
            Some(issuer) if self.issuers.len() > 1 => qualified(issuer, subject),
            _ => subject.to_owned(),
        };
        if subject.is_empty() || qualified.len() > SUBJECT_BYTES_MAX {
            return Err(bad(format!(
                "the claim \"sub\" is a text of 1 to {SUBJECT_BYTES_MAX} bytes, those of the issuer included where there are several"
            )));
        }
        Ok(qualified.into())
    }
}

/// What a subject is called where there are several issuers.
#[must_use]
pub fn qualified(issuer: &str, subject: &str) -> String {
    format!("{issuer}#{subject}")
}

/// RFC 7515, 4.1.11: what a token calls critical must be understood, and nothing is here.
fn header(token: &str) -> Result<Header, TokenError> {
    let header =
        decode_header(token).map_err(|error| bad(format!("unreadable header: {error}")))?;
    match &header.crit {
        Some(crit) => Err(bad(format!(
            "the header calls {crit:?} critical, which is not understood here"
        ))),
        None => Ok(header),
    }
}

/// The claims, once `key` has signed them. What they say is judged here, by the caller's clock and in one place.
fn signed_claims(key: &Known, token: &str) -> Result<Box<RawValue>, TokenError> {
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let decoded = decode::<Box<RawValue>>(token, &key.key, &validation);
    let decoded = decoded.map_err(|error| bad(error.to_string()))?;
    Ok(decoded.claims)
}
