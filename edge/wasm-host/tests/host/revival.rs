//! Rooms are restored after faults, from snapshots and journals.

use bytes::Bytes;
use room::rehearsal::{Script, leaf_config, root_config};
use wasm_host::{Error, Fault, Worker};

use crate::guest::{ENDING, Flaw, Guest, batches, engine, flawed, native, room, setup};

#[tokio::test]
async fn a_worker_goes_on_where_its_snapshot_and_batches_end() {
    let engine = engine();
    let version = room(&engine);
    let script = Script::new(1, 300);
    let log = batches(&script.root);
    let (before, after) = log.split_at(log.len() / 2);
    let (since, rest) = after.split_at(40);

    let first = Worker::start(&engine, setup(root_config(), &version)).await.unwrap();
    for batch in before {
        first.handle(batch.clone()).await.unwrap();
    }
    let snapshot = first.snapshot().await.unwrap();
    drop(first);

    let again = Worker::restore(&engine, setup(root_config(), &version), snapshot, since.to_vec()).await;
    let again = again.unwrap();
    for batch in rest {
        again.handle(batch.clone()).await.unwrap();
    }
    assert!(again.snapshot().await.unwrap() == native(root_config(), &log));
}

/// A journalled batch that cannot be replayed is an error: it is never skipped.
#[tokio::test]
async fn batches_that_cannot_be_handled_again_are_not_left_out() {
    let engine = engine();
    let version = room(&engine);
    let script = Script::new(2, 20);
    let log = batches(&script.root);
    let moment = log[7].now.0 as i64 % ENDING;
    let bad = engine.load(&flawed(Flaw::Allergic(moment))).unwrap();
    let snapshot = Bytes::from(native(root_config(), &[]));

    let failed = Worker::restore(&engine, setup(root_config(), &bad), snapshot.clone(), log.clone()).await;
    assert!(matches!(failed, Err(Error::Skipped(Fault::Trap(_)))), "{failed:?}");

    let mut with_fallback = setup(root_config(), &bad);
    with_fallback.fallback = Some(version);
    let worker = Worker::restore(&engine, with_fallback, snapshot, log.clone()).await.unwrap();
    assert_eq!(worker.figures().fallbacks, 1);
    assert!(worker.snapshot().await.unwrap() == native(root_config(), &log));
}

#[tokio::test]
async fn a_snapshot_of_another_kind_is_named() {
    let engine = engine();
    let version = room(&engine);
    let start = |snapshot: Vec<u8>| {
        let engine = &engine;
        let setup = setup(leaf_config(), &version);
        async move { Worker::restore(engine, setup, snapshot.into(), Vec::new()).await.unwrap_err().to_string() }
    };
    let newer = start(vec![200, 1, 2]).await;
    assert!(newer.contains("the snapshot has version 200: this room reads version 1"), "{newer}");
    let other_seat = start(native(root_config(), &[])).await;
    assert!(other_seat.contains("another seat"), "{other_seat}");
}

/// A poisonous batch harms itself alone, if there is no fallback.
#[tokio::test]
async fn a_batch_that_is_not_survived_is_skipped() {
    let engine = engine();
    let script = Script::new(3, 100);
    let log = batches(&script.leaf);
    let poison = log.len() / 2;
    let moment = log[poison].now.0 as i64 % ENDING;
    let version = engine.load(&flawed(Flaw::Allergic(moment))).unwrap();
    let worker = Worker::start(&engine, setup(leaf_config(), &version)).await.unwrap();

    let (mut survived, mut skipped) = (Vec::new(), 0);
    for batch in &log {
        match worker.handle(batch.clone()).await {
            Ok(_) => survived.push(batch.clone()),
            Err(Error::Skipped(Fault::Trap(_))) => {
                assert_eq!(batch.now.0 as i64 % ENDING, moment);
                skipped += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(skipped >= 1 && survived.len() > poison);
    assert_eq!(worker.figures().skipped, skipped);
    assert!(worker.snapshot().await.unwrap() == native(leaf_config(), &survived));
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_is_refused_and_nothing_ends() {
    let engine = engine();
    let worker = Worker::start(&engine, setup(leaf_config(), &room(&engine))).await.unwrap();
    let inputs = Bytes::from_static(&[77, 1, 2]);
    let refused = worker.handle(wasm_host::Batch { now: wire::Micros(1), inputs }).await.unwrap_err();
    assert!(refused.to_string().contains("a packet of version 77"), "{refused}");
    assert_eq!(worker.figures().faults.total(), 0);
}

/// The journal is bounded even if no version makes snapshots; a full one is reported.
#[tokio::test]
async fn a_log_without_snapshots_ends() {
    let engine = engine();
    let mute = Guest { snapshot: "unreachable", ..Guest::default() };
    let version = engine.load(&mute.component()).unwrap();
    let mut setup = setup(leaf_config(), &version);
    setup.options.faults = 1000;
    let worker = Worker::start(&engine, setup).await.unwrap();
    let inputs = Bytes::from(vec![1; 1 << 20]);
    for nth in 0.. {
        assert!(nth < 100, "the journal has {} bytes", worker.figures().journal_bytes);
        match worker.handle(wasm_host::Batch { now: wire::Micros(nth), inputs: inputs.clone() }).await {
            Ok(_) => {}
            Err(Error::Lost(why)) => {
                assert!(why.contains("makes no snapshot"), "{why}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}
