//! Signers of tokens, for tests.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::super::keys::Known;
use super::KeySet;

pub(super) const SECRET: &str = "a secret of thirty-two bytes, or more";

pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    private: EncodingKey,
    public: DecodingKey,
    pair: Option<KeyPair>,
}

impl Signer {
    pub(super) fn all() -> [Self; 4] {
        [Self::secret(), Self::rs256(), Self::es256(), Self::eddsa()]
    }

    pub(super) fn secret() -> Self {
        Self::from_secret(SECRET.as_bytes())
    }

    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            private: EncodingKey::from_secret(secret),
            public: DecodingKey::from_secret(secret),
            pair: None,
        }
    }

    pub(super) fn rs256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        Self {
            algorithm: Algorithm::RS256,
            private: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
            public: DecodingKey::from_rsa_pem(pair.public_key_pem().as_bytes()).unwrap(),
            pair: Some(pair),
        }
    }

    pub(super) fn es256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self {
            algorithm: Algorithm::ES256,
            private: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
            public: DecodingKey::from_ec_pem(pair.public_key_pem().as_bytes()).unwrap(),
            pair: Some(pair),
        }
    }

    pub(super) fn eddsa() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            private: EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap(),
            public: DecodingKey::from_ed_pem(pair.public_key_pem().as_bytes()).unwrap(),
            pair: Some(pair),
        }
    }

    fn pair(&self) -> &KeyPair {
        self.pair.as_ref().expect("an asymmetric key")
    }

    pub(super) fn public_pem(&self) -> String {
        self.pair().public_key_pem()
    }

    pub(super) fn public_der(&self) -> Vec<u8> {
        let pem = self.public_pem();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(body).unwrap()
    }

    pub(super) fn keys(&self) -> KeySet {
        let known = Known {
            issuer: None,
            kid: None,
            algorithm: self.algorithm,
            key: self.public.clone(),
        };
        KeySet {
            keys: vec![known],
            passed_over: 0,
        }
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            // The library makes no set entry of an Ed25519 key; RFC 8037 says how.
            let der = self.public_der();
            let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
            return json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid });
        }
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        encode(&Header::new(self.algorithm), claims, &self.private).unwrap()
    }

    /// By a header that says this as well.
    pub(super) fn sign_with(&self, name: &str, value: &Value, claims: &Value) -> String {
        let mut header = serde_json::to_value(Header::new(self.algorithm)).unwrap();
        header[name] = value.clone();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    pub(super) fn sign_named(&self, kid: &str, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(kid.to_owned());
        encode(&header, claims, &self.private).unwrap()
    }
}

/// A token that claims to need no signature.
pub(super) fn unsigned(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    format!("{}.{}.", part(&header), part(claims))
}
