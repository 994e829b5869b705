//! Offers of tracks, by PUBLISH and by SUBSCRIBE_TRACKS.

use moqt::{DoneCode, Location};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Announce, Ask, Publisher, Subscriber},
    seeds,
    track::Shape,
};

/// A subscriber that asks for nothing and is offered a track, which it accepts.
#[test]
fn an_offered_track_is_delivered_even_before_it_is_accepted() {
    seeds(1000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let mut app = Publisher::new(shape);
        app.announce = Announce::Track;
        let publisher = world.node(app);
        // A subscriber that waits: its own request comes far too late to matter.
        let ask = Ask::Join { after: LONG + LONG, back: 0 };
        let subscriber = world.node(Subscriber::new(shape, ask));
        world.link(publisher, subscriber, Weather::at_random(&mut rng));
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        app.collector.assert_whole(Location::default());
        assert_eq!(app.done, Some(DoneCode::TRACK_ENDED));
        assert_eq!(world.session(publisher, 0).open_requests(), 0);
    });
}

#[test]
fn who_asks_for_tracks_is_offered_them() {
    seeds(1000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let publisher = world.node(Publisher::new(shape));
        let subscriber = world.node(Subscriber::new(shape, Ask::Tracks));
        world.link(subscriber, publisher, Weather::at_random(&mut rng));
        world.run(LONG);
        let app = world.app::<Subscriber>(subscriber);
        app.collector.assert_whole(Location::default());
        assert_eq!(app.done, Some(DoneCode::TRACK_ENDED));
    });
}
