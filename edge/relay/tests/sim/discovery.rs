//! Namespaces and tracks are found through relays.

use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn a_namespace_is_found_wherever_it_is_published_and_gone_when_its_creator_is() {
    Seeds::new(40).run(|seed| {
        for at in 0..2 {
            let mut world = World::at_random(seed, 1);
            let origin = world.relay(None);
            let edges = [0; 2].map(|_| world.relay(Some(origin)));
            let creator = world.creator([origin, edges[0]][at], Announce::Namespace);
            let report = world.subscriber(edges[1], Manner::Namespaces, &[0]);
            world.run(seconds(8));
            assert_eq!(report.namespaces.borrow().len(), 1);
            world.assert_fresh();
            world.kill(creator);
            world.run(seconds(5));
            assert_eq!(report.namespaces.borrow().len(), 0);
            world.finish();
        }
    });
}

#[test]
fn tracks_are_offered_to_who_asks_for_all() {
    Seeds::new(40).run(|seed| {
        for is_late in [false, true] {
            let mut world = World::at_random(seed, 2);
            let origin = world.relay(None);
            let edge = world.relay(Some(origin));
            if is_late {
                world.creator(origin, Announce::Tracks);
                world.run(seconds(3));
            }
            for node in [origin, edge] {
                world.subscriber(node, Manner::Tracks, &[0, 1]);
            }
            world.run(seconds(3));
            if !is_late {
                world.creator(origin, Announce::Tracks);
            }
            world.run(seconds(10));
            world.assert_fresh();
            world.finish();
        }
    });
}
