//! A room in wasmtime behaves as natively, byte for byte.

use room::rehearsal::{self, Script, leaf_config, perform, root_config};
use room::{Config, Room};
use wasm_host::{Batch, Instance, Options, Worker};
use wire::Micros;

use crate::guest::{Flaw, batches, engine, flawed, native, room, setup};

const TICKS: u32 = 400;
const SEEDS: std::ops::Range<u64> = 0..6;

fn seats(script: &Script) -> [(Config, &[rehearsal::Batch]); 2] {
    [(leaf_config(), &script.leaf), (root_config(), &script.root)]
}

/// Returns the digest of a native room's output.
fn natively(config: Config, log: &[rehearsal::Batch]) -> u64 {
    perform(log, &mut Room::new(config), handle, |room| room.snapshot())
}

fn handle(room: &mut Room, now: Micros, inputs: &[u8]) -> Vec<u8> {
    let mut effects = Vec::new();
    room.handle(now, inputs, &mut effects).expect("a batch of the rehearsal");
    effects
}

fn instance(version: &wasm_host::Version, config: Config) -> Instance {
    let mut instance = Instance::new(version, Options::default(), "a room").expect("an instance");
    instance.configure(&config).expect("alive").expect("a configuration");
    instance
}

#[test]
fn determinism_of_the_component() {
    let engine = engine();
    let version = room(&engine);
    for seed in SEEDS {
        let script = Script::new(seed, TICKS);
        for (config, log) in seats(&script) {
            let handle = |room: &mut Instance, now, inputs: &[u8]| {
                room.handle(now, inputs).expect("alive").expect("a batch of the rehearsal")
            };
            let snapshot = |room: &mut Instance| room.snapshot().expect("alive");
            let digest = perform(log, &mut instance(&version, config), handle, snapshot);
            assert_eq!(digest, natively(config, log), "seed {seed}, {:?}", config.seat);
        }
    }
}

/// This test names the first batch at which two digests differ.
#[test]
fn determinism_of_each_batch() {
    let engine = engine();
    let version = room(&engine);
    let script = Script::new(11, TICKS);
    for (config, log) in seats(&script) {
        let (mut theirs, mut ours) = (instance(&version, config), Room::new(config));
        for (nth, batch) in log.iter().enumerate() {
            let mut effects = Vec::new();
            ours.handle(batch.now, &batch.inputs, &mut effects).expect("a batch of the rehearsal");
            let handled = theirs.handle(batch.now, &batch.inputs).expect("alive").expect("the same batch");
            assert!(handled == effects, "batch {nth}");
        }
        assert!(theirs.snapshot().expect("alive") == ours.snapshot());
    }
}

/// Host of a room: native or wasmtime.
enum Host {
    Native(Room),
    Wasm(Instance),
}

impl Host {
    fn handle(&mut self, now: Micros, inputs: &[u8]) -> Vec<u8> {
        match self {
            Self::Native(room) => handle(room, now, inputs),
            Self::Wasm(room) => room.handle(now, inputs).expect("alive").expect("a batch of the rehearsal"),
        }
    }

    fn snapshot(&mut self) -> Vec<u8> {
        match self {
            Self::Native(room) => room.snapshot(),
            Self::Wasm(room) => room.snapshot().expect("alive"),
        }
    }
}

/// A room that moves between the two again and again continues as one that stays.
#[test]
fn determinism_through_snapshots() {
    let engine = engine();
    let version = room(&engine);
    for seed in SEEDS {
        let script = Script::new(seed, TICKS);
        for (config, log) in seats(&script) {
            let mut calls = 0;
            let moving = |host: &mut Host, now, inputs: &[u8]| {
                calls += 1;
                if calls % 7 == 0 {
                    let snapshot = host.snapshot();
                    *host = if calls % 2 == 0 {
                        Host::Native(Room::restore(config, &snapshot).expect("its snapshot"))
                    } else {
                        let mut room = instance(&version, config);
                        room.restore(&snapshot).expect("alive").expect("a snapshot of the same room");
                        Host::Wasm(room)
                    };
                }
                host.handle(now, inputs)
            };
            let digest = perform(log, &mut Host::Native(Room::new(config)), moving, Host::snapshot);
            assert_eq!(digest, natively(config, log), "seed {seed}, {:?}", config.seat);
        }
    }
}

/// A room whose instances die every few batches behaves as one whose instance lives.
#[tokio::test]
async fn determinism_across_faults() {
    let engine = engine();
    let version = engine.load(&flawed(Flaw::Mortal(50))).expect("a worker");
    for seed in SEEDS {
        let script = Script::new(seed, TICKS);
        for (config, log) in seats(&script) {
            let mut setup = setup(config, &version);
            setup.options.faults = usize::MAX;
            let worker = Worker::start(&engine, setup).await.expect("a worker");
            let (mut effects, mut expected) = (Vec::new(), Vec::new());
            let mut ours = Room::new(config);
            for (nth, batch) in batches(log).into_iter().enumerate() {
                let Batch { now, inputs } = batch.clone();
                ours.handle(now, &inputs, &mut expected).expect("a batch");
                effects.extend_from_slice(&worker.handle(batch).await.expect("handled in the end"));
                if nth % 20 == 19 {
                    assert!(worker.snapshot().await.expect("a snapshot") == ours.snapshot(), "batch {nth}");
                }
            }
            assert!(effects == expected, "seed {seed}, {:?}", config.seat);
            assert!(worker.snapshot().await.expect("a snapshot") == native(config, &batches(log)));
            let figures = worker.figures();
            assert!(figures.faults.trap as usize > log.len() / 50, "{figures:?}");
            assert!(figures.revivals >= figures.faults.trap && figures.replayed > 0, "{figures:?}");
            assert_eq!((figures.skipped, figures.batches), (0, log.len() as u64), "{figures:?}");
        }
    }
}
