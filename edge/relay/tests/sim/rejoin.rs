//! A node is killed, and comes back.

use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{HEALING, World, seconds},
};

/// Kills one of an origin, an edge, an edge of that edge and a creator.
fn kill(which: usize) {
    Seeds::new(25).run(|seed| {
        for announce in [Announce::Namespace, Announce::Tracks] {
            let mut world = World::at_random(seed, 2);
            let origin = world.relay(None);
            let edge = world.relay(Some(origin));
            let outer = world.relay(Some(edge));
            let creator = world.creator(origin, announce);
            for node in [origin, edge, outer] {
                world.subscriber(node, Manner::Names, &[0, 1]);
            }
            world.run(seconds(4));
            let node = [origin, edge, outer, creator][which];
            world.kill(node);
            world.run(seconds(2));
            world.start(node);
            world.run(HEALING);
            world.assert_fresh();
            world.finish();
        }
    });
}

#[test]
fn an_origin_that_was_restarted_serves_all_again() {
    kill(0);
}

#[test]
fn an_edge_that_was_restarted_serves_all_again() {
    kill(1);
}

#[test]
fn an_edge_of_an_edge_that_was_restarted_serves_all_again() {
    kill(2);
}

#[test]
fn a_creator_that_was_restarted_is_asked_again() {
    kill(3);
}
