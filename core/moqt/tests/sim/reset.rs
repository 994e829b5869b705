//! Resets of single streams.

use moqt::{DoneCode, Location};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Ask, Publisher, Subscriber},
    seeds,
    track::Shape,
};

#[test]
fn a_reset_costs_its_stream_and_nothing_else() {
    seeds(1000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let mut app = Publisher::new(shape);
        app.resets = 30;
        let publisher = world.node(app);
        let subscriber = world.node(Subscriber::new(shape, Ask::Subscribe));
        world.link(subscriber, publisher, Weather::at_random(&mut rng));
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        assert!(app.collector.got.values().all(|count| *count == 1));
        assert!(app.collector.got.keys().all(|at| (Location::default()..=shape.last()).contains(at)));
        assert_eq!(app.done, Some(DoneCode::TRACK_ENDED), "the subscription ends in order");
        for node in [publisher, subscriber] {
            assert!(!world.session(node, 0).is_closed(), "a reset never ends a session");
            assert_eq!(world.session(node, 0).open_requests(), 0);
        }
    });
}
