//! Writes the rows that a worker archives into the tables.

use archive::{Statement, Value};
use sqlx::SqliteConnection;
use wire::worker::Effect;
use wire::{FanId, Frame, Frames};

/// Filters the archive rows out of a packet of effects, into a packet of their own.
pub(super) fn of(effects: &[u8]) -> Result<Vec<u8>, wire::Error> {
    let mut rows = Vec::new();
    wire::start(&mut rows);
    for effect in Frames::<Effect<'_>>::new(effects)? {
        // An unknown effect comes from a newer worker, for a newer node.
        if let Frame::Known(effect @ Effect::Archive(_)) = effect? {
            wire::put(&mut rows, &effect);
        }
    }
    Ok(rows)
}

/// Writes a packet of rows into their tables.
pub(super) async fn put(db: &mut SqliteConnection, room: &str, rows: &[u8]) -> sqlx::Result<()> {
    let Ok(frames) = Frames::<Effect<'_>>::new(rows) else { return Ok(()) };
    for effect in frames {
        if let Ok(Frame::Known(Effect::Archive(row))) = effect {
            execute(db, archive::keep(room, &row)).await?;
        }
    }
    Ok(())
}

/// Erases a person from all rooms.
pub(super) async fn forget(db: &mut SqliteConnection, fan: FanId) -> sqlx::Result<()> {
    execute(db, archive::forget(None, fan)).await.map(drop)
}

/// Drops all that a room is restored from.
pub(super) async fn close(db: &mut SqliteConnection, room: &str) -> sqlx::Result<()> {
    const TABLES: [&str; 3] = [
        "DELETE FROM journal WHERE room = ?",
        "DELETE FROM snapshots WHERE room = ?",
        "DELETE FROM shows WHERE room = ?",
    ];
    execute(db, TABLES.map(|sql| Statement { sql, values: vec![room.into()] }).into()).await.map(drop)
}

/// Executes statements; returns the number of rows that they changed.
pub(super) async fn execute(db: &mut SqliteConnection, statements: Vec<Statement<'_>>) -> sqlx::Result<u64> {
    let mut rows = 0;
    for Statement { sql, values } in statements {
        let query = values.into_iter().fold(sqlx::query(sql), |query, value| match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Made(text) => query.bind(text),
        });
        rows += query.execute(&mut *db).await?.rows_affected();
    }
    Ok(rows)
}
