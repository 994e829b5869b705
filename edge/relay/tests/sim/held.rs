//! Subscribers that wait for what nobody publishes: they hold nothing of the upstream's for long.

use std::{cell::RefCell, rc::Rc};

use moqt::{Cx, Event, Namespace, Params, RequestCode, TrackName, message::RequestError, session::RequestId};
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    topology::{World, seconds},
};

fn name(of: &str) -> TrackName {
    TrackName::new(Namespace::from_path("room").unwrap(), of.to_owned()).unwrap()
}

#[test]
fn a_rendezvous_is_forwarded_for_three_seconds_at_a_time() {
    Seeds::new(10).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let asked = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&asked);
        let upstream = world.scripted_server(Rc::new(move |cx: &mut Cx<'_>, event: &Event| match event {
            Event::Subscribe { request, params, .. } => {
                log.borrow_mut().push(params.rendezvous_timeout);
                let _ = cx.session.hold(cx.now, *request);
            }
            Event::TrackStatus { request, .. } => {
                let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                let _ = cx.session.reject(*request, error);
            }
            _ => {}
        }));
        let edge = world.relay(Some(upstream));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            let params = Params { rendezvous_timeout: Some(10_000), ..Params::default() };
            cx.session.subscribe(name("later"), params).unwrap();
        });
        world.run(seconds(8));
        assert!(client.refusals().is_empty());
        assert!(asked.borrow().iter().all(|timeout| *timeout == Some(3_000)), "{:?}", asked.borrow());
        assert!((2..=3).contains(&asked.borrow().len()), "{:?}", asked.borrow());
        world.run(seconds(6));
        assert_eq!(client.refusals()[0].0, RequestCode::TIMEOUT);
        // Nothing is requested any more once nobody waits.
        let before = asked.borrow().len();
        world.run(seconds(10));
        assert_eq!(asked.borrow().len(), before);
    });
}

#[test]
fn an_upstream_that_does_not_wait_is_not_asked_without_end() {
    Seeds::new(10).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let asked: Rc<RefCell<Vec<RequestId>>> = Rc::default();
        let log = Rc::clone(&asked);
        let upstream = world.scripted_server(Rc::new(move |cx: &mut Cx<'_>, event: &Event| match event {
            Event::Subscribe { request, .. } | Event::TrackStatus { request, .. } => {
                log.borrow_mut().push(*request);
                let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                let _ = cx.session.reject(*request, error);
            }
            _ => {}
        }));
        let edge = world.relay(Some(upstream));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            let params = Params { rendezvous_timeout: Some(20_000), ..Params::default() };
            cx.session.subscribe(name("later"), params).unwrap();
        });
        world.run(seconds(15));
        assert!(client.refusals().is_empty(), "it waits at the edge");
        // One is the relay's look for itself.
        assert_eq!(asked.borrow().len(), 2);
    });
}
