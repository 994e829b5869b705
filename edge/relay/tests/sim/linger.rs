//! A track without a subscription is dropped after the linger time, and not before.

use moqt::Micros;
use relay::LINGER;
use testnet::Seeds;

use crate::{
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn an_edge_unsubscribes_when_nobody_has_wanted_a_track_for_a_while() {
    Seeds::new(50).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(origin, Announce::Namespace);
        let report = world.subscriber(edge, Manner::Names, &[0]);
        world.run(seconds(5));
        assert_eq!(world.figure(origin, "subscriptions"), 1);
        report.want(&[]);
        world.run(Micros(LINGER.0 / 2));
        assert_eq!(world.figure(origin, "subscriptions"), 1, "it lingers");
        world.run(Micros(LINGER.0 * 2));
        assert_eq!(world.figure(edge, "kept_bytes"), 0);
        assert_eq!(world.figure(origin, "subscriptions"), 0);
        world.run(Micros(LINGER.0 * 2));
        assert_eq!(world.creators[&creator].known.asked.get(), 0);
        report.want(&[0]);
        world.run(seconds(5));
        world.assert_fresh();
        world.finish();
    });
}

#[test]
fn who_comes_back_soon_is_served_from_the_same_subscription() {
    Seeds::new(50).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(origin, Announce::Namespace);
        let report = world.subscriber(edge, Manner::Names, &[0]);
        world.run(seconds(5));
        for _ in 0..10 {
            report.want(&[]);
            world.run(seconds(2));
            report.want(&[0]);
            world.run(seconds(3));
            assert_eq!(world.creators[&creator].known.asked.get(), 1);
        }
        world.assert_fresh();
        world.finish();
    });
}
