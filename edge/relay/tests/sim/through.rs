//! A creator publishes through an edge, which publishes to the origin on its behalf.

use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{HEALING, World, seconds},
};

#[test]
fn what_is_published_at_an_edge_is_to_be_had_everywhere() {
    Seeds::new(40).run(|seed| {
        for announce in [Announce::Namespace, Announce::Tracks] {
            let mut world = World::at_random(seed, 2);
            let origin = world.relay(None);
            let [edge, other] = [0; 2].map(|_| world.relay(Some(origin)));
            let creator = world.creator(edge, announce);
            for node in [origin, edge, other] {
                world.subscriber(node, Manner::Names, &[0, 1]);
            }
            world.run(seconds(10));
            world.assert_fresh();
            assert!(world.creators[&creator].known.refused.borrow().is_empty());
            world.finish();
        }
    });
}

#[test]
fn a_creator_that_leaves_an_edge_leaves_the_origin() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(edge, Announce::Namespace);
        world.run(seconds(5));
        assert_eq!(world.figure(origin, "sessions"), 2, "the edge's own, and the creator's");
        world.kill(creator);
        world.run(seconds(5));
        assert_eq!(world.figure(origin, "sessions"), 1);
    });
}

#[test]
fn a_creator_at_an_edge_is_heard_of_again_by_an_origin_that_was_restarted() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let [edge, other] = [0; 2].map(|_| world.relay(Some(origin)));
        world.creator(edge, Announce::Namespace);
        world.subscriber(other, Manner::Names, &[0]);
        world.run(seconds(5));
        world.kill(origin);
        world.run(seconds(2));
        world.start(origin);
        world.run(HEALING);
        world.assert_fresh();
        world.finish();
    });
}
