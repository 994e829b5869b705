//! A restored room is equal to the room that went on.

use std::sync::Arc;

use origin::keep::{Batch, Keep};
use room::{
    Room,
    rehearsal::{Script, perform, root_config},
};
use tokio::runtime::Runtime;
use wire::Micros;

use super::Dir;

/// A root, run as an origin runs it.
struct Kept<'a> {
    dir: &'a Dir,
    runtime: Arc<Runtime>,
    keep: Option<Keep>,
    room: Option<Room>,
    handled: usize,
}

impl Kept<'_> {
    /// Restores the room from the file.
    fn begin(&mut self) -> &mut Room {
        let (runtime, dir) = (Arc::clone(&self.runtime), self.dir);
        let keep = self.keep.get_or_insert_with(|| runtime.block_on(dir.keep()));
        self.room.get_or_insert_with(|| {
            let kept = runtime.block_on(keep.load("demo")).expect("readable");
            let Some(kept) = kept else { return Room::new(root_config()) };
            let mut room = match &kept.snapshot {
                Some(snapshot) => Room::restore(root_config(), snapshot).expect("a snapshot of ours"),
                None => Room::new(root_config()),
            };
            for batch in &kept.batches {
                room.handle(batch.now, &batch.inputs, &mut Vec::new()).expect("a batch of ours");
            }
            room
        })
    }

    fn handle(&mut self, now: Micros, inputs: &[u8]) -> Vec<u8> {
        self.handled += 1;
        // Every 23rd time, lose the room: after a batch that is kept, or with one that is not.
        if self.handled.is_multiple_of(23) {
            let lost = &mut Vec::new();
            self.begin().handle(now, inputs, lost).expect("a batch of ours");
            self.end();
        }
        let mut effects = Vec::new();
        self.begin().handle(now, inputs, &mut effects).expect("a batch of ours");
        let keep = self.keep.clone().expect("open");
        let batch = Batch { now, inputs: inputs.to_vec() };
        let seq = self.runtime.block_on(keep.append("demo", batch, &effects)).expect("kept");
        assert_eq!(seq, self.handled as u64);
        if self.handled.is_multiple_of(7) {
            let state = self.begin().snapshot();
            self.runtime.block_on(keep.snapshot("demo", seq, state)).expect("kept");
        }
        drop(keep);
        if self.handled.is_multiple_of(31) {
            self.end();
        }
        effects
    }

    fn end(&mut self) {
        self.room = None;
        if let Some(keep) = self.keep.take() {
            self.runtime.block_on(keep.close());
        }
    }
}

#[test]
fn a_room_that_was_restarted_is_the_one_that_was_not() {
    for seed in 1..=3 {
        let log = Script::new(seed, 60).root;
        let whole = perform(
            &log,
            &mut Room::new(root_config()),
            |room, now, inputs| {
                let mut effects = Vec::new();
                room.handle(now, inputs, &mut effects).expect("a batch of ours");
                effects
            },
            |room| room.snapshot(),
        );
        let dir = Dir::new();
        let runtime = Arc::new(Runtime::new().expect("a runtime"));
        let mut kept = Kept { dir: &dir, runtime, keep: None, room: None, handled: 0 };
        let restarted = perform(&log, &mut kept, Kept::handle, |kept| kept.begin().snapshot());
        assert!(kept.handled > 31, "{} batches", kept.handled);
        assert_eq!(restarted, whole, "seed {seed}");
        kept.end();
    }
}

#[tokio::test]
async fn a_snapshot_replaces_the_journal() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let no_rows = super::effects(&[]);
    for at in 1..=5 {
        assert_eq!(keep.append("demo", super::batch([at]), &no_rows).await, Ok(at.into()));
    }
    keep.snapshot("demo", 3, b"three".to_vec()).await.expect("kept");
    let kept = keep.load("demo").await.expect("readable").expect("kept");
    assert_eq!(kept.snapshot.as_deref(), Some(&b"three"[..]));
    assert_eq!((kept.batches, kept.seq), (vec![super::batch([4]), super::batch([5])], 5));
    keep.snapshot("demo", 5, b"five".to_vec()).await.expect("kept");
    keep.close().await;

    let keep = dir.keep().await;
    assert_eq!(keep.rooms().await.expect("readable"), ["demo"]);
    let kept = keep.load("demo").await.expect("readable").expect("kept");
    assert_eq!((kept.snapshot.as_deref(), kept.batches.len(), kept.seq), (Some(&b"five"[..]), 0, 5));
    assert_eq!(keep.append("demo", super::batch([6]), &no_rows).await, Ok(6));
}
