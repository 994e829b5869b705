//! Sessions that an edge opens upstream on behalf of clients who publish: strangers have none opened.

use std::{cell::Cell, rc::Rc};

use moqt::{Event, Namespace, Params, Properties, RequestCode};
use relay::{Credentials, Share};
use testnet::{Seeds, Weather};
use token::{Algorithm, Claims, Keys, Role};

use crate::{
    content::Shape,
    executor::NodeId,
    scripted::Hands,
    topology::{Rules, World, seconds},
};

/// An upstream that takes whatever is published. Returns how many publications have arrived.
fn upstream(world: &mut World) -> (NodeId, Rc<Cell<usize>>) {
    let arrived = Rc::new(Cell::new(0));
    let count = Rc::clone(&arrived);
    let answer = move |cx: &mut moqt::Cx<'_>, event: &Event| {
        if let Event::PublishNamespace { request, .. } = event {
            count.set(count.get() + 1);
            cx.session.accept(*request, Params::default(), Properties::NONE).unwrap();
        }
    };
    (world.scripted_server(Rc::new(answer)), arrived)
}

/// An edge with keys, whose clients present this token.
fn edge(world: &mut World, upstream: NodeId, token: Option<String>) -> NodeId {
    let credentials = Credentials::new(token.map(|token| format!("jwt={token}")), Vec::new());
    let keys = Some(Keys::from_seed(Algorithm::EdDSA, [1; 32]));
    world.relay_with(Some(upstream), Rules { guard: None, keys, credentials })
}

fn publish(client: &Hands) {
    client.order(|cx| {
        let _ = cx.session.publish_namespace(Namespace::from_path("room").unwrap(), Params::default());
    });
}

fn creators_token(seed: u8) -> String {
    let claims = Claims::until("room", Role::Creator, "ada", wire::Micros::from_secs(3600));
    Keys::from_seed(Algorithm::EdDSA, [seed; 32]).mint(&claims).unwrap()
}

#[test]
fn an_edge_opens_no_session_upstream_for_who_has_no_token_or_a_false_one() {
    Seeds::new(5).run(|seed| {
        let (signed, signature) =
            creators_token(1).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.len())).unwrap();
        for token in [None, Some(format!("{signed}.{}", "A".repeat(signature)))] {
            let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
            let (upstream, arrived) = upstream(&mut world);
            let edge = edge(&mut world, upstream, token);
            world.run(seconds(1));
            let stranger = world.scripted_client(edge);
            for _ in 0..10 {
                publish(&stranger);
            }
            world.run(seconds(5));
            assert_eq!(arrived.get(), 0);
            let refusals = stranger.refusals();
            assert_eq!(refusals.len(), 10);
            assert!(refusals.iter().all(|(code, _)| *code == RequestCode::UNAUTHORIZED), "{refusals:?}");
        }
    });
}

#[test]
fn tokens_that_only_the_upstream_can_judge_get_so_many_sessions_for_an_address() {
    Seeds::new(5).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let (upstream, arrived) = upstream(&mut world);
        let edge = edge(&mut world, upstream, Some(creators_token(2)));
        world.run(seconds(1));
        let crowd: Vec<_> = (0..40).map(|_| world.scripted_client_at(edge, "127.0.1.1")).collect();
        for client in &crowd {
            publish(client);
        }
        world.run(seconds(5));
        let sessions = Share::ADDRESS.behalf as usize;
        assert_eq!(arrived.get(), sessions);
        let refusals: Vec<_> = crowd.iter().flat_map(|client| client.refusals()).collect();
        assert_eq!(refusals.len(), crowd.len() - sessions);
        assert!(refusals.iter().all(|(code, _)| *code == RequestCode::EXCESSIVE_LOAD), "{refusals:?}");
        let other = world.scripted_client_at(edge, "127.0.2.1");
        publish(&other);
        world.run(seconds(5));
        assert_eq!(arrived.get(), sessions + 1);
    });
}
