//! A room at all its bounds, and under floods, within the memory and the time of a worker.

use std::time::{Duration, Instant};

use bytes::Bytes;
use room::crowd::Crowd;
use room::rehearsal::root_config;
use wasm_host::{Batch, Instance, Options, Version};
use wire::{Act, GiftId, PollId, Screen};

use crate::guest::{engine, room};

/// A room at all its bounds leaves one of so many parts of its memory.
const SPARE: usize = 6;

/// A root in wasmtime, and the longest call so far.
struct Root {
    instance: Instance,
    longest: Duration,
}

impl Root {
    fn new(version: &Version) -> Self {
        let mut options = Options::default();
        // What a large room has beyond that is to spare.
        options.state_per_mib = Duration::ZERO;
        let instance = Instance::new(version, options, "a room").expect("an instance");
        let mut root = Self { instance, longest: Duration::ZERO };
        root.instance.configure(&root_config()).expect("no fault").expect("a seat");
        root
    }

    fn crowd(&mut self) -> Crowd<impl FnMut(room::rehearsal::Batch) + '_> {
        Crowd::new(|batch| self.handle(&Batch { now: batch.now, inputs: batch.inputs.into() }))
    }

    fn handle(&mut self, batch: &Batch) {
        let began = Instant::now();
        self.instance.handle(batch.now, &batch.inputs).expect("no fault").expect("a batch");
        self.longest = self.longest.max(began.elapsed());
    }
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn a_room_at_all_its_bounds_fits_its_memory_and_its_time() {
    let version = room(&engine());
    let options = Options::default();
    let mut root = Root::new(&version);
    root.crowd().fill();
    let filled = root.instance.memory();
    let began = Instant::now();
    let snapshot = root.instance.snapshot().expect("a snapshot");
    let took = began.elapsed();
    println!("filled: {:.1} MiB, longest call {:?}", mib(filled), root.longest);
    println!(
        "snapshot: {:.1} MiB in {took:?}, memory then {:.1} MiB",
        mib(snapshot.len()),
        mib(root.instance.memory())
    );
    let mut again = Root::new(&version);
    let began = Instant::now();
    again.instance.restore(&snapshot).expect("no fault").expect("our own snapshot");
    let restored = began.elapsed();
    println!("restored in {restored:?}, memory then {:.1} MiB", mib(again.instance.memory()));
    assert!(again.instance.snapshot().expect("a snapshot") == snapshot);
    println!("with a snapshot again: {:.1} MiB", mib(again.instance.memory()));
    for memory in [root.instance.memory(), again.instance.memory()] {
        let spare = options.memory.saturating_sub(memory);
        assert!(spare * SPARE > options.memory, "{:.1} MiB are left", mib(spare));
    }
}

/// A hundred thousand strangers come, are refused sixty-four messages and leave; fans with a name are served meanwhile.
#[test]
fn strangers_who_are_refused_do_not_end_a_room() {
    let version = room(&engine());
    let mut root = Root::new(&version);
    let mut crowd = root.crowd();
    for fan in 0..100_000 {
        let at = crowd.enter(fan, "guest-0123abcd", true);
        crowd.refuse(at, 1..=64);
        crowd.leave(at);
        if fan % 100 == 0 {
            let regular = crowd.enter(1_000_000 + fan / 100 % 50, "somebody", false);
            crowd.act(regular, 1 + fan / 5000, Screen::Pass, Act::Cheer { kind: 0, count: 1 });
        }
    }
    crowd.wait(10);
    drop(crowd);
    println!("memory: {:.1} MiB, longest call {:?}", mib(root.instance.memory()), root.longest);
    assert!(root.instance.memory() < Options::default().memory / 2);
    let snapshot = Bytes::from(root.instance.snapshot().expect("a snapshot"));
    let mut again = Root::new(&version);
    again.instance.restore(&snapshot).expect("no fault").expect("our own snapshot");
}

/// Deltas that edges have collected in twelve seconds of silence come at once, in batches as a root cuts them: each is handled
/// within the time of a call.
#[test]
fn a_flood_after_an_outage_is_handled_in_time() {
    let version = room(&engine());
    let mut root = Root::new(&version);
    let mut crowd = root.crowd();
    crowd.set_up();
    for fan in 0..24_000 {
        let at = crowd.enter(fan, "somebody", false);
        crowd.act(at, 1, Screen::Pass, Act::Vote { poll: PollId(1), option: 1 });
        crowd.act(at, 2, Screen::Pass, Act::Gift { gift: GiftId(1), count: 1, key: fan });
    }
    crowd.wait(1);
    drop(crowd);
    println!("longest call {:?}", root.longest);
}
