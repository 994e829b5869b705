use moqt::Location;

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Announce, Ask, Publisher, Relay, Subscriber, track},
    seeds,
    track::Shape,
};

#[test]
fn a_namespace_is_found_through_a_relay_whoever_comes_first() {
    seeds(1000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let mut app = Publisher::new(shape);
        app.announce = Announce::Namespace;
        let publisher = world.node(app);
        let relay = world.node(Relay::default());
        let subscriber = world.node(Subscriber::new(shape, Ask::Discover));
        world.link(publisher, relay, Weather::at_random(&mut rng));
        world.link(subscriber, relay, Weather::at_random(&mut rng));
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        assert!(app.discovered.contains(track().namespace()));
        app.collector.assert_whole(Location::default());
        assert_eq!(world.app::<Relay>(relay).subscribed, 1);
    });
}
