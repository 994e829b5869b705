//! The rate at which a disk keeps batches.
//!
//! Run with `cargo bench -p fanfare-origin --bench keep`. An append is a batch of a room with ten chat lines; a row of
//! figures is for that many rooms that append at once, each as soon as its last batch is kept.
#![allow(missing_docs)]

use divan::{Bencher, counter::ItemsCount};
use origin::keep::{Batch, FILE, Keep};
use tokio::runtime::Runtime;
use wire::worker::{Effect, Row, Seen};
use wire::{ChatId, FanId, Micros};

/// Appends of each room in one iteration.
const EACH: u64 = 50;
const LINES: u64 = 10;
/// Bytes of a batch: ten lines of sixty characters, with their encoding.
const INPUTS: usize = 1000;

fn main() {
    divan::main();
}

fn effects(first: u64) -> Vec<u8> {
    let text = "a line as people write them, some sixty characters, no more";
    let mut effects = Vec::new();
    wire::start(&mut effects);
    for id in first..first + LINES {
        let (id, at, fan, seen) = (ChatId(id), Micros(id), FanId(id % 999), Seen::Everyone);
        let row = Row::Said { id, at, fan, name: "somebody", text, reply: None, seen };
        wire::put(&mut effects, &Effect::Archive(row));
    }
    effects
}

async fn fill(keep: Keep, room: String) {
    let mut seq = keep.load(&room).await.expect("readable").map_or(0, |kept| kept.seq);
    for _ in 0..EACH {
        let batch = Batch { now: Micros(seq), inputs: vec![7; INPUTS] };
        seq = keep.append(&room, batch, &effects(seq * LINES)).await.expect("kept");
    }
    // Snapshot as an origin does, so that the journal stays short.
    keep.snapshot(&room, seq, vec![3; 4 * INPUTS]).await.expect("kept");
}

#[divan::bench(args = [1, 8, 64], sample_count = 10, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, rooms: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let runtime = Runtime::new().expect("a runtime");
    let keep = runtime.block_on(Keep::open(&dir.path().join(FILE))).expect("a file of ours");
    bencher.counter(ItemsCount::new(rooms * EACH)).bench_local(|| {
        runtime.block_on(async {
            let fills = (0..rooms).map(|room| tokio::spawn(fill(keep.clone(), format!("room{room}"))));
            for filled in fills.collect::<Vec<_>>() {
                filled.await.expect("kept");
            }
        });
    });
    runtime.block_on(keep.close());
}
