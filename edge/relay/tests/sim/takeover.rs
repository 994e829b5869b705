//! A second creator publishes the same tracks as another.

use testnet::Seeds;

use crate::{
    content::maker,
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

fn newest_maker(report: &crate::subscriber::Report) -> u64 {
    let objects = report.objects.borrow();
    let (_, at, _) = objects.last().expect("an object");
    maker(at.group)
}

#[test]
fn subscribers_move_to_the_creator_that_published_the_track_last() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Tracks);
        let reports = [edge, origin].map(|node| world.subscriber(node, Manner::Names, &[0]));
        world.run(seconds(8));
        let second = world.creator(origin, Announce::Tracks);
        world.run(seconds(8));
        for report in &reports {
            assert_eq!(newest_maker(report), 1);
        }
        world.kill(second);
        world.run(seconds(5));
        world.finish();
    });
}

#[test]
fn a_creator_is_asked_again_when_the_one_that_came_after_it_leaves() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        let second = world.creator(origin, Announce::Namespace);
        world.run(seconds(5));
        world.kill(second);
        world.run(seconds(5));
        let report = world.subscriber(edge, Manner::Names, &[0]);
        world.run(seconds(8));
        world.assert_fresh();
        assert_eq!(newest_maker(&report), 0);
        world.finish();
    });
}

#[test]
fn neither_of_two_creators_of_a_namespace_is_asked_for_what_nobody_wants() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        world.creator(origin, Announce::Namespace);
        world.subscriber(origin, Manner::Names, &[0]);
        world.run(seconds(5));
        world.creator(origin, Announce::Namespace);
        world.run(seconds(5));
        world.assert_fresh();
        world.leave();
    });
}

#[test]
fn creators_that_take_over_from_each_other_do_not_repeat_themselves() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        world.creator(origin, Announce::Tracks);
        world.subscriber(origin, Manner::Names, &[0]);
        world.run(seconds(3));
        world.creator(origin, Announce::Tracks);
        for _ in 0..4 {
            world.run(seconds(2));
            // Each comes again when its session is over, and takes over.
            let links = world.sim.links(|from, _| world.creators.contains_key(&from));
            if let Some((near, _)) = links.first() {
                world.sim.with_net(|net| net.cut(*near, [moqt::Micros(1), moqt::Micros(1)]));
            }
        }
        world.run(seconds(8));
        world.assert_fresh();
        world.finish();
    });
}
