//! Whatever the net does to what is sent, subscribers have what is new.

use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn subscribers_have_what_is_new_over_any_net() {
    Seeds::new(200).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        world.subscriber(edge, Manner::Names, &[0]);
        world.subscriber(origin, Manner::Names, &[0]);
        world.run(seconds(10));
        world.assert_fresh();
        world.finish();
    });
}
