//! A room's journal in the origin's SQLite file.

use std::cell::Cell;

use bytes::Bytes;
use moqt::Later;
use room_runtime::{Batch, Journal, Kept};

use crate::keep::{self, Keep};

/// The journal of one room.
pub(crate) struct SqliteJournal {
    keep: Keep,
    room: String,
    /// The number of the last batch that was appended.
    last: Cell<u64>,
}

impl SqliteJournal {
    pub(crate) fn new(keep: Keep, room: String) -> Self {
        Self { keep, room, last: Cell::new(0) }
    }
}

impl Journal for SqliteJournal {
    fn load(&self) -> Later<'_, Result<Kept, room_runtime::Error>> {
        Box::pin(async move {
            let Some(kept) = self.keep.load(&self.room).await.map_err(|error| failed(&error))? else {
                return Ok(Kept::default());
            };
            self.last.set(kept.seq);
            let batch = |keep::Batch { now, inputs }| Batch { now, inputs: inputs.into() };
            Ok(Kept {
                snapshot: kept.snapshot.map(Bytes::from),
                batches: kept.batches.into_iter().map(batch).collect(),
            })
        })
    }

    fn append(&self, batch: Batch, effects: Bytes) -> Later<'_, Result<(), room_runtime::Error>> {
        let batch = keep::Batch { now: batch.now, inputs: batch.inputs.into() };
        let appended = self.keep.append(&self.room, batch, &effects);
        Box::pin(async move {
            self.last.set(appended.await.map_err(|error| failed(&error))?);
            Ok(())
        })
    }

    fn snapshot(&self, state: Bytes) -> Later<'_, Result<(), room_runtime::Error>> {
        let kept = self.keep.snapshot(&self.room, self.last.get(), state.into());
        Box::pin(async move { kept.await.map_err(|error| failed(&error)) })
    }
}

fn failed(error: &keep::Error) -> room_runtime::Error {
    room_runtime::Error::Journal(error.to_string())
}
