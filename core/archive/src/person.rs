//! What is asked of the past: all of a person, or all of a room.

use wire::FanId;

use crate::Statement;

/// Rows read at once: no reader stands in the way of a checkpoint for long.
const PAGE: usize = 500;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is shown of a row, for `json_object`.
    columns: &'static str,
    /// Which of its rows are a person's, `?1`; none are, of some.
    whose: Option<&'static str>,
}

const FANS: Option<&str> = Some("fan = ?1");

/// What is about a room.
pub const TABLES: [Table; 8] = [
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

/// Questions for the next rows of a table, in the order in which they came: `?1` whose they are, `?2` after which
/// row. What comes is a number, for the next page's `?2`, and a JSON object.
impl Table {
    /// Of a person, with the room of each.
    pub fn page_of_person(&self) -> Option<String> {
        Some(page(&format!("json_object('room', room, {})", self.columns), self.name, self.whose?))
    }

    /// Of a room, with the table of each.
    pub fn page_of_room(&self) -> String {
        page(&format!("json_object('table', '{}', {})", self.name, self.columns), self.name, "room = ?1")
    }
}

/// The `+` has the rows found by the index that `whose` has.
fn page(row: &str, table: &str, whose: &str) -> String {
    format!("SELECT row, {row} FROM {table} WHERE {whose} AND +row > ?2 ORDER BY row LIMIT {PAGE}")
}

/// All that tables have of a person; of what they did as a moderator, that it was they.
const FORGET: [&str; 7] = [
    "DELETE FROM lines WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM gifts WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM votes WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM questions WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM visits WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "DELETE FROM audit WHERE fan = ?1 AND (?2 IS NULL OR room = ?2)",
    "UPDATE audit SET by = 'forgotten' WHERE by = ?1 AND (?2 IS NULL OR room = ?2)",
];

/// Erases a person, in one room or in all.
pub fn forget(room: Option<&str>, fan: FanId) -> Vec<Statement<'_>> {
    FORGET.iter().map(|sql| Statement { sql, values: vec![fan.into(), room.into()] }).collect()
}
