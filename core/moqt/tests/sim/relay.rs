use moqt::{DoneCode, Location, Micros, RequestCode};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Announce, Ask, Publisher, Relay, Subscriber},
    seeds,
    track::Shape,
};

fn relayed(seed: u64, fans: &[Ask], announce: Announce) -> (World, usize, usize, Vec<usize>, Shape) {
    let mut rng = Rng::new(seed);
    let shape = Shape::at_random(&mut rng);
    let mut world = World::new(rng.next());
    let mut app = Publisher::new(shape);
    app.announce = announce;
    let publisher = world.node(app);
    let relay = world.node(Relay::default());
    world.link(publisher, relay, Weather::at_random(&mut rng));
    let mut nodes = Vec::new();
    for ask in fans {
        let mut app = Subscriber::new(shape, *ask);
        app.rendezvous = Some(30_000);
        let node = world.node(app);
        world.link(node, relay, Weather::at_random(&mut rng));
        nodes.push(node);
    }
    (world, publisher, relay, nodes, shape)
}

#[test]
fn fans_that_wait_share_one_subscription() {
    seeds(1000, |seed| {
        let (mut world, publisher, relay, fans, _) = relayed(seed, &[Ask::Subscribe; 3], Announce::Namespace);
        world.run(LONG);
        assert_eq!(world.app::<Relay>(relay).subscribed, 1);
        // Whoever was there before the first object has them all.
        let mut whole = 0;
        for fan in &fans {
            let fan = world.app::<Subscriber>(*fan);
            let Some(params) = &fan.accepted else { continue };
            assert_eq!(fan.done, Some(DoneCode::TRACK_ENDED));
            if params.largest.is_none() {
                fan.collector.assert_whole(Location::default());
                whole += 1;
            }
        }
        assert!(whole >= 1);
        assert_eq!(world.session(publisher, 0).open_requests(), 1, "its namespace only");
    });
}

#[test]
fn a_fan_that_waits_is_served_when_the_track_is_offered() {
    seeds(500, |seed| {
        let (mut world, _, _, fans, _) = relayed(seed, &[Ask::Subscribe], Announce::Track);
        world.run(LONG);
        let fan = world.app::<Subscriber>(fans[0]);
        if fan.accepted.as_ref().is_some_and(|params| params.largest.is_none()) {
            fan.collector.assert_whole(Location::default());
        }
    });
}

#[test]
fn a_fan_that_waits_in_vain_is_told_in_time() {
    let (mut world, _, _, fans, _) = relayed(1, &[Ask::Subscribe], Announce::Nothing);
    world.run(Micros(29_000_000));
    assert!(world.app::<Subscriber>(fans[0]).refused.is_empty());
    let (mut world, _, _, fans, _) = relayed(1, &[Ask::Subscribe], Announce::Nothing);
    world.run(LONG);
    let refused: Vec<_> = world.app::<Subscriber>(fans[0]).refused.iter().map(|error| error.code).collect();
    assert_eq!(refused, [RequestCode::TIMEOUT]);
}

#[test]
fn when_the_last_fan_leaves_the_relay_unsubscribes() {
    seeds(500, |seed| {
        let (mut world, publisher, relay, fans, _) =
            relayed(seed, &[Ask::Leave { objects: 1 }, Ask::Leave { objects: 1 }], Announce::Namespace);
        world.run(LONG);
        assert!(fans.iter().any(|fan| world.app::<Subscriber>(*fan).left.is_some()));
        if fans.iter().all(|fan| world.app::<Subscriber>(*fan).left.is_some()) {
            assert!(world.session(publisher, 0).open_requests() <= 1, "its namespace only");
        }
        assert!(!world.session(relay, 0).is_closed());
    });
}
