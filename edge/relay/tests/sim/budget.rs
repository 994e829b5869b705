//! The budget: what one client, one address and a crowd may have in use, and that all of it is given back.

use moqt::{
    Cx, Event, Location, Micros, Namespace, Params, RequestCode, Token, TrackName, message::FetchKind,
    session::Config,
};
use relay::{Limits, Rate, Share};
use testnet::{Seeds, Weather};
use token::{Algorithm, Claims, EVERY_ROOM, Keys, Role};

use crate::{
    content::Shape,
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

fn name(of: usize) -> TrackName {
    TrackName::new(Namespace::from_path("room").unwrap(), of.to_string()).unwrap()
}

fn world(seed: u64) -> World {
    World::new(seed, &[Shape::plain()], Weather::fair())
}

fn wait_for(cx: &mut Cx<'_>, of: usize) {
    let params = Params { rendezvous_timeout: Some(30_000), ..Params::default() };
    let _ = cx.session.subscribe(name(of), params);
}

fn excessive(refusals: &[(RequestCode, String)]) -> usize {
    refusals.iter().filter(|(code, _)| *code == RequestCode::EXCESSIVE_LOAD).count()
}

#[test]
fn clients_that_wait_for_nothing_leave_the_upstream_to_others() {
    Seeds::new(5).run(|seed| {
        let mut world = world(seed);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        world.run(seconds(1));
        let crowd: Vec<_> = (0..8).map(|_| world.scripted_client_at(edge, "127.0.1.1")).collect();
        for (which, client) in crowd.iter().enumerate() {
            client.order(move |cx| (0..50).for_each(|of| wait_for(cx, 100 * which + of)));
        }
        world.run(seconds(2));
        let refused: usize = crowd.iter().map(|client| excessive(&client.refusals())).sum();
        let address = Share::ADDRESS.held as usize;
        assert_eq!(refused, 8 * 50 - address);
        let held = format!("kind=held,role=fan {address}");
        assert!(world.in_use(edge).contains(&held), "{:?}", world.in_use(edge));
        let fan = world.subscriber_that_waits(edge, None, &[0]);
        world.run(seconds(3));
        assert!(fan.refused.borrow().is_empty());
        world.assert_fresh();
        for client in &crowd {
            world.kill(client.node.get().unwrap());
        }
        world.run(seconds(5));
        world.finish();
    });
}

#[test]
fn all_that_clients_have_in_use_is_given_back_when_they_leave() {
    Seeds::new(20).run(|seed| {
        let mut world = World::at_random(seed, 2);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        let clients: Vec<_> = (0..4).map(|_| world.scripted_client(edge)).collect();
        for client in &clients {
            client.order(|cx| {
                (0..10).for_each(|of| wait_for(cx, of));
                let prefix = |of: &str| Namespace::from_path(of).unwrap();
                let _ = cx.session.subscribe_tracks(prefix("show"), Params::default());
                let _ = cx.session.subscribe_namespace(prefix("show"), Params::default());
                let _ = cx.session.publish_namespace(prefix("other"), Params::default());
                let (start, end) = (Location::new(0, 0), Location::new(1, 0));
                let kind = FetchKind::Standalone { track: name(0), start, end };
                let _ = cx.session.fetch(kind, Params::default());
            });
        }
        world.subscriber(edge, Manner::Names, &[0, 1]);
        world.run(seconds(6));
        assert!(!world.in_use(edge).is_empty());
        for client in &clients {
            world.kill(client.node.get().unwrap());
        }
        world.leave();
        assert_eq!(world.in_use(edge), Vec::<String>::new());
        world.assert_empty();
    });
}

#[test]
fn requests_beyond_the_pace_are_refused_and_later_ones_are_not() {
    Seeds::new(10).run(|seed| {
        let mut world = world(seed);
        let origin = world.relay(None);
        let client = world.scripted_client(origin);
        let many = |cx: &mut Cx<'_>| {
            for of in 0..200 {
                cx.session.track_status(name(of), Params::default()).unwrap();
            }
        };
        client.order(many);
        world.run(seconds(2));
        // A few come in later packets, when more is allowed.
        let refused = excessive(&client.refusals());
        assert!((130..=150).contains(&refused), "{refused}");
        let reason = "too many new requests for this session in a short time; try again later";
        assert!(client.refusals().iter().any(|(_, text)| text == reason));
        world.run(seconds(10));
        client.order(|cx| {
            cx.session.track_status(name(0), Params::default()).unwrap();
        });
        world.run(seconds(1));
        assert_eq!(client.refusals().last().unwrap().0, RequestCode::DOES_NOT_EXIST);
        assert!(!client.is_closed());
    });
}

#[test]
fn an_address_has_so_many_sessions_and_another_address_has_its_own() {
    Seeds::new(10).run(|seed| {
        let mut world = world(seed);
        world.limits.address = Share { sessions: 3, ..Share::ADDRESS };
        let origin = world.relay(None);
        let of = |world: &mut World, address| -> Vec<_> {
            (0..5).map(|_| world.scripted_client_at(origin, address)).collect()
        };
        let (one, two) = (of(&mut world, "127.0.1.1"), of(&mut world, "127.0.1.2"));
        world.run(seconds(2));
        for clients in [&one, &two] {
            assert_eq!(clients.iter().filter(|client| client.is_closed()).count(), 2);
        }
        let closed = one.iter().find(|client| client.is_closed()).unwrap();
        let said = closed.count(|event| match event {
            Event::Closed { reason, .. } => &reason[..] == b"too many sessions for this address: at most 3",
            _ => false,
        });
        assert_eq!(said, 1);
        // Places are free again when sessions end.
        for client in &one {
            world.kill(client.node.get().unwrap());
        }
        world.run(seconds(5));
        let again = world.scripted_client_at(origin, "127.0.1.1");
        world.run(seconds(2));
        assert!(!again.is_closed());
    });
}

#[test]
fn what_is_not_accepted_yet_is_bounded_and_one_session_upstream_carries_it() {
    Seeds::new(10).run(|seed| {
        let mut world = world(seed);
        let silent = world.scripted_server(std::rc::Rc::new(|_, _| {}));
        let edge = world.relay(Some(silent));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            for of in 0..40 {
                let namespace = Namespace::from_path(&format!("room/{of}")).unwrap();
                cx.session.publish_namespace(namespace, Params::default()).unwrap();
            }
        });
        world.run(seconds(3));
        assert_eq!(excessive(&client.refusals()), 40 - Share::FAN.publications as usize);
        // The client's, the upstream's, and one on behalf of the client.
        assert_eq!(world.figure(edge, "sessions"), 3);
    });
}

#[test]
fn a_session_that_comes_and_goes_without_publishing_wakes_no_other() {
    Seeds::new(10).run(|seed| {
        let polls = |idle: usize| {
            let mut world = world(seed);
            let origin = world.relay(None);
            for _ in 0..idle {
                world.scripted_client(origin);
            }
            world.run(seconds(3));
            let before = world.sim.polls(origin);
            let stranger = world.scripted_client(origin);
            stranger.order(|cx| {
                cx.session.subscribe(name(0), Params::default()).unwrap();
            });
            world.run(seconds(1));
            stranger.order(|cx| cx.session.close(moqt::SessionCode::NO_ERROR, ""));
            world.run(seconds(5));
            world.sim.polls(origin) - before
        };
        let (alone, beside_many) = (polls(0), polls(100));
        assert!(beside_many < alone + 50, "{beside_many} polls beside 100 sessions, {alone} alone");
    });
}

#[test]
fn creators_and_edges_have_places_that_fans_cannot_take() {
    Seeds::new(5).run(|seed| {
        let mut world = world(seed);
        let keys = Keys::from_seed(Algorithm::EdDSA, [7; 32]);
        world.keys = Some(keys.clone());
        world.limits = Limits { fans: Share { sessions: 2, ..Share::FANS_OF_NODE }, ..Limits::default() };
        let origin = world.relay(None);
        let fans: Vec<_> =
            (0..4).map(|of| world.scripted_client_at(origin, &format!("127.0.{of}.1"))).collect();
        world.run(seconds(2));
        assert_eq!(fans.iter().filter(|fan| fan.is_closed()).count(), 2);
        for role in [Role::Creator, Role::Edge] {
            let claims = Claims::until(EVERY_ROOM, role, "ada", wire::Micros::from_secs(100));
            let token = keys.mint(&claims).unwrap();
            let present = move |config: &mut Config| config.setup.tokens = vec![Token::value(token)];
            let client = world.scripted_client_with(origin, "127.0.0.1", present);
            world.run(seconds(2));
            assert!(!client.is_closed(), "{role}");
        }
        // A session that says of itself that it is an edge is a fan, where there are keys.
        let claim = |config: &mut Config| config.setup.implementation = Some("fanfare-edge/1".into());
        let pretender = world.scripted_client_with(origin, "127.0.0.1", claim);
        world.run(seconds(2));
        assert!(pretender.is_closed());
    });
}

#[test]
fn tokens_are_verified_once_for_a_session_and_at_a_pace_for_an_address() {
    Seeds::new(5).run(|seed| {
        let mut world = world(seed);
        world.keys = Some(Keys::from_seed(Algorithm::EdDSA, [7; 32]));
        world.limits.address = Share { token_rate: Rate::per_second(1, 2), ..Share::ADDRESS };
        let origin = world.relay(None);
        let forged = Keys::from_seed(Algorithm::EdDSA, [8; 32]);
        let claims = Claims::until(EVERY_ROOM, Role::Creator, "eve", wire::Micros::from_secs(100));
        let token = forged.mint(&claims).unwrap();
        let clients: Vec<_> = (0..5)
            .map(|_| {
                let token = token.clone();
                let present = move |config: &mut Config| config.setup.tokens = vec![Token::value(token)];
                world.scripted_client_with(origin, "127.0.0.1", present)
            })
            .collect();
        world.run(Micros::from_millis(500));
        assert_eq!(clients.iter().filter(|client| client.is_closed()).count(), 3);
        // Requests of the others verify nothing again: the pace would refuse them.
        for client in clients.iter().filter(|client| !client.is_closed()) {
            client.order(|cx| (0..20).for_each(|of| wait_for(cx, of)));
        }
        world.run(seconds(1));
        assert_eq!(clients.iter().filter(|client| client.is_closed()).count(), 3);
        // More than two are not looked at.
        let many = move |config: &mut Config| config.setup.tokens = vec![Token::value(token); 3];
        let client = world.scripted_client_with(origin, "127.0.9.1", many);
        world.run(seconds(1));
        assert!(client.is_closed());
    });
}

#[test]
fn updates_of_a_request_that_waits_for_its_answer_are_bounded() {
    Seeds::new(5).run(|seed| {
        let mut world = world(seed);
        let silent = world.scripted_server(std::rc::Rc::new(|_, _| {}));
        let edge = world.relay(Some(silent));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            let params = Params { rendezvous_timeout: Some(30_000), ..Params::default() };
            let request = cx.session.subscribe(name(0), params).unwrap();
            for _ in 0..20 {
                let params = Params { priority: Some(1), ..Params::default() };
                cx.session.update(request, params).unwrap();
            }
        });
        world.run(seconds(2));
        assert_eq!(client.count(|event| matches!(event, Event::Cancelled { .. })), 1);
        assert!(!client.is_closed());
        assert!(!world.in_use(edge).iter().any(|used| used.starts_with("kind=tracks")));
    });
}
