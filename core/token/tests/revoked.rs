//! Revoked tokens are refused, alone or with all of their holder, key or edge.

use token::{Algorithm, Claims, Error, Keys, Revocation, Revocations, Role, Scope};
use wire::EdgeId;

use crate::{HOUR, NOW, claims, keys};

fn with(keys: &Keys, entry: Revocation) -> Keys {
    Keys::parse(&keys.private_json()).expect("a key set").without(Revocations { revoked: vec![entry] })
}

fn is_revoked(keys: &Keys, jwt: &str) -> bool {
    match keys.verify(jwt, NOW) {
        Ok(_) => false,
        Err(Error::Revoked { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn one_token_is_revoked_by_its_jti() {
    let keys = keys(Algorithm::EdDSA, 1);
    let (leaked, other) = (keys.mint(&claims()), keys.mint(&Claims { name: "bob".into(), ..claims() }));
    let (leaked, other) = (leaked.expect("minted"), other.expect("minted"));
    let jti = keys.verify(&leaked, NOW).expect("ours").jti;
    let after = with(&keys, Revocation { jti, ..Revocation::default() });
    assert!(is_revoked(&after, &leaked));
    assert!(!is_revoked(&after, &other));
    let line = after.verify(&leaked, NOW).expect_err("revoked").to_string();
    assert!(line.starts_with("the token was revoked (jti ") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_holders_tokens_are_revoked_up_to_a_time() {
    let keys = keys(Algorithm::EdDSA, 1);
    let at = |iat| Claims { iat: Some(iat), ..claims() };
    let (early, late, undated) = (keys.mint(&at(100)), keys.mint(&at(200)), keys.mint(&claims()));
    let entry = Revocation { subject: Some("ada".into()), before: Some(200), ..Revocation::default() };
    let after = with(&keys, entry.clone());
    assert!(is_revoked(&after, &early.expect("minted")));
    assert!(!is_revoked(&after, &late.expect("minted")), "a new one for the same holder");
    assert!(is_revoked(&after, &undated.expect("minted")), "minted before tokens had a time");
    let other = keys.mint(&Claims { name: "bob".into(), iat: Some(100), ..claims() }).expect("minted");
    assert!(!is_revoked(&after, &other));
    // With a `sub`, the name is what somebody is called and not who they are.
    let account = keys.mint(&Claims { sub: Some("17".into()), ..at(100) }).expect("minted");
    assert!(!is_revoked(&after, &account));
    assert!(is_revoked(&with(&keys, Revocation { subject: Some("17".into()), ..entry }), &account));
}

#[test]
fn a_key_is_revoked_with_all_that_it_signed() {
    let (one, other) = (keys(Algorithm::EdDSA, 1), keys(Algorithm::EdDSA, 2));
    let kid = Some(one.list()[0].kid.clone());
    let both = with(&one.clone().and(&other), Revocation { kid, ..Revocation::default() });
    assert!(is_revoked(&both, &one.mint(&claims()).expect("minted")));
    assert!(!is_revoked(&both, &other.mint(&claims()).expect("minted")));
}

#[test]
fn an_edge_is_revoked_with_both_of_its_keys() {
    let edge = EdgeId(0xc0);
    let own = Keys::scoped(Algorithm::EdDSA, [1; 32], Scope::edge(edge));
    let strangers = Keys::scoped(Algorithm::EdDSA, [2; 32], Scope::strangers(edge));
    let other = Keys::scoped(Algorithm::EdDSA, [3; 32], Scope::strangers(EdgeId(7)));
    let old = keys(Algorithm::EdDSA, 4);
    let entry: Revocation = serde_json::from_str(r#"{ "edge": "00000000000000c0" }"#).expect("an entry");
    let all = with(&own.clone().and(&strangers).and(&other).and(&old), entry);
    assert!(is_revoked(&all, &own.mint(&Claims::for_edge(edge, NOW, NOW + HOUR)).expect("minted")));
    assert!(is_revoked(&all, &strangers.mint_anonymous([1; 16], NOW).expect("minted")));
    assert!(!is_revoked(&all, &other.mint_anonymous([1; 16], NOW).expect("minted")));
    // An edge of an earlier version, whose token a house key signed.
    let named = Claims::until("*", Role::Edge, "192", NOW + HOUR);
    assert!(is_revoked(&all, &old.mint(&named).expect("minted")));
}

/// The token that opened a session is looked at again while the session goes on.
#[test]
fn a_token_that_was_valid_does_not_stand_once_it_is_revoked_expired_or_without_its_key() {
    let keys = keys(Algorithm::EdDSA, 1);
    let token = keys.examine(&keys.mint(&claims()).expect("minted"), NOW).expect("ours");
    let generation = keys.generation();
    assert!(keys.stands(&token, NOW).is_ok());
    assert!(matches!(keys.stands(&token, NOW + HOUR + HOUR), Err(Error::Expired { .. })));
    let entry = Revocation { jti: token.claims.jti.clone(), ..Revocation::default() };
    keys.replace(&with(&keys, entry));
    assert!(keys.generation() > generation, "sessions see that they have to look");
    assert!(matches!(keys.stands(&token, NOW), Err(Error::Revoked { .. })));
    keys.replace(&crate::keys(Algorithm::EdDSA, 2));
    assert!(matches!(keys.stands(&token, NOW), Err(Error::UnknownKey { .. })));
}

#[test]
fn a_list_that_cannot_be_used_says_why() {
    for (text, reason) in [
        ("nonsense", "it is no list of revocations"),
        (r#"{ "revoked": [{}] }"#, "entry 1 has neither jti, subject, kid nor edge"),
        (r#"{ "revoked": [{ "before": 7 }] }"#, "entry 1 has neither"),
        (r#"{ "revoked": [{ "jti": null }] }"#, "it is no list"),
        (r#"{ "revoked": [{ "jtl": "x" }] }"#, "unknown field `jtl`"),
    ] {
        let refused = Revocations::parse(text).expect_err(reason);
        assert!(refused.contains(reason), "{refused}");
    }
    let list = Revocations { revoked: vec![Revocation { jti: Some("x".into()), ..Revocation::default() }] };
    assert_eq!(Revocations::parse(&list.json()), Ok(list));
}
