//! A guard decides who watches private rooms, also those that are published at this very relay.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
};

use moqt::{Location, Namespace, RequestCode, message::RequestError};
use relay::{Credentials, Guard};
use testnet::Seeds;
use token::{Algorithm, Claims, Keys, Role, Verified};

use crate::{
    creator::Announce,
    subscriber::{Manner, Outcome},
    topology::{Rules, World, seconds},
};

/// A guard of the room `show`.
#[derive(Default)]
struct ShowIsPrivate {
    generation: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

impl ShowIsPrivate {
    fn learn(&self) {
        self.generation.set(self.generation.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }
}

impl Guard for ShowIsPrivate {
    fn generation(&self) -> u64 {
        self.generation.get()
    }

    fn wake_later(&self, waker: &Waker) {
        self.wakers.borrow_mut().push(waker.clone());
    }

    fn watch(&self, tokens: &[Verified], namespace: &Namespace) -> Result<(), RequestError> {
        let path = namespace.path().unwrap_or_default();
        if !path.starts_with("show") || tokens.iter().any(|token| token.claims.covers(&path)) {
            return Ok(());
        }
        Err(RequestError::new(RequestCode::UNAUTHORIZED, "the room is private"))
    }
}

fn rules(guard: &Rc<ShowIsPrivate>, token_of: Option<&str>) -> Rules {
    let keys = Keys::from_seed(Algorithm::EdDSA, [1; 32]);
    let end = wire::Micros::from_secs(3600);
    let jwt = token_of.map(|room| keys.mint(&Claims::until(room, Role::Fan, "ada", end)).expect("minted"));
    let credentials = Credentials::new(jwt.map(|jwt| format!("jwt={jwt}")), Vec::new());
    Rules { guard: Some(Rc::clone(guard) as Rc<dyn Guard>), keys: Some(keys), credentials }
}

#[test]
fn a_private_room_is_private_at_the_relay_that_it_is_published_at() {
    Seeds::new(20).run(|seed| {
        for (token_of, may) in [(None, false), (Some("other"), false), (Some("show"), true)] {
            let mut world = World::at_random(seed, 1);
            let guard = Rc::new(ShowIsPrivate::default());
            guard.learn();
            let edge = world.relay_with(None, rules(&guard, token_of));
            world.creator(edge, Announce::Tracks);
            world.run(seconds(3));
            let reports = [Manner::Names, Manner::Namespaces, Manner::Tracks]
                .map(|how| world.subscriber(edge, how, &[0]));
            reports[0].fetch(0, Location::new(0, 0), Location::new(0, 0));
            world.run(seconds(8));
            assert_eq!(!reports[0].newest.borrow().is_empty(), may, "by its name");
            assert_eq!(!reports[2].newest.borrow().is_empty(), may, "by SUBSCRIBE_TRACKS");
            if !may {
                assert!(reports[0].refused.borrow().iter().all(|code| *code == RequestCode::UNAUTHORIZED));
                assert!(!reports[0].refused.borrow().is_empty());
                assert!(reports[1].namespaces.borrow().is_empty(), "its namespace");
                let refused = Outcome::Refused(RequestCode::UNAUTHORIZED);
                assert_eq!(reports[0].fetched.borrow()[0].outcome, refused, "by FETCH");
            }
        }
    });
}

#[test]
fn a_relay_that_does_not_know_yet_which_rooms_are_private_shows_none() {
    Seeds::new(20).run(|seed| {
        for token_of in [None, Some("show")] {
            let mut world = World::at_random(seed, 1);
            let guard = Rc::new(ShowIsPrivate::default());
            let edge = world.relay_with(None, rules(&guard, token_of));
            world.creator(edge, Announce::Namespace);
            let named = world.subscriber_that_waits(edge, Some(30_000), &[0]);
            let found = world.subscriber(edge, Manner::Namespaces, &[0]);
            world.run(seconds(5));
            assert!(named.newest.borrow().is_empty() && named.refused.borrow().is_empty(), "it waits");
            assert!(found.namespaces.borrow().is_empty());
            guard.learn();
            world.run(seconds(8));
            let may = token_of.is_some();
            assert_eq!(!named.newest.borrow().is_empty(), may);
            assert_eq!(!found.namespaces.borrow().is_empty(), may);
        }
    });
}
