//! A relay that is shut down sends GOAWAY to its clients.

use std::time::Duration;

use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn all_clients_leave_a_relay_that_drains_and_it_keeps_its_upstream() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        let reports = [0; 3].map(|_| world.subscriber(edge, Manner::Names, &[0]));
        world.run(seconds(5));
        world.running(edge).drain(Duration::from_secs(2));
        world.run(seconds(8));
        for report in &reports {
            // They may come back: the relay still answers.
            assert_eq!((report.goaways.get(), report.sessions.get()), (1, 2));
        }
        assert_eq!(world.figure(edge, "upstream"), 1);
        world.assert_fresh();
        world.finish();
    });
}
