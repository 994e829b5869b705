//! Statements that store a worker's archive rows.

use wire::worker::{Row, Seen};

use crate::{Statement, forget};

fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Everyone => "everyone",
        Seen::Held => "held",
        Seen::Author => "author",
        Seen::Nobody => "nobody",
    }
}

/// Returns the statements that store a row of a room. Erasing a person takes more than one.
pub fn keep<'a>(room: &'a str, row: &Row<'a>) -> Vec<Statement<'a>> {
    let (sql, values) = match *row {
        Row::Said { id, at, fan, name, text, reply, seen: by } => (
            "INSERT OR REPLACE INTO lines VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                room.into(),
                id.0.into(),
                at.0.into(),
                fan.into(),
                name.into(),
                text.into(),
                reply.map(|reply| reply.0).into(),
                seen(by).into(),
            ],
        ),
        Row::Seen { id, seen: by } => (
            "UPDATE lines SET seen = ?3 WHERE room = ?1 AND id = ?2",
            vec![room.into(), id.0.into(), seen(by).into()],
        ),
        Row::Purged { fan } => (
            "UPDATE lines SET seen = 'nobody' WHERE room = ? AND fan = ? AND seen = 'everyone'",
            vec![room.into(), fan.into()],
        ),
        Row::Gifted { id, at, fan, name, gift, count, value, key } => (
            "INSERT OR IGNORE INTO gifts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                room.into(),
                id.0.into(),
                at.0.into(),
                fan.into(),
                name.into(),
                u32::from(gift.0).into(),
                u32::from(count).into(),
                value.into(),
                crate::Value::Made(format!("{key:016x}")),
            ],
        ),
        Row::PollOpened { poll, at, question } => (
            "INSERT OR REPLACE INTO polls VALUES (NULL, ?, ?, ?, ?, NULL)",
            vec![room.into(), poll.0.into(), at.0.into(), question.into()],
        ),
        Row::PollOption { poll, option, text } => (
            "INSERT OR REPLACE INTO poll_options VALUES (NULL, ?, ?, ?, ?)",
            vec![room.into(), poll.0.into(), u32::from(option).into(), text.into()],
        ),
        Row::Voted { poll, fan, option } => (
            "INSERT OR REPLACE INTO votes VALUES (NULL, ?, ?, ?, ?)",
            vec![room.into(), poll.0.into(), fan.into(), u32::from(option).into()],
        ),
        Row::PollClosed { poll, at } => (
            "UPDATE polls SET closed = ?3 WHERE room = ?1 AND poll = ?2",
            vec![room.into(), poll.0.into(), at.0.into()],
        ),
        Row::PollCounted { poll, option, votes, strangers } => (
            "INSERT OR REPLACE INTO poll_results VALUES (NULL, ?, ?, ?, ?, ?)",
            vec![room.into(), poll.0.into(), u32::from(option).into(), votes.into(), strangers.into()],
        ),
        Row::Asked { question, at, fan, name, text } => (
            "INSERT OR REPLACE INTO questions VALUES (NULL, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            vec![room.into(), question.0.into(), at.0.into(), fan.into(), name.into(), text.into()],
        ),
        Row::QuestionDone { question, at, answered, votes } => (
            "UPDATE questions SET done = ?3, answered = ?4, votes = ?5 WHERE room = ?1 AND question = ?2",
            vec![room.into(), question.0.into(), at.0.into(), answered.into(), votes.into()],
        ),
        Row::Visited { fan, at, visit, interactions } => (
            "INSERT INTO visits VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                room.into(),
                at.0.into(),
                fan.into(),
                visit.total_ms.into(),
                visit.watched_ms.into(),
                visit.active_ms.into(),
                interactions.into(),
            ],
        ),
        Row::Audit { at, by, act, fan, number } => (
            "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?)",
            vec![room.into(), at.0.into(), by.into(), act.into(), fan.into(), number.into()],
        ),
        Row::Forgotten { fan } => return forget(Some(room), fan),
    };
    vec![Statement { sql, values }]
}
