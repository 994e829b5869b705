//! Subscriptions to namespaces and to all tracks of one: the upstream is asked once for each prefix.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use moqt::{Cx, Event, Namespace, Params, RequestCode, session::RequestId};
use relay::Share;
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    executor::NodeId,
    quarantine::accept_all,
    topology::{World, seconds},
};

type Open = Rc<RefCell<BTreeMap<RequestId, Namespace>>>;

/// An upstream that accepts all, and the interests that are open there.
fn upstream(world: &mut World) -> (NodeId, Open) {
    let open = Open::default();
    let log = Rc::clone(&open);
    let answer = move |cx: &mut Cx<'_>, event: &Event| {
        match event {
            Event::SubscribeTracks { request, prefix, .. }
            | Event::SubscribeNamespace { request, prefix, .. } => {
                log.borrow_mut().insert(*request, prefix.clone());
            }
            Event::Cancelled { request, .. } => {
                log.borrow_mut().remove(request);
            }
            _ => {}
        }
        accept_all(cx, event);
    };
    (world.scripted_server(Rc::new(answer)), open)
}

fn prefix(of: &str) -> Namespace {
    Namespace::from_path(of).unwrap()
}

#[test]
fn interests_of_clients_that_have_left_leave_nothing_upstream() {
    Seeds::new(10).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let (upstream, open) = upstream(&mut world);
        let edge = world.relay(Some(upstream));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            cx.session.subscribe_namespace(prefix("room"), Params::default()).unwrap();
            for of in 0..40 {
                cx.session.subscribe_tracks(prefix(&format!("room/{of}")), Params::default()).unwrap();
            }
        });
        world.run(seconds(2));
        let allowed = Share::FAN.interests as usize;
        assert_eq!(open.borrow().len(), allowed, "{:?}", open.borrow());
        let excessive = |(code, _): &&(RequestCode, String)| *code == RequestCode::EXCESSIVE_LOAD;
        assert_eq!(client.refusals().iter().filter(excessive).count(), 41 - allowed);
        world.kill(client.node.get().unwrap());
        world.run(seconds(6));
        assert!(open.borrow().is_empty(), "{:?}", open.borrow());
    });
}

#[test]
fn clients_with_the_same_interest_share_one_request() {
    Seeds::new(20).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let (upstream, open) = upstream(&mut world);
        let edge = world.relay(Some(upstream));
        let clients: Vec<_> = (0..10).map(|_| world.scripted_client(edge)).collect();
        for client in &clients {
            client.order(|cx| {
                cx.session.subscribe_tracks(prefix("room/a"), Params::default()).unwrap();
            });
        }
        world.run(seconds(2));
        assert_eq!(open.borrow().values().cloned().collect::<Vec<_>>(), [prefix("room/a")]);
        // A shorter prefix takes the place of those under it, and they come back when it goes.
        let wide = world.scripted_client(edge);
        wide.order(|cx| {
            cx.session.subscribe_tracks(prefix("room"), Params::default()).unwrap();
        });
        world.run(seconds(2));
        assert_eq!(open.borrow().values().cloned().collect::<Vec<_>>(), [prefix("room")]);
        world.kill(wide.node.get().unwrap());
        world.run(seconds(6));
        assert_eq!(open.borrow().values().cloned().collect::<Vec<_>>(), [prefix("room/a")]);
        for client in &clients {
            world.kill(client.node.get().unwrap());
        }
        world.run(seconds(6));
        assert!(open.borrow().is_empty());
    });
}

#[test]
fn a_fan_does_not_get_all_tracks_of_all_namespaces() {
    Seeds::new(5).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let (upstream, open) = upstream(&mut world);
        let edge = world.relay(Some(upstream));
        let client = world.scripted_client(edge);
        client.order(|cx| {
            cx.session.subscribe_tracks(Namespace::default(), Params::default()).unwrap();
        });
        world.run(seconds(2));
        assert_eq!(client.refusals()[0].0, RequestCode::NAMESPACE_TOO_LARGE);
        assert!(open.borrow().is_empty());
    });
}
