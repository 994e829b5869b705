//! Identities of anonymous and named fans.

use token::{ANONYMOUS_LIFE, Claims, Error, RENEWED_BEFORE, Role, fan_id, holder};
use wire::{FanId, Micros};

use crate::{BOTH, HOUR, NOW, claims, keys};

#[test]
fn a_stranger_stays_the_same_one_over_renewals() -> Result<(), Error> {
    let keys = keys(BOTH[0], 1);
    let first = keys.verify(&keys.mint_anonymous([7; 16], NOW)?, NOW)?;
    assert_eq!((first.room.as_str(), first.role, first.name.as_str()), ("*", Role::Fan, ""));
    assert!(first.anonymous);
    assert_eq!(keys.renew(&first, NOW)?, None, "a new one");

    let later = NOW + ANONYMOUS_LIFE - RENEWED_BEFORE + HOUR;
    let renewed = keys.renew(&first, later)?.expect("it ends soon");
    let renewed = keys.verify(&renewed, later)?;
    let (exp, iat, jti) = (first.exp, first.iat, first.jti.clone());
    assert_ne!(renewed.jti, jti, "one can be revoked without the other");
    assert_eq!(Claims { exp, iat, jti, ..renewed.clone() }, first);
    assert!(keys.verify(&keys.mint(&renewed)?, NOW + ANONYMOUS_LIFE + HOUR).is_ok());
    assert_eq!(holder(&first, "demo"), holder(&renewed, "other"));

    let other = keys.verify(&keys.mint_anonymous([8; 16], NOW)?, NOW)?;
    assert_ne!(fan_id(&first), fan_id(&other));
    assert_eq!(keys.renew(&claims(), NOW)?, None, "whoever minted that can mint another");
    Ok(())
}

#[test]
fn a_strangers_token_opens_no_room() {
    let stranger = Claims { anonymous: true, room: "*".into(), role: Role::Creator, ..claims() };
    assert!(matches!(stranger.check("demo", NOW), Err(Error::Anonymous { .. })));
    assert!(matches!(stranger.check_edge("demo", NOW), Err(Error::Anonymous { .. })));
    assert_eq!(holder(&stranger, "demo").identity().role, wire::Role::Fan);
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
        assert_eq!(holder(&claims, "demo/cam").identity().role, role);
        assert!(holder(&claims, "demo").identity().follower);
        assert_eq!(holder(&claims, "other").identity().role, wire::Role::Fan);
        assert!(!holder(&claims, "other").identity().follower);
    }
    let long = Claims { name: "é".repeat(200), ..claims() };
    assert_eq!(holder(&long, "demo").identity().name, "é".repeat(64));
}

#[test]
fn what_a_token_of_before_does_not_say_is_not_so() {
    let old: Claims = serde_json::from_str(r#"{"room":"demo","role":"creator","name":"ada","exp":7}"#)
        .expect("what was minted before there was more to say");
    assert_eq!(old, Claims::until("demo", Role::Creator, "ada", Micros::from_secs(7)));
    let json = serde_json::to_string(&old).expect("written");
    assert_eq!(json, r#"{"room":"demo","role":"creator","name":"ada","exp":7}"#);
}
