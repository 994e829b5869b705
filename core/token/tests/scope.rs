//! Keys with a scope sign nothing beyond it, and nothing beyond it is believed.

use serde_json::{Value, json};
use token::{Algorithm, Claims, EVERY_ROOM, Error, Keys, Kind, Role, Scope};
use wire::EdgeId;

use crate::{HOUR, NOW, claims, keys};

const EDGE: EdgeId = EdgeId(0xc0);

fn scoped(scope: Scope) -> Keys {
    Keys::scoped(Algorithm::EdDSA, [9; 32], scope)
}

/// Signs with the same private key, as a holder does who has taken the scope out.
fn without_scope(keys: &Keys) -> Keys {
    let mut set: Value = serde_json::from_str(&keys.private_json()).expect("JSON");
    set["keys"][0].as_object_mut().expect("a key").remove("fanfare");
    Keys::parse(&set.to_string()).expect("a key set")
}

/// Checks that a key neither mints nor verifies a token with these claims.
fn beyond(keys: &Keys, claims: &Claims, reason: &str) {
    let minted = keys.mint(claims).expect_err(reason);
    assert!(matches!(&minted, Error::BeyondScope { .. }) && minted.to_string().contains(reason), "{minted}");
    let forged = without_scope(keys).mint(claims).expect("the holder signs what they like");
    let public = Keys::parse(&keys.public_json()).expect("a key set");
    let refused = public.verify(&forged, NOW).expect_err(reason);
    assert!(matches!(refused, Error::BeyondScope { .. }), "{refused}");
}

fn within(keys: &Keys, claims: &Claims) {
    let jwt = keys.mint(claims).expect("within the scope");
    let public = Keys::parse(&keys.public_json()).expect("a key set");
    assert!(public.verify(&jwt, NOW).is_ok());
}

#[test]
fn an_edges_key_signs_for_that_edge_and_for_nobody_else() {
    let keys = scoped(Scope::edge(EDGE));
    within(&keys, &Claims::for_edge(EDGE, NOW, NOW + HOUR));
    beyond(&keys, &Claims::for_edge(EdgeId(7), NOW, NOW + HOUR), "edge 0000000000000007");
    beyond(&keys, &Claims::until(EVERY_ROOM, Role::Edge, "any", NOW + HOUR), "of no edge");
    for role in [Role::Creator, Role::Moderator, Role::Fan] {
        beyond(&keys, &Claims { role, ..claims() }, &format!("tokens of kind {role}"));
    }
    let stranger = Claims { anonymous: true, role: Role::Fan, ..claims() };
    beyond(&keys, &stranger, "tokens of kind anonymous");
    assert!(keys.mint_anonymous([1; 16], NOW).is_err());
}

#[test]
fn a_key_for_strangers_signs_for_nobody_with_a_name() {
    let keys = scoped(Scope::strangers(EDGE));
    let jwt = keys.mint_anonymous([1; 16], NOW).expect("within the scope");
    let token = keys.examine(&jwt, NOW).expect("ours");
    assert!(keys.renew(&token, NOW + HOUR).is_ok());
    // The role of an anonymous token is worth nothing, so that it is no way out.
    within(&keys, &Claims { anonymous: true, role: Role::Creator, ..claims() });
    for role in [Role::Creator, Role::Moderator, Role::Fan, Role::Edge] {
        beyond(&keys, &Claims { role, ..claims() }, &format!("tokens of kind {role}"));
    }
}

#[test]
fn a_key_for_some_rooms_or_for_a_time_signs_for_no_more() {
    let rooms = scoped(Scope { rooms: Some(vec!["demo".into(), "club".into()]), ..Scope::default() });
    for room in ["demo", "demo/cam", "club"] {
        within(&rooms, &Claims { room: room.into(), ..claims() });
    }
    for room in ["demos", "other", EVERY_ROOM, ""] {
        beyond(&rooms, &Claims { room: room.into(), ..claims() }, "tokens for room");
    }
    let everywhere = scoped(Scope { rooms: Some(vec![EVERY_ROOM.into()]), ..Scope::default() });
    within(&everywhere, &Claims { room: EVERY_ROOM.into(), ..claims() });

    let until = claims().exp - 1;
    let brief = scoped(Scope { until: Some(until), ..Scope::default() });
    within(&brief, &Claims { exp: until, ..claims() });
    beyond(&brief, &claims(), "tokens that end after");
}

#[test]
fn a_set_mints_with_the_key_that_may() {
    let (edge, strangers) = (scoped(Scope::edge(EDGE)), Scope::strangers(EDGE));
    let strangers = Keys::scoped(Algorithm::EdDSA, [8; 32], strangers);
    let both = edge.and(&strangers);
    within(&both, &Claims::for_edge(EDGE, NOW, NOW + HOUR));
    assert!(both.mint_anonymous([1; 16], NOW).is_ok());
    assert!(matches!(both.mint(&claims()), Err(Error::BeyondScope { .. })));
    let house = Keys::parse(&keys(Algorithm::EdDSA, 1).public_json()).expect("a key set");
    assert!(both.and(&house).mint(&claims()).is_err(), "the public half of the house's key signs nothing");
}

#[test]
fn a_set_of_before_signs_and_verifies_everything() {
    let set = json!({ "keys": [serde_json::from_str::<Value>(&keys(Algorithm::EdDSA, 1).private_json())
        .expect("JSON")["keys"][0]] });
    assert!(set["keys"][0].get("fanfare").is_none(), "no member: as before");
    let old = Keys::parse(&set.to_string()).expect("a key set");
    for role in [Role::Creator, Role::Moderator, Role::Fan, Role::Edge] {
        within(&old, &Claims { role, ..claims() });
    }
    assert_eq!(old.examine(&old.mint(&claims()).expect("minted"), NOW).expect("ours").scope, None);
}

/// A scope that cannot be read is not the absence of one.
#[test]
fn a_scope_that_is_not_understood_makes_the_key_unusable() {
    for (scope, reason) in [
        (Value::Null, "is no scope"),
        (json!("edge"), "is no scope"),
        (json!({ "roles": ["king"] }), "unknown variant `king`"),
        (json!({ "roles": null }), "is no scope"),
        (json!({ "role": ["edge"] }), "unknown field `role`"),
        (json!({ "edge": 192 }), "is no scope"),
        (json!({ "edge": "nowhere" }), "is not an edge's number"),
        (json!({ "until": "tomorrow" }), "is no scope"),
    ] {
        let mut set: Value = serde_json::from_str(&keys(Algorithm::EdDSA, 1).private_json()).expect("JSON");
        set["keys"][0]["fanfare"] = scope;
        let refused = Keys::parse(&set.to_string()).expect_err(reason).to_string();
        assert!(refused.contains(reason) && refused.lines().count() == 1, "{refused}");
    }
}

/// An origin's word adds other edges' keys, and never one that could sign for somebody with a name.
#[test]
fn only_keys_of_edges_are_adopted() {
    let node = keys(Algorithm::EdDSA, 1);
    let strangers = Keys::scoped(Algorithm::EdDSA, [8; 32], Scope::strangers(EDGE));
    let intruder = keys(Algorithm::EdDSA, 3);
    let loose = Keys::scoped(
        Algorithm::EdDSA,
        [4; 32],
        Scope { roles: Some(vec![Kind::Anonymous, Kind::Creator]), ..Scope::strangers(EDGE) },
    );
    let all = strangers.clone().and(&intruder).and(&loose);
    node.adopt(&all.public_json(), token::Revocations::default()).expect("a key set");
    let stranger = strangers.mint_anonymous([1; 16], NOW).expect("minted");
    assert!(node.verify(&stranger, NOW).expect("known everywhere").anonymous);
    for other in [&intruder, &loose] {
        let jwt = other.mint(&claims()).expect("minted");
        assert!(matches!(node.verify(&jwt, NOW), Err(Error::UnknownKey { .. })));
    }
    assert!(node.verify(&node.mint(&claims()).expect("minted"), NOW).is_ok());
    let edges: Value = serde_json::from_str(&all.edges_json()).expect("JSON");
    assert_eq!(edges["keys"].as_array().map(Vec::len), Some(1), "no more is told to edges");
    assert!(!all.edges_json().contains("\"d\""));
}

#[test]
fn a_key_may_be_for_operators_of_some_rooms_alone() {
    let scope =
        Scope { roles: Some(vec![Kind::Operator]), rooms: Some(vec!["demo".to_owned()]), ..Scope::default() };
    let written = serde_json::to_value(&scope).expect("JSON");
    assert_eq!(written["roles"], json!(["operator"]));
    let keys = scoped(scope);
    let operator = Claims { role: Role::Operator, ..claims() };
    within(&keys, &operator);
    beyond(&keys, &Claims { room: EVERY_ROOM.into(), ..operator.clone() }, "room \"*\"");
    beyond(&keys, &Claims { role: Role::Creator, ..operator }, "tokens of kind creator");
    // Nor does a key of a room's creators sign for operators.
    let creators = scoped(Scope { roles: Some(vec![Kind::Creator]), ..Scope::default() });
    beyond(&creators, &Claims { role: Role::Operator, ..claims() }, "tokens of kind operator");
}
