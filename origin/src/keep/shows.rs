//! The end of rooms that have had no show for long.

use archive::{Statement, Value};
use wire::Micros;

use super::{Error, Keep, writer::Job};

/// Days without a show after which a room is closed for good.
pub const ROOM_DAYS: u64 = 90;

impl Keep {
    /// Notes that rooms have a show now. A room with a journal that was never noted counts as having one, too.
    pub async fn note_shows(&self, rooms: Vec<String>, now: Micros) -> Result<(), Error> {
        let sql =
            "INSERT OR IGNORE INTO shows SELECT room, ? FROM snapshots UNION SELECT room, ? FROM journal";
        let mut statements = vec![Statement { sql, values: vec![now.0.into(), now.0.into()] }];
        statements.extend(rooms.into_iter().map(|room| Statement {
            sql: "INSERT OR REPLACE INTO shows VALUES (?, ?)",
            values: vec![Value::Made(room), now.0.into()],
        }));
        self.change(statements).await.map(drop)
    }

    /// Lists the rooms that have a journal and have had no show for [`ROOM_DAYS`].
    pub async fn abandoned(&self, now: Micros) -> Result<Vec<String>, Error> {
        self.archive.shown_before(now - Micros::from_secs(ROOM_DAYS * 24 * 60 * 60)).await
    }

    /// Closes a room for good: drops its journal and its snapshot. What is archived of it stays for its retention. The
    /// room must not run.
    pub async fn close_room(&self, room: &str) -> Result<(), Error> {
        self.ask(|done| Job::CloseRoom { room: room.into(), done }).await
    }
}
