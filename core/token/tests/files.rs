//! Key sets as files: read, written, and refused with a reason.

use std::{fs, time::Duration};

use aws_lc_rs::{
    encoding::{AsBigEndian as _, Curve25519SeedBin, EcPrivateKeyBin},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use token::{Claims, Error, Keys, Role, now};

use crate::{BOTH, NOW, claims, keys, unnamed};

#[test]
fn minted_with_the_private_file_verified_with_the_public_one() -> Result<(), Error> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for algorithm in BOTH {
        let (private, public) = (dir.path().join("private"), dir.path().join("public"));
        let keys = Keys::generate(algorithm)?;
        keys.save_private(&private)?;
        keys.save_public(&public)?;
        assert!(!fs::read_to_string(&public).expect("readable").contains("\"d\""));
        let claims = Claims::new("demo", Role::Creator, "ada", Duration::from_hours(1));
        let jwt = Keys::load(&private)?.mint(&claims)?;
        let verifier = Keys::load(&public)?;
        assert_eq!(unnamed(verifier.verify(&jwt, now())?), claims);
        assert!(matches!(verifier.mint(&claims), Err(Error::NoSigningKey)));
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn private_keys_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("keys.json");
    keys(BOTH[0], 1).save_private(&path).expect("written");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);

    let below = dir.path().join("new").join("keys.json");
    keys(BOTH[0], 1).save_private(&below).expect("written");
    assert_eq!(mode(below.parent().expect("a folder")), 0o700, "a folder that was missing");
    assert_eq!(token::exposed(&path), None);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
    let warning = token::exposed(&path).expect("others can read it");
    assert!(warning.contains("mode 640") && warning.contains("chmod 600"), "{warning}");
}

/// A file or a link that somebody else has put where the content is written first neither receives it nor gives the
/// result its mode.
#[cfg(unix)]
#[test]
fn a_secret_is_written_under_a_name_that_nobody_can_prepare() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("keys.json");
    let (elsewhere, partial) = (dir.path().join("elsewhere"), dir.path().join("keys.partial"));
    fs::write(&elsewhere, "").expect("written");
    symlink(&elsewhere, &partial).expect("linked");
    token::write_secret(&path, b"secret").expect("written");
    assert_eq!(fs::read(&elsewhere).expect("there"), b"", "the link is not followed");
    fs::remove_file(&partial).expect("removed");
    fs::write(&partial, "").expect("written");
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o644)).expect("changed");
    token::write_secret(&path, b"secret").expect("written");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(dir.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left behind: {names:?}");
}

#[test]
fn keys_of_another_library_sign_and_verify_here() {
    for (at, set) in [ed25519_of_aws(), p256_of_aws()].into_iter().enumerate() {
        let keys = Keys::parse(&json!({ "keys": [set] }).to_string()).expect("a key set");
        let jwt = keys.mint(&claims()).expect("a signing key");
        assert_eq!(unnamed(keys.verify(&jwt, NOW).expect("ours")), claims());
        let written: Value = serde_json::from_str(&keys.private_json()).expect("JSON");
        assert_eq!(written["keys"][0], set, "{at}");
    }
}

fn ed25519_of_aws() -> Value {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let seed: Curve25519SeedBin<'_> = pair.seed().and_then(|seed| seed.as_be_bytes()).expect("its seed");
    let (x, d) = (BASE64.encode(pair.public_key()), BASE64.encode(seed.as_ref()));
    json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": x, "d": d })
}

fn p256_of_aws() -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().expect("its number");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y, d) = (BASE64.encode(x), BASE64.encode(y), BASE64.encode(d.as_ref()));
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "two", "x": x, "y": y, "d": d })
}

#[test]
fn a_key_set_that_cannot_be_used_says_why() {
    let mut mixed = ed25519_of_aws();
    mixed["x"] = ed25519_of_aws()["x"].clone();
    let mut short = p256_of_aws();
    short["y"] = "AAAA".into();
    let mut off = p256_of_aws();
    off["y"] = BASE64.encode([1; 32]).into();
    let many = vec![ed25519_of_aws(); token::MAX_KEYS + 1];
    for (text, reason) in [
        ("nonsense".to_owned(), "it is not a JWK Set"),
        (json!({ "keys": [] }).to_string(), "it holds no EdDSA or ES256 key"),
        (json!({ "keys": [{ "kty": "RSA", "n": "x", "e": "y" }] }).to_string(), "it holds no EdDSA"),
        (json!({ "keys": [mixed] }).to_string(), "key \"one\": its private part d is not that"),
        (json!({ "keys": [short] }).to_string(), "key \"two\": y has 3 bytes instead of 32"),
        (json!({ "keys": [off] }).to_string(), "key \"two\": it is no point of its curve"),
        (json!({ "keys": many }).to_string(), "it holds more than 64 keys"),
    ] {
        let refused = Keys::parse(&text).expect_err(reason).to_string();
        assert!(refused.contains(reason), "{refused}");
        assert_eq!(refused.lines().count(), 1);
    }
}
