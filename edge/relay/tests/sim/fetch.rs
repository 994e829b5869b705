//! FETCH of past groups: from those that a relay keeps, or from its upstream.

use moqt::{Location, Micros, RequestCode};
use testnet::Seeds;

use crate::{
    content::{CREATORS, Travel},
    creator::Announce,
    subscriber::{Manner, Outcome},
    topology::{World, seconds},
};

/// Fetches the group that was complete so many groups ago.
fn fetch(seed: u64, back: u64, is_watched: bool) -> Option<u64> {
    let mut world = World::at_random(seed, 1);
    let shape = world.shapes[0];
    if shape.travel == Travel::Datagrams {
        return None;
    }
    let origin = world.relay(None);
    let edge = world.relay(Some(origin));
    let creator = world.creator(origin, Announce::Namespace);
    let wants: &[usize] = if is_watched { &[0] } else { &[] };
    let report = world.subscriber(edge, Manner::Names, wants);
    world.run(seconds(25));
    let newest = world.creators[&creator].broadcast.tracks.borrow()[0].largest().unwrap();
    let group = newest.group - back * CREATORS;
    report.fetch(0, Location::new(group, 0), Location::new(group, 0));
    world.run(seconds(10));
    let fetched = report.fetched.borrow()[0].clone();
    assert_eq!(fetched.outcome, Outcome::Ended);
    let all: Vec<_> = (0..shape.objects).map(|object| Location::new(group, object)).collect();
    assert_eq!(fetched.objects, all);
    let asked = world.creators[&creator].known.fetches.get();
    world.finish();
    Some(asked)
}

#[test]
fn what_a_relay_does_not_keep_is_fetched_upstream() {
    Seeds::new(100).run(|seed| {
        // The first groups of the track are out of every relay by then.
        assert!(fetch(seed, 4, true).is_none_or(|asked| asked == 1));
        assert!(fetch(seed, 1, false).is_none_or(|asked| asked == 1));
    });
}

#[test]
fn what_a_relay_keeps_is_fetched_from_there() {
    Seeds::new(100).run(|seed| {
        assert!(fetch(seed, 1, true).is_none_or(|asked| asked == 0));
    });
}

#[test]
fn the_group_in_which_a_relay_joined_is_fetched_from_there_if_its_publisher_sent_it_whole() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        if world.shapes[0].travel == Travel::Datagrams {
            return;
        }
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(origin, Announce::Namespace);
        world.run(seconds(5));
        let report = world.subscriber(edge, Manner::Names, &[0]);
        // Until an object of the subscription has come.
        while report.objects.borrow().is_empty() {
            world.run(Micros::from_millis(10));
        }
        let joined = report.objects.borrow()[0].1.group;
        report.fetch(0, Location::new(joined, 0), Location::new(joined, 0));
        world.run(seconds(1));
        assert_eq!(report.fetched.borrow()[0].outcome, Outcome::Ended);
        assert_eq!(report.fetched.borrow()[0].objects[0], Location::new(joined, 0));
        assert_eq!(world.creators[&creator].known.fetches.get(), 0);
        world.finish();
    });
}

#[test]
fn what_is_not_there_yet_is_refused() {
    Seeds::new(50).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let creator = world.creator(origin, Announce::Namespace);
        let report = world.subscriber(origin, Manner::Names, &[0]);
        world.run(seconds(5));
        let newest = world.creators[&creator].broadcast.tracks.borrow()[0].largest().unwrap();
        let later = Location::new(newest.group + 1_000_000, 0);
        report.fetch(0, later, later);
        world.run(seconds(5));
        assert_eq!(report.fetched.borrow()[0].outcome, Outcome::Refused(RequestCode::INVALID_RANGE));
    });
}
