//! The session with the upstream, which all clients of a relay share, and clients whose requests end it.

use std::{cell::RefCell, rc::Rc};

use moqt::{
    Cx, Event, Location, Namespace, Params, Properties, RequestCode, SessionCode, TrackName,
    message::{FetchKind, RequestError},
};
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    creator::Announce,
    executor::NodeId,
    subscriber::Manner,
    topology::{World, seconds},
};

fn name(of: &str) -> TrackName {
    TrackName::new(Namespace::from_path("room").unwrap(), of.to_owned()).unwrap()
}

fn world(seed: u64) -> World {
    World::new(seed, &[Shape::plain()], Weather::fair())
}

/// An upstream that ends its session over the name `poison`, and has no other track. Returns what it was asked for.
fn brittle(world: &mut World) -> (NodeId, Rc<RefCell<Vec<TrackName>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    let answer = move |cx: &mut Cx<'_>, event: &Event| match event {
        Event::Subscribe { request, track, .. }
        | Event::Fetch { request, track, .. }
        | Event::TrackStatus { request, track, .. }
            if !track.namespace().fields()[0].starts_with(b".") =>
        {
            log.borrow_mut().push(track.clone());
            if *track == name("poison") {
                cx.session.close(SessionCode::PROTOCOL_VIOLATION, "what is this?");
            } else {
                let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                let _ = cx.session.reject(*request, error);
            }
        }
        Event::TrackStatus { request, .. } => {
            let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
            let _ = cx.session.reject(*request, error);
        }
        _ => {}
    };
    (world.scripted_server(Rc::new(answer)), asked)
}

#[test]
fn a_request_without_a_namespace_is_refused_and_not_forwarded() {
    Seeds::new(10).run(|seed| {
        let mut world = world(seed);
        let (upstream, asked) = brittle(&mut world);
        let edge = world.relay(Some(upstream));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            let name = TrackName::new(Namespace::default(), "video").unwrap();
            cx.session.subscribe(name.clone(), Params::default()).unwrap();
            cx.session.track_status(name.clone(), Params::default()).unwrap();
            cx.session.publish_namespace(Namespace::default(), Params::default()).unwrap();
            let (start, end) = (Location::new(0, 0), Location::new(1, 0));
            cx.session.fetch(FetchKind::Standalone { track: name, start, end }, Params::default()).unwrap();
        });
        world.run(seconds(3));
        let codes: Vec<_> = client.refusals().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [RequestCode::DOES_NOT_EXIST; 4]);
        assert!(asked.borrow().is_empty(), "{:?}", asked.borrow());
        assert_eq!(world.figure(edge, "upstream"), 1);
    });
}

#[test]
fn a_request_that_ended_the_upstreams_session_is_not_repeated_for_one_client_alone() {
    Seeds::new(20).run(|seed| {
        let mut world = world(seed);
        let (upstream, asked) = brittle(&mut world);
        let edge = world.relay(Some(upstream));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        let subscribe = |cx: &mut Cx<'_>| {
            let params = Params { rendezvous_timeout: Some(30_000), ..Params::default() };
            let _ = cx.session.subscribe(name("poison"), params);
        };
        client.order(subscribe);
        world.run(seconds(3));
        assert_eq!(*asked.borrow(), [name("poison")]);
        assert_eq!(client.refusals()[0].0, RequestCode::EXCESSIVE_LOAD);
        // Nor if the client requests it again, in whichever way.
        client.order(subscribe);
        client.order(|cx| {
            cx.session.track_status(name("poison"), Params::default()).unwrap();
        });
        world.run(seconds(3));
        assert_eq!(asked.borrow().len(), 1);
        assert_eq!(world.figure(edge, "upstream"), 1);
        // A second client shows that more than one wants it.
        let other = world.scripted_client(edge);
        other.order(subscribe);
        world.run(seconds(1));
        assert_eq!(asked.borrow().len(), 2);
    });
}

#[test]
fn names_in_flight_beside_a_poisonous_one_are_requested_again_for_two_clients() {
    Seeds::new(20).run(|seed| {
        let mut world = world(seed);
        let (upstream, asked) = brittle(&mut world);
        let edge = world.relay(Some(upstream));
        let (one, two, bad) =
            (world.scripted_client(edge), world.scripted_client(edge), world.scripted_client(edge));
        for client in [&one, &two] {
            client.order(|cx| {
                cx.session.subscribe(name("video"), Params::default()).unwrap();
            });
        }
        bad.order(|cx| {
            cx.session.subscribe(name("poison"), Params::default()).unwrap();
        });
        world.run(seconds(15));
        let videos = asked.borrow().iter().filter(|asked| **asked == name("video")).count();
        assert!((1..=2).contains(&videos), "{:?}", asked.borrow());
        assert!(one.refusals().iter().all(|(code, _)| *code == RequestCode::DOES_NOT_EXIST));
        assert_eq!(one.refusals().len(), 1);
    });
}

#[test]
fn a_refused_name_is_answered_from_memory_for_a_second() {
    Seeds::new(20).run(|seed| {
        let mut world = world(seed);
        let (upstream, asked) = brittle(&mut world);
        let edge = world.relay(Some(upstream));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        let subscribe = |cx: &mut Cx<'_>| {
            let _ = cx.session.subscribe(name("absent"), Params::default());
        };
        client.order(subscribe);
        world.run(moqt::Micros::from_millis(500));
        for _ in 0..20 {
            client.order(subscribe);
            client.order(|cx| {
                cx.session.track_status(name("absent"), Params::default()).unwrap();
            });
            world.run(moqt::Micros::from_millis(20));
        }
        assert_eq!(client.refusals().len(), 41);
        assert_eq!(asked.borrow().len(), 1);
        world.run(seconds(1));
        client.order(subscribe);
        world.run(moqt::Micros::from_millis(500));
        assert_eq!(asked.borrow().len(), 2);
    });
}

#[test]
fn a_new_publisher_is_asked_for_what_was_refused_a_moment_ago() {
    Seeds::new(20).run(|seed| {
        let mut world = world(seed);
        let origin = world.relay(None);
        let report = world.subscriber_that_waits(origin, None, &[0]);
        world.run(seconds(2));
        assert!(!report.refused.borrow().is_empty());
        world.creator(origin, Announce::Namespace);
        world.run(seconds(3));
        world.assert_fresh();
        let other = world.subscriber(origin, Manner::Names, &[0]);
        world.run(seconds(1));
        assert!(other.refused.borrow().is_empty());
        world.finish();
    });
}

/// The answer of accepted requests, for servers that answer all.
pub(crate) fn accept_all(cx: &mut Cx<'_>, event: &Event) {
    match event {
        Event::SubscribeTracks { request, .. }
        | Event::SubscribeNamespace { request, .. }
        | Event::PublishNamespace { request, .. } => {
            let _ = cx.session.accept(*request, Params::default(), Properties::NONE);
        }
        Event::TrackStatus { request, .. } => {
            let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
            let _ = cx.session.reject(*request, error);
        }
        _ => {}
    }
}
