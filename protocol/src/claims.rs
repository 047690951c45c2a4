//! The claims of a token, and which of them go further than the edge.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

/// Why claims cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the claims are no JSON object: {0}")]
pub struct NoObject(String);

/// The claims of `json` that stand in `names`, letter by letter as they came and in the order of their names. Of a claim
/// that stands there twice the last one counts, as it does for who judges the token.
///
/// ```
/// use xp_protocol::claims::keep;
///
/// let said = br#"{"sub":"ana","email":"ana@example.org","role":"painter"}"#;
/// assert_eq!(keep(said, &["role", "team"]).unwrap(), r#"{"role":"painter"}"#);
/// ```
///
/// # Errors
/// When it is no JSON object.
pub fn keep(json: &[u8], names: &[impl AsRef<str>]) -> Result<Bytes, NoObject> {
    let all: BTreeMap<String, &RawValue> =
        serde_json::from_slice(json).map_err(|error| NoObject(error.to_string()))?;
    let is_kept = |name: &str| names.iter().any(|kept| kept.as_ref() == name);
    let kept: BTreeMap<_, _> = all.iter().filter(|(name, _)| is_kept(name)).collect();
    let kept = serde_json::to_vec(&kept).expect("a map of JSON values with text keys is JSON");
    Ok(kept.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_kept_and_as_it_came() {
        let said = br#"{"id": 12345678901234567890123, "e\u002dmail": "a@b.c", "roles": [ 1.0 ], "sub": "ana", "sub": "ben"}"#;
        let kept = |names: &[&str]| keep(said, names).unwrap();
        assert_eq!(
            kept(&["roles", "id"]),
            r#"{"id":12345678901234567890123,"roles":[ 1.0 ]}"#
        );
        assert_eq!(kept(&["sub"]), r#"{"sub":"ben"}"#);
        assert_eq!(kept(&["e-mail"]), r#"{"e-mail":"a@b.c"}"#);
        assert_eq!(kept(&["mail", "ID"]), "{}");
        assert_eq!(kept(&[]), "{}");
    }

    #[test]
    fn what_is_no_object_is_no_claims() {
        for odd in ["", "null", "[]", "7", "{", r#"{"a":}"#, "{}x"] {
            let error = keep(odd.as_bytes(), &["a"]).unwrap_err().to_string();
            assert!(
                error.starts_with("the claims are no JSON object: "),
                "{odd}: {error}"
            );
        }
    }
}
