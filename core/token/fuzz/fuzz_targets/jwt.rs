//! A token is read or refused, whatever its key has signed, and one that is valid is minted again with the same claims.
//!
//! The input is the header and the claims, with a line break between; and, as it is, a token of nobody.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signer as _, SigningKey};
use libfuzzer_sys::fuzz_target;
use token::{Algorithm, Claims, Keys, fan_id, holder};
use wire::{EdgeId, Micros};

const SEED: [u8; 32] = [7; 32];
const NOW: Micros = Micros(1_700_000_000_000_000);

static KEYS: LazyLock<(Keys, SigningKey)> =
    LazyLock::new(|| (Keys::from_seed(Algorithm::EdDSA, SEED), SigningKey::from_bytes(&SEED)));

fuzz_target!(|text: &str| {
    let (keys, key) = &*KEYS;
    let _ = keys.examine(text, NOW);
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"EdDSA"}"#, text));
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let jwt = format!("{signed}.{}", BASE64.encode(key.sign(signed.as_bytes()).to_bytes()));
    let Ok(token) = keys.examine(&jwt, NOW) else { return };
    let claims = &token.claims;
    assert_eq!(holder(&token, "show").identity().id, fan_id(claims));
    let _ = claims.check("show/below", NOW);
    let _ = claims.check_number(EdgeId(1), &claims.room, NOW);
    let _ = keys.renew(&token, NOW);
    // A claim that is written with escapes may be longer than it was.
    if let Ok(minted) = keys.mint(claims) {
        let again = keys.verify(&minted, NOW).expect("our own token");
        let jti = claims.jti.clone().or_else(|| again.jti.clone());
        assert_eq!(again, Claims { jti, ..claims.clone() });
    }
});
