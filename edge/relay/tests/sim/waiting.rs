//! Subscribers that come before the tracks that they subscribe to.

use moqt::RequestCode;
use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn subscribers_that_wait_share_one_subscription() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        for _ in 0..3 {
            world.subscriber(edge, Manner::Names, &[0]);
        }
        world.run(seconds(3));
        let creator = world.creator(origin, Announce::Namespace);
        world.run(seconds(5));
        assert_eq!(world.figure(origin, "subscriptions"), 1);
        assert_eq!(world.creators[&creator].known.asked.get(), 1);
        world.assert_fresh();
        world.finish();
    });
}

#[test]
fn a_subscriber_that_waits_is_served_as_soon_as_the_track_is_there() {
    Seeds::new(100).run(|seed| {
        for announce in [Announce::Namespace, Announce::Tracks] {
            let mut world = World::at_random(seed, 1);
            let origin = world.relay(None);
            let edge = world.relay(Some(origin));
            let report = world.subscriber_that_waits(edge, Some(30_000), &[0]);
            world.run(seconds(6));
            assert!(report.refused.borrow().is_empty());
            world.creator(origin, announce);
            world.run(seconds(5));
            assert!(report.refused.borrow().is_empty(), "it was not asked to come again");
            world.assert_fresh();
            world.finish();
        }
    });
}

#[test]
fn a_subscriber_that_waits_in_vain_is_refused_in_time() {
    Seeds::new(50).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let report = world.subscriber_that_waits(origin, Some(5_000), &[0]);
        world.run(seconds(5));
        assert!(report.refused.borrow().is_empty());
        world.run(seconds(3));
        assert_eq!(*report.refused.borrow(), [RequestCode::TIMEOUT]);
    });
}
