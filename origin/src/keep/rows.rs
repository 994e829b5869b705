//! What a worker has archived, in tables.

use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};
use wire::worker::{Effect, Row, Seen};
use wire::{FanId, Frame, Frames};

/// Those effects that are rows, as a packet of their own.
pub(super) fn of(effects: &[u8]) -> Result<Vec<u8>, wire::Error> {
    let mut rows = Vec::new();
    wire::start(&mut rows);
    for effect in Frames::<Effect<'_>>::new(effects)? {
        // What is not known is of a newer worker, for a newer node.
        if let Frame::Known(effect @ Effect::Archive(_)) = effect? {
            wire::put(&mut rows, &effect);
        }
    }
    Ok(rows)
}

/// Puts a packet of rows where they belong.
pub(super) async fn put(db: &mut SqliteConnection, room: &str, rows: &[u8]) -> sqlx::Result<()> {
    let Ok(frames) = Frames::<Effect<'_>>::new(rows) else { return Ok(()) };
    for effect in frames {
        match effect {
            Ok(Frame::Known(Effect::Archive(Row::Forgotten { fan }))) => forget(db, Some(room), fan).await?,
            Ok(Frame::Known(Effect::Archive(row))) => {
                if let Some(statement) = statement(room, &row) {
                    statement.execute(&mut *db).await?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// SQLite's integers are signed; what is beyond them is no moment or number of a room.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Everyone => "everyone",
        Seen::Held => "held",
        Seen::Author => "author",
        Seen::Nobody => "nobody",
    }
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

/// What a row does to its table; erasing somebody is more than one statement.
fn statement<'q>(room: &'q str, row: &Row<'q>) -> Option<Statement<'q>> {
    let sql = |sql: &'q str| sqlx::query(sql).bind(room);
    Some(match *row {
        Row::Said { id, at, fan, name, text, reply, seen: by } => {
            sql("INSERT OR REPLACE INTO lines VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(int(id.0))
                .bind(int(at.0))
                .bind(fan.to_string())
                .bind(name)
                .bind(text)
                .bind(reply.map(|reply| int(reply.0)))
                .bind(seen(by))
        }
        Row::Seen { id, seen: by } => {
            sql("UPDATE lines SET seen = ?3 WHERE room = ?1 AND id = ?2").bind(int(id.0)).bind(seen(by))
        }
        Row::Purged { fan } => {
            sql("UPDATE lines SET seen = 'nobody' WHERE room = ? AND fan = ? AND seen = 'everyone'")
                .bind(fan.to_string())
        }
        Row::Gifted { id, at, fan, name, gift, count, value, key } => {
            sql("INSERT OR IGNORE INTO gifts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(int(id.0))
                .bind(int(at.0))
                .bind(fan.to_string())
                .bind(name)
                .bind(gift.0)
                .bind(count)
                .bind(value)
                .bind(format!("{key:016x}"))
        }
        Row::PollOpened { poll, at, question } => {
            sql("INSERT OR REPLACE INTO polls VALUES (NULL, ?, ?, ?, ?, NULL)")
                .bind(poll.0)
                .bind(int(at.0))
                .bind(question)
        }
        Row::PollOption { poll, option, text } => {
            sql("INSERT OR REPLACE INTO poll_options VALUES (NULL, ?, ?, ?, ?)")
                .bind(poll.0)
                .bind(option)
                .bind(text)
        }
        Row::Voted { poll, fan, option } => sql("INSERT OR REPLACE INTO votes VALUES (NULL, ?, ?, ?, ?)")
            .bind(poll.0)
            .bind(fan.to_string())
            .bind(option),
        Row::PollClosed { poll, at } => {
            sql("UPDATE polls SET closed = ?3 WHERE room = ?1 AND poll = ?2").bind(poll.0).bind(int(at.0))
        }
        Row::Asked { question, at, fan, name, text } => {
            sql("INSERT OR REPLACE INTO questions VALUES (NULL, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)")
                .bind(question.0)
                .bind(int(at.0))
                .bind(fan.to_string())
                .bind(name)
                .bind(text)
        }
        Row::QuestionDone { question, at, answered, votes } => {
            sql("UPDATE questions SET done = ?3, answered = ?4, votes = ?5 WHERE room = ?1 AND question = ?2")
                .bind(question.0)
                .bind(int(at.0))
                .bind(answered)
                .bind(votes)
        }
        Row::Visited { fan, at, visit, interactions } => {
            sql("INSERT INTO visits VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)")
                .bind(int(at.0))
                .bind(fan.to_string())
                .bind(int(visit.total_ms))
                .bind(int(visit.watched_ms))
                .bind(int(visit.active_ms))
                .bind(interactions)
        }
        Row::Audit { at, by, act, fan, number } => sql("INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?)")
            .bind(int(at.0))
            .bind(by.map(|by| by.to_string()))
            .bind(act)
            .bind(fan.map(|fan| fan.to_string()))
            .bind(int(number)),
        Row::Forgotten { .. } => return None,
    })
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
pub(super) async fn forget(db: &mut SqliteConnection, room: Option<&str>, fan: FanId) -> sqlx::Result<()> {
    for sql in FORGET {
        sqlx::query(sql).bind(fan.to_string()).bind(room).execute(&mut *db).await?;
    }
    Ok(())
}
