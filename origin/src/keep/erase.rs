//! Erasing a person from rooms that do not run.

use room::{Config, Room};
use wire::worker::{Input, Seat};
use wire::{FanId, Micros};

use super::{Batch, Error, Keep, Kept};

/// Erases a person from what is archived, and from all rooms: each is stood up as the room that is built in, forgets
/// them, and is kept again. Gives the number of rooms; or, when all was done that could be, why one still has them.
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
    let handled = stood_up(&kept).and_then(|mut room| {
        room.handle(now, &inputs, &mut effects)?;
        Ok(room.snapshot())
    });
    let state = handled.map_err(|error| Error::Worker { room: name.into(), reason: error.to_string() })?;
    let seq = keep.append(name, Batch { now, inputs }, &effects).await?;
    keep.snapshot(name, seq, state).await
}

/// The room as it was when it last was kept.
fn stood_up(kept: &Kept) -> Result<Room, room::Error> {
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
