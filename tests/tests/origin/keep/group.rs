//! Commits of many batches at once: their order, their failure, their bound.

use origin::keep::Error;
use wire::FanId;

use super::{Dir, batch, effects, said};

const ROOMS: usize = 20;
const EACH: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_commit_runs_is_committed_together() {
    let (dir, mut rooms) = (Dir::new(), Vec::new());
    let keep = dir.keep().await;
    for room in 0..ROOMS {
        let (keep, room) = (keep.clone(), format!("room{room}"));
        rooms.push(tokio::spawn(async move {
            assert_eq!(keep.load(&room).await, Ok(None));
            for at in 1..=EACH as u64 {
                let row = said(at, FanId(7), "hello");
                assert_eq!(keep.append(&room, batch(at.to_le_bytes()), &effects(&[row])).await, Ok(at));
            }
        }));
    }
    for room in rooms {
        room.await.expect("all kept");
    }
    let figures = keep.figures();
    assert_eq!((figures.batches, figures.failures), ((ROOMS * EACH) as u64, 0));
    assert!(figures.commits < figures.batches / 2, "{figures:?}");
    let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM lines")
        .fetch_one(&mut dir.sql().await)
        .await
        .expect("a table");
    assert_eq!(lines as usize, ROOMS * EACH);
}

#[tokio::test]
async fn batches_are_in_the_order_of_the_calls() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let mut waiting: Vec<_> =
        (1..=100_u64).map(|at| keep.append("demo", batch(at.to_le_bytes()), &effects(&[]))).collect();
    while let Some(last) = waiting.pop() {
        assert_eq!(last.await, Ok(waiting.len() as u64 + 1));
    }
    keep.close().await;
    let kept = dir.keep().await.load("demo").await.expect("readable").expect("kept");
    let inputs: Vec<_> = kept.batches.into_iter().map(|batch| batch.inputs).collect();
    assert_eq!(inputs, (1..=100_u64).map(|at| at.to_le_bytes().to_vec()).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_appended_to_a_room_that_may_have_lost_something() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    let not_loaded = || Error::NotLoaded { room: "demo".into() };
    assert_eq!(keep.append("demo", batch("x"), &effects(&[])).await, Err(not_loaded()));
    keep.load("demo").await.expect("a new room");
    assert_eq!(keep.append("demo", batch("1"), &effects(&[])).await, Ok(1));

    let broken = keep.append("demo", batch("lost"), &[9, 9]).await.expect_err("no effects");
    assert!(matches!(broken, Error::Effects { .. }), "{broken}");
    assert_eq!(keep.append("demo", batch("after"), &effects(&[])).await, Err(not_loaded()));
    assert_eq!(keep.snapshot("demo", 1, vec![1]).await, Err(not_loaded()));
    let kept = keep.load("demo").await.expect("readable").expect("kept");
    assert_eq!(kept.batches, [batch("1")]);
    assert_eq!(keep.append("demo", batch("2"), &effects(&[])).await, Ok(2));
    let early = keep.snapshot("demo", 3, vec![1]).await;
    assert_eq!(early, Err(Error::NoBatch { room: "demo".into(), seq: 3, last: 2 }));
}

#[tokio::test]
async fn more_than_may_wait_is_refused_at_once() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    keep.load("other").await.expect("a new room");
    let big = vec![0; origin::keep::MAX_WAITING_BYTES / 2];
    let first = keep.append("demo", batch(big.clone()), &effects(&[]));
    let second = keep.append("demo", batch(big), &effects(&[]));
    let third = keep.append("demo", batch("small"), &effects(&[]));
    assert_eq!(first.await, Ok(1));
    assert!(matches!(second.await, Err(Error::Behind { .. })));
    assert!(matches!(third.await, Err(Error::NotLoaded { .. })), "there would be a gap");
    assert_eq!(keep.append("other", batch("small"), &effects(&[])).await, Ok(1));
}
