//! Any topology, any net, any faults in any order.

use moqt::Micros;
use testnet::{Rng, Seeds};

use crate::{
    creator::Announce,
    executor::NodeId,
    subscriber::Manner,
    topology::{HEALING, World, seconds},
};

/// Seeds that are run unless the environment sets others.
const SEEDS: u64 = 1_000;

/// A fault or a change of the world.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A process ends, and is started again after a while.
    Kill(NodeId, Micros),
    /// A link is gone, for both of its ends.
    Cut,
    /// Nothing leaves one end of a link for a while.
    Stall(Micros),
    /// A relay sends GOAWAY to all its clients.
    Drain(NodeId),
    /// A subscriber wants other tracks, or none.
    Tune(NodeId),
    /// Another creator of the same tracks comes.
    Takeover,
    /// Another subscriber starts, for tracks of its choice.
    Join,
    /// A subscriber fetches a past group.
    Fetch(NodeId),
}

struct Run {
    world: World,
    rng: Rng,
    tracks: usize,
    relays: Vec<NodeId>,
    /// Set if creators announce their namespace, so that subscribers may wait for that.
    has_namespaces: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let tracks = rng.of(1..3);
        let mut world = World::at_random(rng.next(), tracks);
        let origin = world.relay(None);
        let mut relays = vec![origin];
        for _ in 0..rng.of(1..4) {
            // One in three follows another edge.
            let upstream = if relays.len() > 1 && rng.chance(33) { rng.pick(&relays) } else { origin };
            relays.push(world.relay(Some(upstream)));
        }
        let has_namespaces = rng.chance(50);
        let mut run = Self { world, rng, tracks: tracks as usize, relays, has_namespaces };
        run.create();
        for _ in 0..run.rng.of(1..4) {
            run.join();
        }
        run
    }

    /// Prints what happens, if one seed is replayed.
    fn say(&self, what: &str) {
        if std::env::var_os("FANFARE_SEED").is_some() {
            println!("{:?}: {what}", self.world.sim.now());
        }
    }

    fn create(&mut self) {
        let to = if self.rng.chance(60) { self.relays[0] } else { self.rng.pick(&self.relays) };
        let announce = if self.has_namespaces { Announce::Namespace } else { Announce::Tracks };
        self.world.creator(to, announce);
    }

    fn join(&mut self) {
        let to = self.rng.pick(&self.relays);
        let discovers = self.has_namespaces && self.rng.chance(30);
        let manner = if discovers { Manner::Namespaces } else { Manner::Names };
        let wants: Vec<usize> = (0..self.tracks).collect();
        self.world.subscriber(to, manner, &wants);
    }

    fn draw(&mut self) -> Fault {
        let (relays, rng) = (&self.relays, &mut self.rng);
        let (creators, subscribers) = (self.world.creator_ids(), self.world.subscriber_ids());
        let down = Micros::from_millis(rng.of(1..4_000));
        match rng.of(0..14) {
            0..2 => Fault::Kill(rng.pick(relays), down),
            2 => Fault::Kill(rng.pick(&creators), down),
            3 => Fault::Kill(rng.pick(&subscribers), down),
            4..6 => Fault::Cut,
            6..8 => Fault::Stall(Micros::from_millis(rng.of(1..8_000))),
            8 => Fault::Drain(rng.pick(relays)),
            9..11 => Fault::Tune(rng.pick(&subscribers)),
            11 if creators.len() < 3 => Fault::Takeover,
            11 | 12 => Fault::Join,
            _ => Fault::Fetch(rng.pick(&subscribers)),
        }
    }

    fn inflict(&mut self, fault: Fault) {
        let world = &mut self.world;
        match fault {
            Fault::Kill(node, down) => {
                world.kill(node);
                world.run(down);
                world.start(node);
            }
            Fault::Cut => {
                let links = world.sim.links(|_, _| true);
                if !links.is_empty() {
                    let (near, _) = self.rng.pick(&links);
                    let after = [0, 1].map(|_| Micros(self.rng.of(1..3_000_000)));
                    world.sim.with_net(|net| net.cut(near, after));
                }
            }
            Fault::Stall(time) => {
                let links = world.sim.links(|_, _| true);
                if !links.is_empty() {
                    let (near, far) = self.rng.pick(&links);
                    let end = if self.rng.chance(80) { far } else { near };
                    let until = world.sim.now() + time;
                    world.sim.with_net(|net| net.stall(end, until));
                }
            }
            Fault::Drain(relay) => world.running(relay).drain(std::time::Duration::from_secs(1)),
            Fault::Tune(subscriber) => {
                let wants: Vec<usize> = (0..self.tracks).filter(|_| self.rng.chance(60)).collect();
                world.report(subscriber).want(&wants);
            }
            Fault::Takeover => self.create(),
            Fault::Join => self.join(),
            Fault::Fetch(subscriber) => {
                let made = world.creators.values().next().expect("a creator");
                let newest = made.broadcast.tracks.borrow()[0].largest();
                if let Some(newest) = newest {
                    let start = moqt::Location::new(newest.group - self.rng.of(0..3) * 4, 0);
                    world.report(subscriber).fetch(0, start, moqt::Location::new(newest.group, 0));
                }
            }
        }
    }
}

#[test]
fn subscribers_have_what_is_new_after_any_faults() {
    Seeds::new(SEEDS).run(|seed| {
        let mut run = Run::new(seed);
        run.say(&format!("{:?}", run.world));
        run.world.run(seconds(3));
        for _ in 0..run.rng.of(0..6) {
            let fault = run.draw();
            run.say(&format!("{fault:?}"));
            run.inflict(fault);
            // Faults may come on top of each other.
            if run.rng.chance(50) {
                run.world.run(Micros::from_millis(run.rng.of(1..1_500)));
            } else {
                run.world.run(HEALING);
                run.world.assert_fresh();
            }
        }
        run.world.run(HEALING);
        run.world.assert_fresh();
        run.world.finish();
    });
}
