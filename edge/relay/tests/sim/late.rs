//! A late subscriber gets the newest group from its first object, at once.

use moqt::Micros;
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn a_late_joiner_has_the_newest_group_from_its_first_object() {
    Seeds::new(200).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(origin, Announce::Namespace);
        world.subscriber(edge, Manner::Names, &[0]);
        world.run(Micros(4_000_000 + world.sim.draw(|rng| rng.of(0..1_000_000))));
        let newest = world.creators[&creator].broadcast.tracks.borrow()[0].largest().unwrap();
        let late = world.subscriber(edge, Manner::Names, &[0]);
        // Six trips: there and back for the connection, the session and the track.
        world.run(Micros::from_millis(100));
        let objects = late.objects.borrow();
        let (_, first, _) = *objects.first().expect("an object at once");
        assert_eq!(first.object, 0);
        assert!(first.group >= newest.group);
        drop(objects);
        world.run(seconds(3));
        world.assert_fresh();
        world.finish();
    });
}
