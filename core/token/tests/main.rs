//! Tests of tokens: rights, identities, key files, forgeries and published vectors.
#![allow(missing_docs)]

mod files;
mod folder;
mod forged;
mod name;
mod revoked;
mod scope;
mod stranger;
mod vectors;

use token::{Algorithm, Claims, Keys, Role};
use wire::{EdgeId, Micros};

pub const NOW: Micros = Micros::from_secs(1_800_000_000);
pub const HOUR: Micros = Micros::from_secs(3600);
pub const BOTH: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];

pub fn keys(algorithm: Algorithm, seed: u8) -> Keys {
    Keys::from_seed(algorithm, [seed; 32])
}

pub fn claims() -> Claims {
    Claims::until("demo", Role::Creator, "ada", NOW + HOUR)
}

/// Returns the claims as they were before minting, which adds a `jti`.
pub fn unnamed(claims: Claims) -> Claims {
    assert!(claims.jti.is_some(), "every token has an identity");
    Claims { jti: None, ..claims }
}

#[test]
fn a_room_covers_itself_and_what_is_below() {
    for room in ["demo", "demo/cam", "demo/cam/2"] {
        assert!(claims().check(room, NOW).is_ok(), "{room}");
    }
    for room in ["", "dem", "demos", "other/demo"] {
        assert!(matches!(claims().check(room, NOW), Err(token::Error::WrongRoom { .. })), "{room}");
    }
    assert!(Claims { room: token::EVERY_ROOM.into(), ..claims() }.covers("any"));
}

#[test]
fn an_operators_token_is_for_archives_and_opens_no_room() {
    let operator = |room: &str| Claims { role: Role::Operator, room: room.into(), ..claims() };
    for (room, below) in [("*", "*"), ("*", "demo"), ("demo", "demo"), ("demo", "demo/cam")] {
        assert!(operator(room).check_operator(below, NOW).is_ok(), "{room} of {below}");
        let refused = operator(room).check(below, NOW);
        assert!(matches!(refused, Err(token::Error::Operator { .. })), "{refused:?}");
        assert!(!operator(room).covers(below));
        assert_eq!(token::role_in(&operator(room), below), wire::Role::Fan);
    }
    for (room, other) in [("demo", "*"), ("demo", "demos"), ("demo/cam", "demo")] {
        let refused = operator(room).check_operator(other, NOW);
        assert!(matches!(refused, Err(token::Error::WrongRoom { .. })), "{refused:?}");
    }
    for role in [Role::Creator, Role::Moderator, Role::Fan, Role::Edge] {
        let refused = Claims { role, ..operator("*") }.check_operator("*", NOW).expect_err("no operator");
        assert!(refused.to_string().contains("--role operator --room '*'"), "{refused}");
    }
    let anonymous = Claims { anonymous: true, ..operator("*") };
    assert!(anonymous.check_operator("*", NOW).is_err());
    let late = NOW + HOUR + HOUR;
    assert!(matches!(operator("*").check_operator("*", late), Err(token::Error::Expired { .. })));
}

/// An edge may link under its own number only, which edges of earlier versions have as the name in their token.
#[test]
fn an_edges_token_is_for_its_own_number() {
    let (edge, other) = (EdgeId(0xc0), EdgeId(7));
    let now = Claims::for_edge(edge, NOW, NOW + HOUR);
    assert_eq!(serde_json::to_value(&now).expect("written")["edge"], "00000000000000c0");
    let before = Claims::until("*", Role::Edge, "192", NOW + HOUR);
    for claims in [&now, &before] {
        assert!(claims.check_number(edge, "demo", NOW).is_ok());
        let refused = claims.check_number(other, "demo", NOW).expect_err("another's").to_string();
        assert_eq!(refused, "the token is that of edge 00000000000000c0, not of edge 0000000000000007");
    }
    // Otherwise each client of an edge could link as the edge that carries it.
    let behalf = Claims { behalf: true, ..now.clone() };
    assert!(matches!(behalf.check_number(edge, "demo", NOW), Err(token::Error::OnBehalf)));
    let without = Claims::until("*", Role::Edge, "cloudflare", NOW + HOUR);
    assert!(without.check_number(edge, "demo", NOW).is_err());
    let fan = Claims { role: Role::Fan, ..now };
    assert!(matches!(fan.check_number(edge, "demo", NOW), Err(token::Error::NotAnEdge { .. })));
}

#[test]
fn only_an_edges_token_links_an_edge() {
    for role in [Role::Creator, Role::Moderator, Role::Fan] {
        let refused = Claims { role, ..claims() }.check_edge("demo", NOW).expect_err("not an edge");
        assert!(refused.to_string().starts_with(&format!("role {role} may not link an edge")), "{refused}");
    }
    let edge = Claims { role: Role::Edge, ..claims() };
    assert!(edge.check_edge("demo", NOW).is_ok());
    assert!(edge.check_edge("other", NOW).is_err());
    assert!(edge.check_edge("demo", NOW + HOUR + HOUR).is_err());
    assert_eq!(serde_json::to_value(edge.role).expect("written"), "edge");
}
