//! Subscriptions: delivery, ends and refusals.

use moqt::{DoneCode, Filter, Location, Micros, RequestCode};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Absent, Ask, Publisher, Subscriber},
    seeds,
    track::Shape,
};

fn pair(seed: u64, publisher: impl FnOnce(&mut Publisher), ask: Ask) -> (World, usize, usize, Shape) {
    let mut rng = Rng::new(seed);
    let shape = Shape::at_random(&mut rng);
    let mut world = World::new(rng.next());
    let mut app = Publisher::new(shape);
    publisher(&mut app);
    let publisher = world.node(app);
    let subscriber = world.node(Subscriber::new(shape, ask));
    let weather = Weather::at_random(&mut rng);
    // Either may be the one that connects.
    if rng.chance(50) {
        world.link(publisher, subscriber, weather);
    } else {
        world.link(subscriber, publisher, weather);
    }
    (world, publisher, subscriber, shape)
}

#[test]
fn a_subscriber_gets_every_object_once_and_then_the_end() {
    seeds(2000, |seed| {
        let (mut world, publisher, subscriber, _) = pair(seed, |_| {}, Ask::Subscribe);
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        app.collector.assert_whole(Location::default());
        assert_eq!(app.done, Some(DoneCode::TRACK_ENDED));
        for node in [publisher, subscriber] {
            assert_eq!(world.session(node, 0).open_requests(), 0, "requests left open");
            assert!(!world.session(node, 0).is_closed());
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_show() {
    let order = |seed| {
        let (mut world, _, subscriber, _) = pair(seed, |_| {}, Ask::Subscribe);
        world.run(LONG);
        (world.now(), world.app::<Subscriber>(subscriber).collector.order.clone())
    };
    for seed in 0..50 {
        assert_eq!(order(seed), order(seed));
    }
}

#[test]
fn who_unsubscribes_hears_no_more() {
    seeds(1000, |seed| {
        let objects = 1 + seed as usize % 4;
        let (mut world, publisher, subscriber, shape) = pair(seed, |_| {}, Ask::Leave { objects });
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        let total = shape.locations().count();
        assert_eq!(app.left.is_some(), objects <= total);
        if app.left.is_some() {
            assert_eq!(app.collector.order.len(), objects);
            assert_eq!(app.done, None);
        }
        for node in [publisher, subscriber] {
            assert_eq!(world.session(node, 0).open_requests(), 0, "requests left open");
            assert!(!world.session(node, 0).is_closed());
        }
    });
}

/// A subscriber of a track that nobody publishes.
fn in_vain(rendezvous: Option<u64>) -> (World, usize) {
    let shape = Shape { seed: 1, groups: 1, objects: 1, subgroups: 1 };
    let mut world = World::new(1);
    let absent = world.node(Absent);
    let mut app = Subscriber::new(shape, Ask::Subscribe);
    app.rendezvous = rendezvous;
    let subscriber = world.node(app);
    world.link(subscriber, absent, Weather::fair());
    (world, subscriber)
}

fn refused(world: &World, subscriber: usize) -> Vec<RequestCode> {
    world.app::<Subscriber>(subscriber).refused.iter().map(|error| error.code).collect()
}

#[test]
fn a_track_that_is_not_there_is_refused() {
    let (mut world, subscriber) = in_vain(None);
    world.run(LONG);
    assert_eq!(refused(&world, subscriber), [RequestCode::DOES_NOT_EXIST]);
}

#[test]
fn a_subscription_that_waits_in_vain_is_refused_in_time() {
    let (mut world, subscriber) = in_vain(Some(30_000));
    world.run(Micros::from_millis(29_000));
    assert!(refused(&world, subscriber).is_empty());
    let (mut world, subscriber) = in_vain(Some(30_000));
    world.run(Micros::from_millis(31_000));
    assert_eq!(refused(&world, subscriber), [RequestCode::TIMEOUT]);
}

#[test]
fn track_status_tells_what_subscribe_would() {
    seeds(100, |seed| {
        let (mut world, publisher, subscriber, _) = pair(seed, |_| {}, Ask::Status);
        world.run(LONG);
        let (params, properties) = world.app::<Subscriber>(subscriber).status.clone().expect("an answer");
        assert_eq!(params.largest, None);
        assert_eq!(properties.int(0x0E), Some(7));
        assert_eq!(world.session(publisher, 0).open_requests(), 0);
        assert_eq!(world.session(subscriber, 0).open_requests(), 0);
    });
}

#[test]
fn a_filter_is_carried_to_the_publisher() {
    let filter = Filter::From(Location::new(1, 0));
    let ask = Ask::Filtered { after: Micros(1), filter };
    let (mut world, _, subscriber, _) = pair(3, |_| {}, ask);
    world.run(LONG);
    assert!(world.app::<Subscriber>(subscriber).accepted.is_some());
}

#[test]
fn datagrams_arrive_whole_or_not_at_all() {
    seeds(500, |seed| {
        let (mut world, _, subscriber, shape) =
            pair(seed, |publisher| publisher.datagrams = true, Ask::Subscribe);
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        assert!(app.datagrams.values().all(|count| *count == 1));
        assert!(app.datagrams.len() <= shape.locations().count());
        assert_eq!(app.done, Some(DoneCode::TRACK_ENDED));
    });
}
