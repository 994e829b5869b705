//! Cost of the sandbox: a room in wasmtime and the same room natively, on the same batches, in turn.
//!
//! Run with `cargo xtask bench worker`, which builds the component first. A leaf's figures include the whole
//! way of a message: its check, the delta, the root's answer and the fan's ack. Native and Wasm take turns
//! batch by batch, so that a busy machine is as busy for both; figures are medians.
#![allow(missing_docs)]

mod rooms;

use std::path::Path;
use std::time::{Duration, Instant};

use room::{Config, Room};
use rooms::{FANS, Kind, Rooms};
use wasm_host::{Engine, Instance, Options, Version};
use wire::Micros;

/// Batches of each kind, after a warm-up.
const ROUNDS: usize = 60;
const WARM: usize = 5;

fn main() {
    let engine = Engine::new(None).expect("an engine");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .ancestors()
        .map(|folder| folder.join("wasm-out/room/room.wasm"))
        .find(|file| file.is_file())
        .expect("the room is not built: run `cargo xtask wasm`");
    let began = Instant::now();
    let version = engine.load_file(&file).expect("the room's component");
    println!("{:<28}{:>12.1?}", "compile", began.elapsed());
    making(&version);
    println!("{:<28}{:>12}{:>12}{:>8}", "", "native", "wasm", "ratio");
    for kind in [Kind::Cheer, Kind::Say, Kind::SayUnmoderated] {
        messages(&version, kind);
    }
    state(&version);
}

fn options() -> Options {
    let mut options = Options::default();
    // A busy machine may be slow, and the benchmark does not measure deadlines: make them long.
    (options.call, options.state) = (Duration::from_secs(10), Duration::from_secs(10));
    options
}

fn instance(version: &Version, config: Config) -> Instance {
    let mut instance = Instance::new(version, options(), "bench").expect("an instance");
    instance.configure(&config).expect("alive").expect("a configuration");
    instance
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(times: &mut Vec<Duration>, call: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = call();
    times.push(began.elapsed());
    done
}

fn natively(room: &mut Room, now: Micros, batch: &[u8]) -> Vec<u8> {
    // The same initial capacity as in the component.
    let mut effects = Vec::with_capacity(batch.len());
    room.handle(now, batch, &mut effects).expect("a batch");
    effects
}

fn in_wasm(room: &mut Instance, now: Micros, batch: &[u8]) -> Vec<u8> {
    room.handle(now, batch).expect("alive").expect("a batch")
}

/// Measures the creation of an instance, and a call that does nothing.
fn making(version: &Version) {
    let (mut made, mut dropped, mut called) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let mut instance = timed(&mut made, || instance(version, rooms::leaf()));
        for _ in 0..20 {
            timed(&mut called, || {
                instance.handle(Micros(1), &[wire::VERSION]).expect("alive").expect("a batch")
            });
        }
        timed(&mut dropped, || drop(instance));
    }
    println!("{:<28}{:>12.1?}", "instantiate and configure", median(made));
    println!("{:<28}{:>12.1?}", "drop", median(dropped));
    println!("{:<28}{:>12.1?}", "handle nothing", median(called));
}

/// Measures messages per second at leaf and root.
fn messages(version: &Version, kind: Kind) {
    let mut rooms = Rooms::new(kind);
    let mut leaf = instance(version, rooms::leaf());
    leaf.restore(&rooms.leaf.snapshot()).expect("alive").expect("a snapshot");
    let mut root = instance(version, rooms::root());
    root.restore(&rooms.root.snapshot()).expect("alive").expect("a snapshot");
    let [mut leaf_native, mut leaf_wasm, mut root_native, mut root_wasm] = [const { Vec::new() }; 4];
    for round in 0..ROUNDS + WARM {
        if round == WARM {
            for times in [&mut leaf_native, &mut leaf_wasm, &mut root_native, &mut root_wasm] {
                times.clear();
            }
        }
        let batch = rooms.messages(kind);
        let now = rooms.now();
        let effects = timed(&mut leaf_native, || natively(&mut rooms.leaf, now, &batch));
        let theirs = timed(&mut leaf_wasm, || in_wasm(&mut leaf, now, &batch));
        assert!(effects == theirs, "the same room");
        let deltas = rooms::deltas(&effects);
        let effects = timed(&mut root_native, || natively(&mut rooms.root, now, &deltas));
        let theirs = timed(&mut root_wasm, || in_wasm(&mut root, now, &deltas));
        assert!(effects == theirs, "the same room");
        let answers = rooms::answers(&effects);
        let last = |times: &mut Vec<Duration>, took: Duration| *times.last_mut().expect("a batch") += took;
        let (mut native, mut wasm) = (Vec::new(), Vec::new());
        timed(&mut native, || natively(&mut rooms.leaf, now, &answers));
        timed(&mut wasm, || in_wasm(&mut leaf, now, &answers));
        last(&mut leaf_native, native[0]);
        last(&mut leaf_wasm, wasm[0]);
    }
    row(&format!("{kind:?}, leaf"), leaf_native, leaf_wasm);
    row(&format!("{kind:?}, root"), root_native, root_wasm);
}

fn row(what: &str, native: Vec<Duration>, wasm: Vec<Duration>) {
    let mut ratios: Vec<f64> =
        native.iter().zip(&wasm).map(|(native, wasm)| wasm.as_secs_f64() / native.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let pace = |times| f64::from(FANS) / median(times).as_secs_f64() / 1e6;
    let (native, wasm, ratio) = (pace(native), pace(wasm), ratios[ratios.len() / 2]);
    println!("{what:<28}{native:>8.2} M/s{wasm:>8.2} M/s{ratio:>8.2}");
}

/// Measures snapshots of a room with that many fans.
fn state(version: &Version) {
    let mut rooms = Rooms::new(Kind::Cheer);
    for (name, config) in [("leaf", rooms::leaf()), ("root", rooms::root())] {
        let ours = if name == "leaf" { &mut rooms.leaf } else { &mut rooms.root };
        let snapshot = ours.snapshot();
        let mut theirs = instance(version, config);
        let [mut native, mut wasm, mut restored] = [const { Vec::new() }; 3];
        for _ in 0..20 {
            timed(&mut restored, || theirs.restore(&snapshot)).expect("alive").expect("a snapshot");
            timed(&mut wasm, || theirs.snapshot()).expect("alive");
            timed(&mut native, || ours.snapshot());
        }
        let (native, wasm) = (median(native), median(wasm));
        let ratio = wasm.as_secs_f64() / native.as_secs_f64();
        println!(
            "{:<28}{native:>12.1?}{wasm:>12.1?}{ratio:>8.2}",
            format!("snapshot of {FANS} fans, {name}")
        );
        println!("{:<28}{:>24.1?}", format!("restore it ({} bytes)", snapshot.len()), median(restored));
    }
}
