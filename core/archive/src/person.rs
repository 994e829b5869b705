//! Queries for all rows of a person or of a room, and the erasure of a person.

use wire::FanId;

use crate::Statement;

/// Rows read at once: few, so that no reader blocks a checkpoint for long.
const PAGE: usize = 500;

/// A table of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The table's name in SQL.
    pub name: &'static str,
    /// Columns shown of a row, as arguments of `json_object`.
    columns: &'static str,
    /// Condition that selects the rows of a person, `?1`; none for tables without personal rows.
    whose: Option<&'static str>,
}

const FANS: Option<&str> = Some("fan = ?1");

/// All tables of the archive.
pub const TABLES: [Table; 9] = [
    Table {
        name: "lines",
        columns: "'id', id, 'at', at, 'fan', fan, 'name', name, 'text', text, 'reply', reply, 'seen', seen",
        whose: FANS,
    },
    Table {
        name: "gifts",
        columns: "'id', id, 'at', at, 'fan', fan, 'name', name, 'gift', gift, 'count', count, 'value', value, \
                  'key', key",
        whose: FANS,
    },
    Table {
        name: "polls",
        columns: "'poll', poll, 'at', at, 'question', question, 'closed', closed",
        whose: None,
    },
    Table { name: "poll_options", columns: "'poll', poll, 'option', option, 'text', text", whose: None },
    Table {
        name: "poll_results",
        columns: "'poll', poll, 'option', option, 'votes', votes, 'strangers', strangers",
        whose: None,
    },
    Table { name: "votes", columns: "'poll', poll, 'fan', fan, 'option', option", whose: FANS },
    Table {
        name: "questions",
        columns: "'question', question, 'at', at, 'fan', fan, 'name', name, 'text', text, 'done', done, \
                  'answered', answered, 'votes', votes",
        whose: FANS,
    },
    Table {
        name: "visits",
        columns: "'at', at, 'fan', fan, 'total_ms', total_ms, 'watched_ms', watched_ms, 'active_ms', \
                  active_ms, 'interactions', interactions",
        whose: FANS,
    },
    Table {
        name: "audit",
        columns: "'at', at, 'by', by, 'act', act, 'fan', fan, 'number', number",
        whose: Some("(fan = ?1 OR by = ?1)"),
    },
];

/// Queries for the next rows of a table, in order of insertion: `?1` is the person or the room, `?2` the last
/// row read. Each result has the row's number, for the next page's `?2`, and a JSON object.
impl Table {
    /// Returns the query for a person's rows, each with its room.
    pub fn page_of_person(&self) -> Option<String> {
        Some(page(&format!("json_object('room', room, {})", self.columns), self.name, self.whose?))
    }

    /// Returns the query for a room's rows, each with its table.
    pub fn page_of_room(&self) -> String {
        page(&format!("json_object('table', '{}', {})", self.name, self.columns), self.name, "room = ?1")
    }
}

/// The `+` keeps SQLite from using the order of rows, so that it finds them by the index of `whose`.
fn page(row: &str, table: &str, whose: &str) -> String {
    format!("SELECT row, {row} FROM {table} WHERE {whose} AND +row > ?2 ORDER BY row LIMIT {PAGE}")
}

/// Statements that erase a person; of their acts as a moderator, they erase only the name.
const FORGET: [&str; 7] = [
    "DELETE FROM lines WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM gifts WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM votes WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM questions WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM visits WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM audit WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "UPDATE audit SET by = 'forgotten' WHERE by = ?1 AND (?2 IS NULL OR room = ?2)",
];

/// Statements that erase all that is archived of a room.
const FORGET_ROOM: [&str; 9] = [
    "DELETE FROM lines WHERE room = ?",
    "DELETE FROM gifts WHERE room = ?",
    "DELETE FROM polls WHERE room = ?",
    "DELETE FROM poll_options WHERE room = ?",
    "DELETE FROM poll_results WHERE room = ?",
    "DELETE FROM votes WHERE room = ?",
    "DELETE FROM questions WHERE room = ?",
    "DELETE FROM visits WHERE room = ?",
    "DELETE FROM audit WHERE room = ?",
];

/// Returns the statements that erase all that is archived of a room.
pub fn forget_room(room: &str) -> Vec<Statement<'static>> {
    let value = || vec![crate::Value::Made(room.to_owned())];
    FORGET_ROOM.iter().map(|sql| Statement { sql, values: value() }).collect()
}

/// Returns the statements that erase a person, in one room or in all.
pub fn forget(room: Option<&str>, fan: FanId) -> Vec<Statement<'_>> {
    FORGET.iter().map(|sql| Statement { sql, values: vec![fan.into(), room.into()] }).collect()
}
