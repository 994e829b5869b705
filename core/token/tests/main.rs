//! Tests of tokens: rights, identities, key files, forgeries and published vectors.
#![allow(missing_docs)]

mod files;
mod forged;
mod stranger;
mod vectors;

use token::{Algorithm, Claims, Keys, Role};
use wire::Micros;

pub const NOW: Micros = Micros::from_secs(1_800_000_000);
pub const HOUR: Micros = Micros::from_secs(3600);
pub const BOTH: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];

pub fn keys(algorithm: Algorithm, seed: u8) -> Keys {
    Keys::from_seed(algorithm, [seed; 32])
}

pub fn claims() -> Claims {
    Claims::until("demo", Role::Creator, "ada", NOW + HOUR)
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
