mod signing;

use serde_json::{Value, json};

use xp_protocol::TimeMs;

use super::local::Local;
use super::*;
use crate::config::{Key, Tokens};
use signing::{Signer, unsigned};
use xp_settings::Span;

const NOW: TimeMs = TimeMs(1_000_000_000);

fn tokens() -> Tokens {
    Tokens {
        keys: Vec::new(),
        issuers: Vec::new(),
        audiences: Vec::new(),
        required: Vec::new(),
        leeway: Span::from_secs(5),
    }
}

fn claims() -> Value {
    json!({ "sub": "ana", "exp": 1_000_060, "role": "painter" })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Judges claims that are signed well.
fn judge(tokens: &Tokens, claims: &Value) -> Result<Verified, TokenError> {
    let signer = Signer::secret();
    let told = ["role", "sub", "exp", "team"].map(str::to_owned);
    Demands::new(tokens).verify(&signer.keys(), &signer.sign(claims), &told, NOW)
}

fn refusal(tokens: &Tokens, claims: &Value) -> String {
    let error = judge(tokens, claims).unwrap_err();
    format!("{}: {error}", error.code().name())
}

#[test]
fn a_good_token_tells_who_it_is_and_hands_on_the_claims_that_are_told() {
    let claims = with("email", json!("ana@example.org"));
    let verified = judge(&tokens(), &claims).unwrap();
    assert_eq!(&*verified.identity.subject, "ana");
    assert_eq!(verified.identity.expires, TimeMs(1_000_065_000));
    assert_eq!(
        &*verified.identity.about,
        r#"{"role":"painter","sub":"ana"}"#
    );
    let mut told = claims.clone();
    told.as_object_mut().unwrap().remove("email");
    assert_eq!(verified.claims, told.to_string());
}

#[test]
fn all_four_algorithms_verify_with_their_own_key() {
    for signer in Signer::all() {
        let judged =
            Demands::new(&tokens()).verify(&signer.keys(), &signer.sign(&claims()), &[], NOW);
        judged.unwrap_or_else(|error| panic!("{:?}: {error}", signer.algorithm));
    }
}

#[test]
fn no_key_verifies_what_another_signed() {
    let signers = Signer::all();
    for (i, signer) in signers.iter().enumerate() {
        for (j, other) in signers.iter().enumerate() {
            let judged =
                Demands::new(&tokens()).verify(&other.keys(), &signer.sign(&claims()), &[], NOW);
            assert_eq!(judged.is_ok(), i == j, "{i} by {j}");
        }
    }
    let twin = Signer::es256();
    let judged =
        Demands::new(&tokens()).verify(&twin.keys(), &signers[2].sign(&claims()), &[], NOW);
    assert!(judged.is_err(), "the same algorithm, another key");
}

#[test]
fn a_public_key_is_no_secret() {
    let rsa = Signer::rs256();
    for secret in [rsa.public_pem().into_bytes(), rsa.public_der()] {
        let forged = Signer::from_secret(&secret).sign(&claims());
        let judged = Demands::new(&tokens()).verify(&rsa.keys(), &forged, &[], NOW);
        let error = judged.unwrap_err();
        assert!(matches!(error, TokenError::UnknownKey { .. }), "{error}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let signer = Signer::secret();
    for algorithm in ["none", "None", "NONE"] {
        let judged = Demands::new(&tokens()).verify(
            &signer.keys(),
            &unsigned(algorithm, &claims()),
            &[],
            NOW,
        );
        assert_eq!(judged.unwrap_err().code(), xp_protocol::CloseCode::BadToken);
    }
}

#[test]
fn a_changed_token_is_refused() {
    let signer = Signer::secret();
    let token = signer.sign(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = signer.sign(&with("sub", json!("ben")));
    let (payload, _) = other.rsplit_once('.').unwrap();
    for forged in [
        format!("{payload}.{signature}"),
        format!("{signed}."),
        signed.to_owned(),
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        let judged = Demands::new(&tokens()).verify(&signer.keys(), &forged, &[], NOW);
        assert_eq!(
            judged.unwrap_err().code(),
            xp_protocol::CloseCode::BadToken,
            "{forged}"
        );
    }
}

#[test]
fn times_are_judged_with_leeway() {
    assert!(judge(&tokens(), &with("exp", json!(999_996))).is_ok());
    let expired = refusal(&tokens(), &with("exp", json!(999_995)));
    assert!(expired.starts_with("token-expired"), "{expired}");
    assert!(judge(&tokens(), &with("nbf", json!(1_000_005))).is_ok());
    let early = refusal(&tokens(), &with("nbf", json!(1_000_006)));
    assert!(
        early.starts_with("token-early: the token holds only 1000 ms"),
        "{early}"
    );
    let far = refusal(&tokens(), &with("nbf", json!(1_000_306)));
    assert!(far.starts_with("bad-token: not valid before"), "{far}");
    let strange = refusal(&tokens(), &with("exp", json!("soon")));
    assert!(strange.contains("\"exp\" is no time"), "{strange}");
}

#[test]
fn a_token_that_lacks_a_required_claim_is_refused_by_name() {
    let strict = Tokens {
        issuers: vec!["issuer".to_owned()],
        audiences: vec!["xp".to_owned()],
        required: vec!["role".to_owned()],
        ..tokens()
    };
    let mut complete = with("iss", json!("issuer"));
    complete["aud"] = json!(["other", "xp"]);
    assert!(judge(&strict, &complete).is_ok());
    for name in ["exp", "sub", "iss", "aud", "role"] {
        let mut lacking = complete.clone();
        lacking.as_object_mut().unwrap().remove(name);
        let refused = refusal(&strict, &lacking);
        assert!(refused.starts_with("bad-token"), "{refused}");
        assert!(refused.contains(name), "{refused}");
        lacking[name] = Value::Null;
        assert!(judge(&strict, &lacking).is_err(), "{name}: null is missing");
    }
}

#[test]
fn a_foreign_issuer_or_audience_is_refused() {
    let issuers = Tokens {
        issuers: vec!["issuer".to_owned()],
        ..tokens()
    };
    assert!(refusal(&issuers, &with("iss", json!("other"))).starts_with("bad-token"));
    let audiences = Tokens {
        audiences: vec!["xp".to_owned()],
        ..tokens()
    };
    assert!(refusal(&audiences, &with("aud", json!("other"))).starts_with("bad-token"));
}

/// Whatever else stands there names nobody, so that it cannot be compared with what is accepted.
#[test]
fn an_issuer_or_audience_of_another_type_is_refused() {
    let strict = Tokens {
        issuers: vec!["issuer".to_owned()],
        audiences: vec!["xp".to_owned()],
        ..tokens()
    };
    let mut good = with("iss", json!("issuer"));
    good["aud"] = json!(["other", "xp"]);
    assert!(judge(&strict, &good).is_ok());
    for (name, value) in [
        ("iss", json!(7)),
        ("iss", json!(["issuer"])),
        ("iss", json!({ "issuer": "issuer" })),
        ("iss", json!(true)),
        ("aud", json!(7)),
        ("aud", json!(["xp", 7])),
        ("aud", json!(["evil", 7])),
        ("aud", json!([["xp"]])),
        ("aud", json!({ "xp": "xp" })),
        ("aud", json!([])),
    ] {
        let mut claims = good.clone();
        claims[name] = value.clone();
        let refused = refusal(&strict, &claims);
        assert!(
            refused.starts_with("bad-token"),
            "{name} {value}: {refused}"
        );
    }
    // The same where nobody asks for them: a domain that reads them would take them for what they are not.
    for (name, value) in [
        ("iss", json!(7)),
        ("aud", json!(["xp", 7])),
        ("iss", Value::Null),
    ] {
        assert!(
            judge(&tokens(), &with(name, value.clone())).is_err(),
            "{name} {value}"
        );
    }
}

#[test]
fn a_token_that_calls_something_critical_is_refused() {
    let signer = Signer::secret();
    let judged = |token: &str| Demands::new(&tokens()).verify(&signer.keys(), token, &[], NOW);
    let harmless = signer.sign_with("cty", &json!("JWT"), &claims());
    judged(&harmless).unwrap();
    for critical in [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!("exp"),
        json!(7),
    ] {
        let token = signer.sign_with("crit", &critical, &claims());
        let error = judged(&token).unwrap_err();
        assert_eq!(error.code(), CloseCode::BadToken, "{critical}");
    }
}

#[test]
fn a_key_signs_for_its_own_issuer_alone() {
    let [a, b] = [Signer::es256(), Signer::es256()];
    let (of_a, of_b) = (
        "https://a.example".to_owned(),
        "https://b.example".to_owned(),
    );
    let mut keys = a.keys().of(Some(&of_a));
    keys.keys.extend(b.keys().of(Some(&of_b)).keys);
    let both = Tokens {
        issuers: vec![of_a.clone(), of_b.clone()],
        ..tokens()
    };
    let judged = |signer: &Signer, issuer: &str| {
        let token = signer.sign(&with("iss", json!(issuer)));
        Demands::new(&both).verify(&keys, &token, &[], NOW)
    };
    let subject = |signer: &Signer, issuer: &str| judged(signer, issuer).unwrap().identity.subject;
    assert_eq!(&*subject(&a, &of_a), "https://a.example#ana");
    assert_eq!(&*subject(&b, &of_b), "https://b.example#ana");
    for (signer, other) in [(&a, &of_b), (&b, &of_a)] {
        let error = judged(signer, other).unwrap_err();
        assert_eq!(error.code(), CloseCode::BadToken, "{error}");
    }
}

#[test]
fn a_subject_of_one_issuer_alone_is_called_as_the_token_says() {
    let one = Tokens {
        issuers: vec!["https://a.example".to_owned()],
        ..tokens()
    };
    let verified = judge(&one, &with("iss", json!("https://a.example"))).unwrap();
    assert_eq!(&*verified.identity.subject, "ana");
}

#[test]
fn exp_and_sub_are_required_without_any_configuration() {
    assert!(refusal(&tokens(), &without("exp")).contains("\"exp\" is missing"));
    assert!(refusal(&tokens(), &without("sub")).contains("\"sub\" is missing"));
    assert!(refusal(&tokens(), &with("sub", json!(""))).contains("\"sub\" is a text"));
    assert!(refusal(&tokens(), &with("sub", json!(7))).contains("\"sub\" is a text"));
}

#[test]
fn a_key_set_gives_each_key_its_one_algorithm() {
    let signers = [Signer::rs256(), Signer::es256(), Signer::eddsa()];
    let jwks: Vec<Value> = signers
        .iter()
        .map(|s| s.jwk(&format!("{:?}", s.algorithm)))
        .collect();
    let json = json!({ "keys": jwks }).to_string();
    let keys = KeySet::from_jwks(json.as_bytes(), "test").unwrap();
    for signer in &signers {
        let kid = format!("{:?}", signer.algorithm);
        let token = signer.sign_named(&kid, &claims());
        Demands::new(&tokens())
            .verify(&keys, &token, &[], NOW)
            .unwrap();
        let unnamed = signer.sign(&claims());
        Demands::new(&tokens())
            .verify(&keys, &unnamed, &[], NOW)
            .unwrap();
        let stranger = signer.sign_named("other", &claims());
        let judged = Demands::new(&tokens()).verify(&keys, &stranger, &[], NOW);
        assert!(matches!(judged, Err(TokenError::UnknownKey { .. })));
    }
}

/// An issuer may publish what this build does not know, and keys of tomorrow.
#[test]
fn one_odd_entry_does_not_refuse_its_set() {
    let signer = Signer::es256();
    let with = |name: &str, value: Value| {
        let mut jwk = signer.jwk("good");
        jwk[name] = value;
        jwk
    };
    let odd = [
        with("kid", json!(7)),
        with("alg", json!(256)),
        with("alg", json!("ML-DSA-44")),
        with("kty", json!("LMS")),
        with("crv", json!("P-1024")),
        with("x", json!("not base64!")),
        with("use", json!(7)),
        with("key_ops", json!("verify")),
        json!("a text"),
        json!(7),
        Value::Null,
        json!([]),
        json!({}),
    ];
    for entry in odd {
        let set = json!({ "keys": [entry, signer.jwk("good")], "more": 7 }).to_string();
        let keys = KeySet::from_jwks(set.as_bytes(), "test").unwrap();
        assert!(keys.keys.len() + keys.passed_over == 2, "{set}");
        let token = signer.sign_named("good", &claims());
        let judged = Demands::new(&tokens()).verify(&keys, &token, &[], NOW);
        judged.unwrap_or_else(|error| panic!("{entry}: {error}"));
    }
}

#[test]
fn symmetric_keys_and_keys_for_encryption_in_a_set_are_left_out() {
    let mut encrypting = Signer::es256().jwk("enc");
    encrypting["use"] = json!("enc");
    let json = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }, encrypting] });
    let keys = KeySet::from_jwks(json.to_string().as_bytes(), "test").unwrap();
    assert!(keys.keys.is_empty());
}

fn local(keys: &[Key]) -> Result<KeySet, KeyError> {
    Ok(Local::read(keys)?.keys())
}

#[test]
fn a_pem_file_says_by_itself_which_algorithm_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    for signer in [Signer::rs256(), Signer::es256(), Signer::eddsa()] {
        let path = dir.path().join("key.pem");
        std::fs::write(&path, signer.public_pem()).unwrap();
        let keys = local(&[Key::pem_file(path)]).unwrap();
        assert_eq!(keys.keys[0].algorithm, signer.algorithm);
        Demands::new(&tokens())
            .verify(&keys, &signer.sign(&claims()), &[], NOW)
            .unwrap();
    }
}

#[test]
fn keys_that_cannot_be_had_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, "no key").unwrap();
    for (keys, reason) in [
        (vec![], "name at least one key"),
        (vec![Key::secret("short".to_owned())], "at least 32 bytes"),
        (
            vec![Key::secret_env("XP_NOT_SET_ANYWHERE".to_owned())],
            "XP_NOT_SET_ANYWHERE",
        ),
        (vec![Key::pem_file(dir.path().join("missing"))], "missing"),
        (
            vec![Key::pem_file(garbage.clone())],
            "not a public key in PEM form",
        ),
        (vec![Key::jwks_file(garbage)], "not a JSON Web Key Set"),
    ] {
        let error = local(&keys).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_secret_file_may_end_with_a_newline() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, format!("{}\n", signing::SECRET)).unwrap();
    let keys = local(&[Key::secret_file(path)]).unwrap();
    let token = Signer::secret().sign(&claims());
    Demands::new(&tokens())
        .verify(&keys, &token, &[], NOW)
        .unwrap();
}
