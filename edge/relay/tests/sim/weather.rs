//! Under any loss, delay or reordering of the net, subscribers get the newest groups.

use std::collections::BTreeMap;

use moqt::Micros;
use testnet::{Seeds, Weather};

use crate::{
    content::Travel,
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

/// Nothing is late on a net that is fair: whatever a relay has is sent on at once, and so is the end of a subgroup.
#[test]
fn nothing_waits_in_a_relay_for_what_comes_after_it() {
    Seeds::new(200).run(|seed| {
        let shapes = World::at_random(seed, 2).shapes.clone();
        let mut world = World::new(seed, &shapes, Weather::fair());
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        let creator = world.creator(origin, Announce::Namespace);
        let report = world.subscriber(edge, Manner::Names, &[0, 1]);
        world.run(seconds(15));
        // Three hops.
        let at_once = Micros::from_millis(20);
        let (came, ended) = (report.objects.borrow(), report.ended.borrow());
        for (number, log) in world.creators[&creator].broadcast.tracks.borrow().iter().enumerate() {
            let of_track =
                |(track, at, when): &(usize, _, Micros)| (*track == number).then_some((*at, *when));
            let came: BTreeMap<_, _> = came.iter().filter_map(of_track).collect();
            let ended: BTreeMap<_, _> = ended.iter().filter_map(of_track).collect();
            let until = world.sim.now().0 - at_once.0;
            for (made, at) in log.history.iter().filter(|(made, _)| (3_000_000..until).contains(&made.0)) {
                let is_prompt =
                    |came: &BTreeMap<_, Micros>| came.get(at).is_some_and(|when| *when - *made <= at_once);
                assert!(
                    is_prompt(&came),
                    "{at:?} of track {number}, made at {made:?}, came at {:?}",
                    came.get(at)
                );
                if log.shape.travel == Travel::Subgroups && log.shape.is_last(*at) {
                    assert!(
                        is_prompt(&ended),
                        "the end after {at:?}, made at {made:?}, came at {:?}",
                        ended.get(at)
                    );
                }
            }
        }
    });
}
