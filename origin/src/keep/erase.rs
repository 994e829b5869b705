//! Erases a person from rooms that do not run, or one such room.

use room::{Config, Room};
use wire::worker::{Input, Seat};
use wire::{FanId, Micros};

use super::{Batch, Error, Keep};

/// Erases a person from the archive, and from all rooms: restores each one with the built-in room, has it forget the
/// person, and keeps its new snapshot. Returns the number of rooms. If some room fails, the others are erased all the
/// same, and its error is returned.
pub async fn erase(keep: &Keep, fan: FanId, now: Micros) -> Result<usize, Error> {
    let rooms = keep.forget(fan).await?;
    let mut failed = None;
    for name in &rooms {
        failed = failed.or(erase_in(keep, name, fan, now).await.err());
    }
    keep.scrub().await?;
    failed.map_or(Ok(rooms.len()), Err)
}

/// Erases a room that does not run: all that it is restored from, and all that is archived of it.
pub async fn erase_room(keep: &Keep, room: &str) -> Result<(), Error> {
    keep.close_room(room).await?;
    keep.change(archive::forget_room(room)).await?;
    keep.scrub().await
}

async fn erase_in(keep: &Keep, name: &str, fan: FanId, now: Micros) -> Result<(), Error> {
    let Some(kept) = keep.load(name).await? else { return Ok(()) };
    let inputs = wire::packet(&Input::Forget { fan });
    let mut effects = Vec::new();
    let batches = kept.batches.iter().map(|batch| (batch.now, &batch.inputs));
    let replayed = Room::replay(Config::new(Seat::Root), kept.snapshot.as_deref(), batches);
    let handled = replayed.and_then(|mut room| {
        room.handle(now, &inputs, &mut effects)?;
        Ok(room.snapshot())
    });
    let state = handled.map_err(|error| Error::Worker { room: name.into(), reason: error.to_string() })?;
    let seq = keep.append(name, Batch { now, inputs }, &effects).await?;
    keep.snapshot(name, seq, state).await
}
