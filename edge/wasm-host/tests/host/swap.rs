//! Another version takes over a running room.

use room::rehearsal::{Script, root_config};
use wasm_host::{Error, Worker};

use crate::guest::{ENDING, Flaw, Guest, batches, engine, flawed, native, room, setup};

#[tokio::test]
async fn a_swap_keeps_everything() {
    let engine = engine();
    let (old, new) = (room(&engine), engine.load(&flawed(Flaw::Mortal(i32::MAX))).unwrap());
    assert_ne!(old, new);
    let log = batches(&Script::new(4, 200).root);
    let worker = Worker::start(&engine, setup(root_config(), &old)).await.unwrap();
    for (nth, batch) in log.iter().enumerate() {
        if nth == log.len() / 3 {
            worker.swap(new.clone()).await.unwrap();
        }
        worker.handle(batch.clone()).await.unwrap();
    }
    assert_eq!(worker.figures().swaps, 1);
    assert!(worker.snapshot().await.unwrap() == native(root_config(), &log));
}

#[tokio::test]
async fn a_swap_that_fails_changes_nothing() {
    let engine = engine();
    let old = room(&engine);
    let slow = engine.load(&flawed(Flaw::Forgetful)).unwrap();
    let dead = Guest { restore: "unreachable", ..Guest::default() };
    let dead = engine.load(&dead.component()).unwrap();
    let log = batches(&Script::new(5, 100).root);
    let worker = Worker::start(&engine, setup(root_config(), &old)).await.unwrap();
    for (nth, batch) in log.iter().enumerate() {
        let bad = match nth {
            20 => Some(&slow),
            40 => Some(&dead),
            _ => None,
        };
        if let Some(bad) = bad {
            let error = worker.swap(bad.clone()).await.unwrap_err();
            assert!(matches!(&error, Error::Refused(why) if why.contains("cannot take over")), "{error}");
        }
        worker.handle(batch.clone()).await.unwrap();
    }
    assert_eq!((worker.figures().swaps, worker.figures().fallbacks), (0, 0));
    assert!(worker.snapshot().await.unwrap() == native(root_config(), &log));
}

/// After a swap, the earlier version is the fallback.
#[tokio::test]
async fn the_version_before_takes_over_again() {
    let engine = engine();
    let old = room(&engine);
    let log = batches(&Script::new(6, 200).root);
    let moment = log[log.len() - 10].now.0 as i64 % ENDING;
    let new = engine.load(&flawed(Flaw::Allergic(moment))).unwrap();
    let worker = Worker::start(&engine, setup(root_config(), &old)).await.unwrap();
    worker.swap(new.clone()).await.unwrap();
    assert_eq!(worker.version(), new);
    for batch in &log {
        worker.handle(batch.clone()).await.unwrap();
    }
    let figures = worker.figures();
    assert_eq!((figures.fallbacks, figures.skipped, figures.faults.trap), (1, 0, 3), "{figures:?}");
    assert_eq!(worker.version(), old);
    assert!(worker.snapshot().await.unwrap() == native(root_config(), &log));
}
