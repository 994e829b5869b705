//! Forged and altered tokens are refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use token::{Algorithm, Claims, Error, Keys, MAX_TOKEN_BYTES, Role};
use wire::Micros;

use crate::{BOTH, HOUR, NOW, claims, keys, unnamed};

/// Returns the error that refuses a token, and checks that it is one short line.
fn refused(keys: &Keys, jwt: &str) -> Error {
    let error = keys.verify(jwt, NOW).expect_err(jwt);
    let line = error.to_string();
    assert!(line.lines().count() == 1 && line.len() < 1000 && !line.contains(char::is_control), "{line:?}");
    error
}

fn joined(header: &Value, payload: &str, signature: &[u8]) -> String {
    format!("{}.{payload}.{}", BASE64.encode(header.to_string()), BASE64.encode(signature))
}

fn kid(keys: &Keys) -> Value {
    serde_json::from_str::<Value>(&keys.public_json()).expect("JSON")["keys"][0]["kid"].clone()
}

/// A token without a signature, or signed with public knowledge, is refused.
#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens() {
    for algorithm in BOTH {
        let keys = keys(algorithm, 1);
        let jwt = keys.mint(&claims()).expect("minted");
        let payload = jwt.split('.').nth(1).expect("three parts");
        let public = keys.public_json();
        for alg in ["none", "None", "HS256", "ES384", "RS256", "", "\u{1b}[2J\n"] {
            let header = json!({ "alg": alg, "kid": kid(&keys) });
            let hmac = hmac(public.as_bytes(), &format!("{}.{payload}", BASE64.encode(header.to_string())));
            for signature in [&[][..], &hmac] {
                let error = refused(&keys, &joined(&header, payload, signature));
                assert!(matches!(error, Error::Malformed(_)), "{error}");
            }
        }
        let other = if algorithm == Algorithm::EdDSA { "ES256" } else { "EdDSA" };
        let header = json!({ "alg": other, "kid": kid(&keys) });
        let error = refused(&keys, &joined(&header, payload, &[1; 64]));
        assert!(matches!(error, Error::Malformed(why) if why.contains("not that of key")));
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let key: [u8; 32] = Sha256::digest(key).into();
    let pad = |with: u8| [key.map(|byte| byte ^ with), [with; 32]].concat();
    let inner = Sha256::digest([&pad(0x36), text.as_bytes()].concat());
    Sha256::digest([&pad(0x5c), &inner[..]].concat()).to_vec()
}

/// Signatures that a lenient verifier accepts for any text are refused: of keys of small order, and of zeros.
#[test]
fn signatures_of_nothing_are_signatures_of_nothing() {
    for algorithm in BOTH {
        let keys = keys(algorithm, 1);
        let jwt = keys.mint(&claims()).expect("minted");
        let (text, right) = jwt.rsplit_once('.').expect("three parts");
        let right = BASE64.decode(right).expect("base64");
        let mut neutral = vec![0; 64];
        neutral[0] = 1;
        for bytes in
            [vec![], vec![0; 64], vec![255; 64], neutral, right[..63].to_vec(), [&right[..], &[0]].concat()]
        {
            let error = refused(&keys, &format!("{text}.{}", BASE64.encode(bytes)));
            assert!(matches!(error, Error::BadSignature { .. }), "{error}");
        }
    }
    let point = |byte: u8| {
        let mut x = [0; 32];
        x[0] = byte;
        BASE64.encode(x)
    };
    // A lenient verifier would accept the neutral element as a public key (R = neutral, S = 0) for any text.
    let set =
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "weak", "x": point(1) }] });
    let weak = Keys::parse(&set.to_string()).expect("a point of the curve");
    let mut signature = [0; 64];
    signature[0] = 1;
    let payload = BASE64.encode(serde_json::to_string(&claims()).expect("JSON"));
    refused(&weak, &joined(&json!({ "alg": "EdDSA", "kid": "weak" }), &payload, &signature));
}

#[test]
fn each_refusal_says_why() {
    let (ours, foreign) = (keys(Algorithm::EdDSA, 1), keys(Algorithm::EdDSA, 2));
    let jwt = foreign.mint(&claims()).expect("minted");
    assert!(matches!(refused(&ours, &jwt), Error::UnknownKey { .. }));
    let named_as_ours = foreign
        .private_json()
        .replace(kid(&foreign).as_str().expect("text"), kid(&ours).as_str().expect("text"));
    let imposter = Keys::parse(&named_as_ours).expect("a key set");
    assert!(matches!(refused(&ours, &imposter.mint(&claims()).expect("minted")), Error::BadSignature { .. }));

    let jwt = ours.mint(&Claims { exp: 1, ..claims() }).expect("minted");
    assert!(matches!(refused(&ours, &jwt), Error::Expired { exp: 1 }));
    let jwt = ours.mint(&claims()).expect("minted");
    let [leeway, over] = [4, 7].map(|late| NOW + HOUR + Micros::from_secs(late));
    assert!(ours.verify(&jwt, leeway).is_ok());
    assert!(matches!(ours.verify(&jwt, over), Err(Error::Expired { .. })));

    let huge = Claims { name: "x".repeat(MAX_TOKEN_BYTES), ..claims() };
    let error = ours.mint(&huge).expect_err("too long");
    assert!(matches!(error, Error::TooLong(_)), "{error}");
    for nonsense in ["", ".", "..", "...", "a.b.c", "a.b.c.d", &jwt[..20], &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        assert!(matches!(refused(&ours, nonsense), Error::Malformed(_)));
    }
}

/// A token with a valid signature is refused if it has an audience, has not begun, or has unknown critical
/// extensions.
#[test]
fn what_a_token_insists_on_is_heeded() {
    let signed = |header: &Value, payload: &Value| {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("a key");
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(payload.to_string()));
        format!("{text}.{}", BASE64.encode(pair.sign(text.as_bytes())))
    };
    let keys = keys(Algorithm::EdDSA, 1);
    let header = json!({ "alg": "EdDSA" });
    let payload = serde_json::to_value(claims()).expect("JSON");
    let with = |name: &str, value: Value| {
        let mut payload = payload.clone();
        payload[name] = value;
        payload
    };
    assert_eq!(keys.verify(&signed(&header, &payload), NOW).expect("as others sign it"), claims());
    assert!(keys.verify(&signed(&header, &with("iss", json!("a site"))), NOW).is_ok());
    for (header, payload, reason) in [
        (json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false }), payload.clone(), "crit"),
        (header.clone(), with("aud", json!("bank")), "audience"),
        (header.clone(), with("nbf", json!(NOW.0 / 1_000_000 + 60)), "begins at"),
        (header.clone(), with("role", json!("king")), "unknown variant `king`"),
        (header.clone(), with("role", json!("a\nb")), "payload"),
        (header.clone(), with("exp", json!(-1)), "payload"),
        (header.clone(), with("exp", Value::Null), "payload"),
        (header.clone(), with("anonymous", json!("yes")), "payload"),
        (json!({ "alg": "EdDSA", "crit": null }), payload.clone(), "crit"),
        (json!({ "alg": "EdDSA", "kid": null }), payload.clone(), "header"),
        (header.clone(), with("aud", Value::Null), "audience"),
        (header.clone(), with("aud", json!([])), "audience"),
        (header.clone(), with("nbf", Value::Null), "payload"),
        (header.clone(), with("sub", Value::Null), "payload"),
        (header.clone(), with("jti", Value::Null), "payload"),
        (header.clone(), with("edge", Value::Null), "payload"),
        (header.clone(), with("edge", json!("12x")), "is not an edge's number"),
        (header.clone(), json!([]), "payload"),
        (json!([]), payload.clone(), "header"),
    ] {
        let line = refused(&keys, &signed(&header, &payload)).to_string();
        assert!(line.contains(reason), "{line}");
    }
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let role = prop::sample::select(vec![Role::Creator, Role::Moderator, Role::Fan, Role::Edge]);
    let text = prop_oneof!["[a-z/*]{0,12}", any::<String>().prop_map(|text| text.chars().take(40).collect())];
    let sub = prop::option::of("\\PC{0,20}");
    (text.clone(), role, text, NOW.0 / 1_000_000..u64::MAX, sub, any::<(bool, bool)>()).prop_map(
        |(room, role, name, exp, sub, (anonymous, follower))| Claims {
            room,
            role,
            name,
            exp,
            sub,
            anonymous,
            follower,
            ..claims()
        },
    )
}

fn any_keys() -> impl Strategy<Value = Keys> {
    let algorithm = prop::sample::select(BOTH.to_vec());
    (algorithm, any::<[u8; 32]>()).prop_map(|(algorithm, seed)| Keys::from_seed(algorithm, seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_minted_is_what_is_read(keys in any_keys(), claims in any_claims()) {
        let jwt = keys.mint(&claims).expect("short enough");
        let public = Keys::parse(&keys.public_json()).expect("a key set");
        prop_assert_eq!(unnamed(public.verify(&jwt, NOW).expect("ours")), claims);
    }

    #[test]
    fn an_altered_token_is_none(keys in any_keys(), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9._=-]") {
        let jwt = keys.mint(&claims()).expect("minted");
        let at = at.index(jwt.len());
        let altered = format!("{}{to}{}", &jwt[..at], &jwt[at + 1..]);
        prop_assume!(altered != jwt);
        refused(&keys, &altered);
    }

    #[test]
    fn a_truncated_or_longer_token_is_none(keys in any_keys(), at in any::<prop::sample::Index>(), more in "[A-Za-z0-9._=-]{1,90}") {
        let jwt = keys.mint(&claims()).expect("minted");
        refused(&keys, &jwt[..at.index(jwt.len())]);
        refused(&keys, &format!("{jwt}{more}"));
        refused(&keys, &format!("{more}{jwt}"));
    }

    #[test]
    fn the_signature_of_one_token_is_not_anothers(keys in any_keys(), one in any_claims(), other in any_claims()) {
        prop_assume!(one != other);
        let [one, other] = [one, other].map(|claims| keys.mint(&claims).expect("minted"));
        let (text, _) = one.rsplit_once('.').expect("three parts");
        let (_, signature) = other.rsplit_once('.').expect("three parts");
        refused(&keys, &format!("{text}.{signature}"));
    }

    #[test]
    fn nothing_panics(jwt in "[\\PC.\n\0]{0,200}", parts in prop::array::uniform3(any::<Vec<u8>>()), set in "\\PC{0,200}") {
        let keys = keys(Algorithm::ES256, 3);
        refused(&keys, &jwt);
        refused(&keys, &parts.map(|part| BASE64.encode(part)).join("."));
        let header = json!({ "alg": "ES256", "kid": jwt });
        refused(&keys, &joined(&header, &jwt, jwt.as_bytes()));
        prop_assert!(Keys::parse(&set).is_err());
    }
}
