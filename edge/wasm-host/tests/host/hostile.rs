//! Hostile workers: each fault is recognised, and no other room is harmed.

use std::time::Duration;

use bytes::Bytes;
use room::rehearsal::{Script, leaf_config, root_config};
use wasm_host::{Batch, Engine, Error, Fault, Instance, Options, WAITING, Worker};
use wire::{Micros, SessionId, worker::Input};

use crate::guest::{Flaw, Guest, batches, engine, flawed, native, room, setup};

const LOOP: &str = "(loop (br 0))";
const TRAP: &str = "unreachable";
const DEEP: &str = "(drop (call $deep))";
/// Takes memory, a mebibyte at a time, and writes to all of it.
const BOMB: &str = "(loop
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
    (memory.fill (i32.shl (i32.sub (memory.size) (i32.const 16)) (i32.const 16)) (i32.const 7) (i32.const 1048576))
    (br 0))";
/// Longer than writing to all of the allowed memory takes.
const FILLING: Duration = Duration::from_secs(10);
/// Effects of 20 MiB.
const HUGE: &str = "(drop (memory.grow (i32.const 400)))
    (i32.store (i32.const 3072) (i32.const 0))
    (i32.store (i32.const 3076) (i32.const 0))
    (i32.store (i32.const 3080) (i32.const 20971520))
    (return (i32.const 3072))";
/// Effects that lie outside of its memory.
const OUTSIDE: &str = "(i32.store (i32.const 3072) (i32.const 0))
    (i32.store (i32.const 3076) (i32.const -16))
    (i32.store (i32.const 3080) (i32.const 4096))
    (return (i32.const 3072))";
/// Effects of one byte, which is no version.
const GARBAGE: &str = "(i32.store8 (i32.const 2048) (i32.const 99))";
const CHATTER: &str = "(loop (call $log (i32.const 1) (i32.const 0) (i32.const 1000)) (br 0))";

fn hostile(handle: &'static str) -> Guest {
    Guest { handle, ..Guest::default() }
}

fn empty(now: u64) -> Batch {
    Batch { now: Micros(now), inputs: Bytes::from_static(&[wire::VERSION]) }
}

#[test]
fn hostile_calls_end_with_what_they_did() {
    let engine = engine();
    let options = Options::default();
    let fault = |handle| {
        let mut options = options;
        if handle == BOMB {
            options.call = FILLING;
        }
        let version = engine.load(&hostile(handle).component()).unwrap();
        let mut instance = Instance::new(&version, options, "a room").unwrap();
        instance.configure(&leaf_config()).unwrap().unwrap();
        instance.handle(Micros(1), &[wire::VERSION]).unwrap_err()
    };
    assert_eq!(fault(LOOP), Fault::Deadline(options.call));
    assert_eq!(fault(CHATTER), Fault::Deadline(options.call));
    assert_eq!(fault(BOMB), Fault::Memory(options.memory));
    assert_eq!(fault(DEEP), Fault::Stack);
    assert_eq!(fault(HUGE), Fault::TooLong(options.effects));
    assert_eq!(fault(GARBAGE), Fault::Garbage(wire::Error::Version(99)));
    for trap in [TRAP, OUTSIDE] {
        assert!(matches!(fault(trap), Fault::Trap(_)), "{:?}", fault(trap));
    }
}

#[test]
fn hostile_plans_are_cut_to_what_was_asked() {
    let engine = engine();
    let plan = |handle| {
        let version = engine.load(&hostile(handle).component()).unwrap();
        let mut instance = Instance::new(&version, Options::default(), "a room").unwrap();
        instance.plan(&[wire::worker::Demand::default(); 3], &[400, 1200])
    };
    // The worker answers with one byte, whatever the demands.
    assert_eq!(plan("").unwrap(), [1, wire::worker::SKIP, wire::worker::SKIP]);
    assert_eq!(plan(GARBAGE).unwrap(), [wire::worker::SKIP; 3]);
    assert!(matches!(plan(LOOP), Err(Fault::Deadline(_))));
}

/// Whatever a version does, its fallback has the room whole in the end, and acks all messages.
#[tokio::test]
async fn hostile_versions_give_way_and_nothing_is_lost() {
    let engine = engine();
    let good = room(&engine);
    let log = batches(&Script::new(7, 40).leaf);
    let expected = native(leaf_config(), &log);
    for handle in [LOOP, CHATTER, BOMB, DEEP, HUGE, GARBAGE, TRAP, OUTSIDE] {
        let bad = engine.load(&hostile(handle).component()).unwrap();
        let mut setup = setup(leaf_config(), &bad);
        setup.fallback = Some(good.clone());
        let worker = Worker::start(&engine, setup).await.unwrap();
        let mut effects = 0;
        for batch in &log {
            effects +=
                worker.handle(batch.clone()).await.unwrap_or_else(|error| panic!("{handle}: {error}")).len();
        }
        assert!(effects > log.len(), "{handle}: the effects are the room's");
        assert!(worker.snapshot().await.unwrap() == expected, "{handle}");
        let figures = worker.figures();
        assert_eq!((figures.fallbacks, figures.faults.total(), figures.skipped), (1, 3, 0), "{handle}");
        assert_eq!(figures.entries_dropped > 100, handle == CHATTER, "{handle}: {figures:?}");
    }
}

/// A version handles and makes snapshots, but cannot be restored.
#[tokio::test]
async fn hostile_restores_give_way_too() {
    let engine = engine();
    let good = room(&engine);
    let bad = engine.load(&flawed(Flaw::Forgetful)).unwrap();
    let log = batches(&Script::new(8, 40).root);
    let (before, after) = log.split_at(log.len() / 2);
    let snapshot = Bytes::from(native(root_config(), before));

    let mut with_fallback = setup(root_config(), &bad);
    with_fallback.options.state = Duration::from_millis(50);
    let alone = Worker::restore(&engine, with_fallback.clone(), snapshot.clone(), after.to_vec()).await;
    assert!(
        matches!(&alone, Err(Error::Lost(why)) if why.contains("cannot bring the room back")),
        "{alone:?}"
    );

    with_fallback.fallback = Some(good);
    let worker = Worker::restore(&engine, with_fallback, snapshot, after.to_vec()).await.unwrap();
    assert!(worker.snapshot().await.unwrap() == native(root_config(), &log));
    assert_eq!(worker.figures().faults.deadline, 3);
}

/// Rooms that burn their deadlines all the time do not delay the turns of the others.
#[tokio::test]
async fn hostile_rooms_slow_themselves_alone() {
    const HOSTILE: usize = 4;
    const CALLS: u64 = 300;
    let engine = engine();
    let bad = engine.load(&hostile(LOOP).component()).unwrap();
    let good = Worker::start(&engine, setup(leaf_config(), &room(&engine))).await.unwrap();
    let mut burning = Vec::new();
    for _ in 0..HOSTILE {
        let worker = Worker::start(&engine, setup(leaf_config(), &bad)).await.unwrap();
        assert!(matches!(worker.handle(empty(1)).await, Err(Error::Skipped(Fault::Deadline(_)))));
        burning.push(worker);
    }
    let burnt =
        |burning: &[Worker]| -> u64 { burning.iter().map(|worker| worker.figures().faults.total()).sum() };
    let before = burnt(&burning);
    // As many calls as the queue takes: each burns its deadline, twenty milliseconds.
    let mut waiting = Vec::new();
    for worker in &burning {
        for now in 0..WAITING as u64 {
            waiting.push(tokio::spawn(worker.handle(empty(now))));
        }
    }
    for now in 0..CALLS {
        good.handle(empty(now)).await.unwrap();
    }
    // In turn with the four, each call would have waited for two turns of twenty milliseconds or more.
    let meanwhile = burnt(&burning) - before;
    assert!(meanwhile < CALLS / 10, "{meanwhile} turns of hostile rooms during {CALLS} calls of a good one");
    drop(burning);
    let mut gone = 0;
    for call in waiting {
        gone += usize::from(matches!(call.await.unwrap(), Err(Error::Gone)));
    }
    assert!(gone > 0, "what still waited is told");
}

/// A worker that cannot bear a word is well until the next batch with it.
#[tokio::test]
async fn hostile_words() {
    const POISON: [u8; 8] = *b"poisoned";
    let engine = engine();
    let bad = engine.load(&flawed(Flaw::Poisoned(POISON))).unwrap();
    let worker = Worker::start(&engine, setup(leaf_config(), &bad)).await.unwrap();
    for (now, packet, is_well) in [(1, *b"unspoilt", true), (2, POISON, false), (3, *b"poisoner", true)] {
        let inputs = wire::packet(&Input::FanPacket { session: SessionId(0), packet: &packet });
        let handled = worker.handle(Batch { now: Micros(now), inputs: inputs.into() }).await;
        assert_eq!(handled.is_ok(), is_well, "{handled:?}");
    }
}

/// A worker with a full queue reports it, and takes no more calls.
#[tokio::test]
async fn hostile_crowds_of_calls_are_shed() {
    let engine = engine();
    let bad = engine.load(&hostile(LOOP).component()).unwrap();
    let worker = Worker::start(&engine, setup(leaf_config(), &bad)).await.unwrap();
    let calls: Vec<_> = (0..10 * WAITING as u64).map(|now| worker.handle(empty(now))).collect();
    let shed = worker.figures().shed as usize;
    assert!(shed > 8 * WAITING, "{shed}");
    drop(worker);
    let mut busy = 0;
    for call in calls {
        busy += usize::from(matches!(call.await, Err(Error::Busy { waiting: WAITING })));
    }
    assert_eq!(busy, shed);
}

/// A worker that is dropped while it burns its deadline, and its engine with it, ends all threads.
#[tokio::test]
async fn hostile_workers_end_with_their_engine() {
    let engine = Engine::new(None).unwrap();
    let version = engine.load(&hostile(LOOP).component()).unwrap();
    let worker = Worker::start(&engine, setup(leaf_config(), &version)).await.unwrap();
    drop((engine, version));
    let call = worker.handle(empty(1));
    let next = worker.handle(empty(2));
    drop(worker);
    assert!(matches!(next.await, Err(Error::Gone)));
    // The call was running, or never began.
    assert!(matches!(call.await, Err(Error::Skipped(_) | Error::Gone)));
}

/// Returns the bytes of memory of this process, and of its address space.
#[cfg(target_os = "linux")]
fn taken() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let figure = |name: &str| -> usize {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    (figure("VmRSS:"), figure("VmSize:"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn hostile_memory_is_given_back() {
    const BOMBS: usize = 40;
    let engine = engine();
    let bad = engine.load(&hostile(BOMB).component()).unwrap();
    let explode = async || {
        let mut setup = setup(leaf_config(), &bad);
        setup.options.call = FILLING;
        let worker = Worker::start(&engine, setup).await.unwrap();
        let error = worker.handle(empty(1)).await.unwrap_err();
        assert!(matches!(error, Error::Skipped(Fault::Memory(_))), "{error}");
        worker.figures().memory_bytes
    };
    assert_eq!(explode().await, 0, "an instance that has ended has no memory");
    let (memory, addresses) = taken();
    for _ in 0..BOMBS {
        explode().await;
    }
    let (memory_after, addresses_after) = taken();
    // Two instances each, of 64 MiB and 4 GiB of addresses.
    assert!(memory_after < memory + (200 << 20), "{memory} {memory_after}");
    assert!(addresses_after < addresses + (20 << 30), "{addresses} {addresses_after}");
}
