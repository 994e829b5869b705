//! A slow subscriber misses groups, and no other subscriber does.

use moqt::Micros;
use relay::BYTES_KEPT;
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn a_slow_subscriber_skips_to_the_newest_group_and_disturbs_nobody() {
    Seeds::new(20).run(|seed| {
        let shape = Shape { size: 60_000, ..Shape::plain() };
        let mut world = World::new(seed, &[shape], Weather { mtu: 60_000, ..Weather::fair() });
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        let slow = world.subscriber(edge, Manner::Names, &[0]);
        world.run(seconds(2));
        let links = world.sim.links(|_, to| to == edge);
        assert_eq!(links.len(), 1);
        // About 50 kB a second, a third of what is made.
        let thin = Weather { mtu: 2_000, pace: Micros::from_millis(20), ..Weather::fair() };
        world.sim.with_net(|net| net.set_weather(links[0].1, thin));
        let quick = world.subscriber(edge, Manner::Names, &[0]);
        world.run(seconds(20));
        assert!(slow.resets.get() > 3, "{} resets", slow.resets.get());
        assert_eq!(quick.resets.get(), 0);
        assert!(world.figure(edge, "skipped_groups_total") > 3);
        assert!(world.figure(edge, "kept_bytes") < BYTES_KEPT as i64);
        // The newest that it has is as old as the groups that may wait for it, and no older.
        let last = |report: &crate::subscriber::Report| report.objects.borrow().last().expect("an object").1;
        assert!(last(&slow).group + 4 * 4 >= last(&quick).group, "{:?} {:?}", last(&slow), last(&quick));
        let quick = quick.objects.borrow();
        let whole = quick.windows(2).all(|pair| {
            let next = moqt::Location::new(pair[0].1.group, pair[0].1.object + 1);
            pair[1].1 == next || pair[1].1.object == 0
        });
        assert!(whole, "gaps in what a quick subscriber has");
        drop(quick);
        world.finish();
    });
}
