//! A session ends with the token that it was opened with.

use std::rc::Rc;

use relay::Credentials;
use testnet::Seeds;
use token::{Algorithm, Claims, Keys, Revocation, Revocations, Role};

use crate::{
    creator::Announce,
    subscriber::{Manner, Report},
    topology::{Rules, World, seconds},
};

/// A relay whose clients all present a token of that role, and a fan who watches there.
fn watched(seed: u64, keys: &Keys, role: Role, end: u64) -> (World, Rc<Report>) {
    let mut world = World::at_random(seed, 1);
    let claims = Claims::until("show", role, "7", wire::Micros::from_secs(end));
    let query = Some(format!("jwt={}", keys.mint(&claims).expect("minted")));
    let credentials = Credentials::new(query, Vec::new());
    let edge = world.relay_with(None, Rules { guard: None, keys: Some(keys.clone()), credentials });
    world.creator(edge, Announce::Namespace);
    let report = world.subscriber(edge, Manner::Names, &[0]);
    world.run(seconds(10));
    assert_eq!(report.sessions.get(), 1);
    (world, report)
}

#[test]
fn a_session_ends_when_its_token_is_revoked() {
    Seeds::new(10).run(|seed| {
        let keys = Keys::from_seed(Algorithm::EdDSA, [1; 32]);
        let (world, report) = watched(seed, &keys, Role::Fan, 3600);
        let entry = Revocation { subject: Some("7".into()), ..Revocation::default() };
        let revoked = Revocations { revoked: vec![entry] };
        keys.replace(&Keys::from_seed(Algorithm::EdDSA, [1; 32]).without(revoked));
        world.run(seconds(20));
        assert_eq!(report.sessions.get(), 2, "it ends once: the next one has no valid token to lose");
    });
}

#[test]
fn a_session_ends_when_its_key_is_taken_away() {
    Seeds::new(10).run(|seed| {
        let keys = Keys::from_seed(Algorithm::EdDSA, [1; 32]);
        let (world, report) = watched(seed, &keys, Role::Edge, 3600);
        keys.replace(&Keys::from_seed(Algorithm::EdDSA, [2; 32]));
        world.run(seconds(20));
        assert_eq!(report.sessions.get(), 2);
    });
}

#[test]
fn a_session_ends_at_its_tokens_end_unless_an_edge_has_it() {
    Seeds::new(10).run(|seed| {
        for (role, sessions) in [(Role::Fan, 2), (Role::Creator, 2), (Role::Edge, 1)] {
            let keys = Keys::from_seed(Algorithm::EdDSA, [1; 32]);
            let (world, report) = watched(seed, &keys, role, 15);
            world.run(seconds(30));
            assert_eq!(report.sessions.get(), sessions, "{role}");
        }
    });
}
