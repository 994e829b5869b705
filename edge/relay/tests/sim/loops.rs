//! Relays that follow each other in a circle.

use testnet::Seeds;

use crate::{
    executor::NodeId,
    topology::{World, seconds},
};

#[test]
fn relays_in_a_circle_refuse_their_upstream() {
    const SAMPLES: usize = 40;
    Seeds::new(25).run(|seed| {
        for count in 1..=3 {
            let mut world = World::at_random(seed, 1);
            let relays: Vec<_> = (0..count).map(|nth| world.relay(Some(NodeId((nth + 1) % count)))).collect();
            let closed = (0..SAMPLES).filter(|_| {
                world.run(seconds(1));
                relays.iter().all(|relay| world.figure(*relay, "upstream") == 1)
            });
            // A circle that has just closed is open again once a request has gone round it.
            let closed = closed.count();
            assert!(closed < SAMPLES / 4, "a circle of {count} was closed in {closed} of {SAMPLES} samples");
        }
    });
}
