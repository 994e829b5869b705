//! Erases a person from rooms that do not run.

use room::{Config, Room};
use wire::worker::{Input, Seat};
use wire::{FanId, Micros};

use super::{Batch, Error, Keep, Kept};

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

async fn erase_in(keep: &Keep, name: &str, fan: FanId, now: Micros) -> Result<(), Error> {
    let Some(kept) = keep.load(name).await? else { return Ok(()) };
    let inputs = wire::packet(&Input::Forget { fan });
    let mut effects = Vec::new();
    let handled = replay(&kept).and_then(|mut room| {
        room.handle(now, &inputs, &mut effects)?;
        Ok(room.snapshot())
    });
    let state = handled.map_err(|error| Error::Worker { room: name.into(), reason: error.to_string() })?;
    let seq = keep.append(name, Batch { now, inputs }, &effects).await?;
    keep.snapshot(name, seq, state).await
}

/// Restores the room from its snapshot and the batches since.
fn replay(kept: &Kept) -> Result<Room, room::Error> {
    let config = Config::new(Seat::Root);
    let mut room = match &kept.snapshot {
        Some(snapshot) => Room::restore(config, snapshot)?,
        None => Room::new(config),
    };
    let mut dropped = Vec::new();
    for batch in &kept.batches {
        dropped.clear();
        room.handle(batch.now, &batch.inputs, &mut dropped)?;
    }
    Ok(room)
}
