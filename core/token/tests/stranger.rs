//! Identities of anonymous and named fans.

use token::{
    ANONYMOUS_LIFE, Algorithm, Claims, Error, Keys, RENEWED_BEFORE, Role, Scope, Verified, fan_id, holder,
};
use wire::{EdgeId, FanId, Micros};

use crate::{BOTH, HOUR, NOW, claims, keys};

/// A token that a key without a scope has signed.
fn signed(claims: &Claims) -> Verified {
    Verified { claims: claims.clone(), kid: String::new(), scope: None }
}

#[test]
fn a_stranger_stays_the_same_one_over_renewals() -> Result<(), Error> {
    let of_edge = |edge| Keys::scoped(Algorithm::EdDSA, [9; 32], Scope::strangers(EdgeId(edge)));
    for keys in [keys(BOTH[0], 1), of_edge(0xc0)] {
        let first = keys.examine(&keys.mint_anonymous([7; 16], NOW)?, NOW)?;
        let claims = &first.claims;
        assert_eq!((claims.room.as_str(), claims.role, claims.name.as_str()), ("*", Role::Fan, ""));
        assert!(claims.anonymous);
        assert_eq!(keys.renew(&first, NOW)?, None, "a new one");

        let later = NOW + ANONYMOUS_LIFE - RENEWED_BEFORE + HOUR;
        let renewed = keys.renew(&first, later)?.expect("it ends soon");
        let renewed = keys.examine(&renewed, later)?;
        let (exp, iat, jti) = (claims.exp, claims.iat, claims.jti.clone());
        assert_ne!(renewed.claims.jti, jti, "one can be revoked without the other");
        assert_eq!(Claims { exp, iat, jti, ..renewed.claims.clone() }, *claims);
        assert!(keys.verify(&keys.mint(&renewed.claims)?, NOW + ANONYMOUS_LIFE + HOUR).is_ok());
        assert_eq!(holder(&first, "demo"), holder(&renewed, "other"));

        let other = keys.examine(&keys.mint_anonymous([8; 16], NOW)?, NOW)?;
        assert_ne!(first.fan_id(), other.fan_id());
        assert_eq!(keys.renew(&signed(&self::claims()), NOW)?, None, "whoever minted that can mint another");
    }
    Ok(())
}

/// A key for strangers gives no way to the identity of anybody else, whatever `sub` its holder writes.
#[test]
fn an_edges_strangers_are_nobody_else() -> Result<(), Error> {
    let of_edge = |edge| Keys::scoped(Algorithm::EdDSA, [9; 32], Scope::strangers(EdgeId(edge)));
    let forged = Claims { sub: Some("17".into()), anonymous: true, role: Role::Fan, ..claims() };
    let id = |keys: &Keys, claims: &Claims| Ok::<_, Error>(keys.examine(&keys.mint(claims)?, NOW)?.fan_id());
    let (one, other) = (id(&of_edge(1), &forged)?, id(&of_edge(2), &forged)?);
    let house = keys(BOTH[0], 1);
    let named = id(&house, &Claims { anonymous: false, ..forged.clone() })?;
    let old_stranger = id(&house, &forged)?;
    assert_eq!(named, old_stranger, "one who holds a house key can sign for each of them anyway");
    assert!(one != other && one != named && other != named);

    // Signed with this edge's key, another edge's stranger would become another.
    let roaming = of_edge(1).examine(&of_edge(1).mint_anonymous([7; 16], NOW)?, NOW)?;
    let late = NOW + ANONYMOUS_LIFE - HOUR;
    assert!(of_edge(1).renew(&roaming, late)?.is_some());
    assert_eq!(of_edge(2).renew(&roaming, late)?, None);
    assert_eq!(house.renew(&roaming, late)?, None);
    Ok(())
}

#[test]
fn a_strangers_token_opens_no_room() {
    let stranger = Claims { anonymous: true, room: "*".into(), role: Role::Creator, ..claims() };
    assert!(matches!(stranger.check("demo", NOW), Err(Error::Anonymous { .. })));
    assert!(matches!(stranger.check_edge("demo", NOW), Err(Error::Anonymous { .. })));
    assert_eq!(holder(&signed(&stranger), "demo").identity().role, wire::Role::Fan);
}

#[test]
fn a_fan_is_their_sub_whatever_they_are_called() {
    let with = |sub: Option<&str>, role, name: &str| Claims {
        sub: sub.map(Into::into),
        role,
        name: name.into(),
        ..claims()
    };
    let ada = with(Some("17"), Role::Fan, "ada");
    assert_eq!(fan_id(&ada), fan_id(&with(Some("17"), Role::Moderator, "Ada L.")));
    assert_eq!(fan_id(&ada), fan_id(&Claims { exp: 9, room: "*".into(), ..ada.clone() }));
    let mut all = vec![
        fan_id(&ada),
        fan_id(&with(Some("18"), Role::Fan, "ada")),
        fan_id(&with(None, Role::Fan, "ada")),
        fan_id(&with(None, Role::Creator, "ada")),
        fan_id(&with(None, Role::Fan, "17")),
        fan_id(&with(Some("fan\0ada"), Role::Fan, "ada")),
        fan_id(&with(Some(""), Role::Fan, "ada")),
    ];
    let many = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), many);
    assert!(!all.contains(&FanId(0)));
}

/// Identities must never change: bans, votes and history would be lost.
#[test]
fn who_somebody_is_never_changes() {
    assert_eq!(fan_id(&Claims { sub: Some("17".into()), ..claims() }).to_string(), SUB_17);
    assert_eq!(fan_id(&claims()).to_string(), CREATOR_ADA);
}
const SUB_17: &str = "4914a057c58bd52a";
const CREATOR_ADA: &str = "b2e9633c40fc197c";

#[test]
fn a_role_is_worth_something_in_its_own_room_only() {
    for (has, role) in [
        (Role::Creator, wire::Role::Creator),
        (Role::Moderator, wire::Role::Moderator),
        (Role::Fan, wire::Role::Fan),
        (Role::Edge, wire::Role::Fan),
    ] {
        let claims = Claims { role: has, follower: true, ..claims() };
        assert_eq!(holder(&signed(&claims), "demo/cam").identity().role, role);
        assert!(holder(&signed(&claims), "demo").identity().follower);
        assert_eq!(holder(&signed(&claims), "other").identity().role, wire::Role::Fan);
        assert!(!holder(&signed(&claims), "other").identity().follower);
    }
    let long = Claims { name: "é".repeat(200), ..claims() };
    assert_eq!(holder(&signed(&long), "demo").identity().name, "é".repeat(64));
}

#[test]
fn what_a_token_of_before_does_not_say_is_not_so() {
    let old: Claims = serde_json::from_str(r#"{"room":"demo","role":"creator","name":"ada","exp":7}"#)
        .expect("what was minted before there was more to say");
    assert_eq!(old, Claims::until("demo", Role::Creator, "ada", Micros::from_secs(7)));
    let json = serde_json::to_string(&old).expect("written");
    assert_eq!(json, r#"{"room":"demo","role":"creator","name":"ada","exp":7}"#);
}
