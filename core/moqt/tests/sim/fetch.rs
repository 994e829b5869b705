//! Fetches of past objects.

use moqt::{GroupOrder, Location, Micros};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Ask, Publisher, Subscriber},
    seeds,
    track::Shape,
};

/// A publisher with everything already published.
fn past(seed: u64, order: GroupOrder) -> (World, usize, usize, Shape) {
    let mut rng = Rng::new(seed);
    let shape = Shape::at_random(&mut rng);
    let mut world = World::new(rng.next());
    let mut app = Publisher::new(shape);
    app.next = shape.locations().count();
    let publisher = world.node(app);
    let subscriber = world.node(Subscriber::new(shape, Ask::Past { after: Micros(1), order }));
    world.link(subscriber, publisher, Weather::at_random(&mut rng));
    (world, publisher, subscriber, shape)
}

#[test]
fn a_fetch_gives_the_past_in_the_order_asked_for() {
    for order in [GroupOrder::Ascending, GroupOrder::Descending] {
        seeds(1000, |seed| {
            let (mut world, publisher, subscriber, _) = past(seed, order);
            world.run(LONG);
            let app = world.app::<Subscriber>(subscriber);
            app.collector.assert_whole(Location::default());
            let rank = |at: &Location| match order {
                GroupOrder::Ascending => (at.group, at.object),
                GroupOrder::Descending => (u64::MAX - at.group, at.object),
            };
            assert!(app.collector.order.iter().map(rank).is_sorted());
            assert_eq!(world.session(publisher, 0).open_requests(), 0, "the fetch is over");
            assert_eq!(world.session(subscriber, 0).open_requests(), 0, "the fetch is over");
        });
    }
}
