//! The archive's tables, and their exports.

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use wire::worker::{Row, Seen};
use wire::{ChatId, FanId, GiftId, PollId, QuestionId, Visit};

use super::{Dir, NOW, batch, effects, said};

const ADA: FanId = FanId(0xada);
const BOB: FanId = FanId(0xb0b);

async fn all(sql: &mut SqliteConnection, query: &str) -> Value {
    let query = format!("SELECT json_group_array(json_array({}", query.replacen(" FROM", ")) FROM", 1));
    let text: String = sqlx::query_scalar(&query).fetch_one(sql).await.expect(&query);
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn each_kind_of_row_is_in_its_table() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let (at, poll, question) = (NOW, PollId(1), QuestionId(1));
    let gift = |id, key, count| Row::Gifted {
        id: ChatId(id),
        at,
        fan: ADA,
        name: "ada",
        gift: GiftId(2),
        count,
        value: 10,
        key,
    };
    let held = Row::Said {
        id: ChatId(3),
        at,
        fan: BOB,
        name: "bob",
        text: "free tickets",
        reply: Some(ChatId(1)),
        seen: Seen::Held,
    };
    let asked = |question, fan| Row::Asked { question, at, fan, name: "bob", text: "when?" };
    let visit = Visit { total_ms: 9000, watched_ms: 8000, active_ms: 70 };
    let rows = [
        said(1, ADA, "hello'); DROP TABLE lines; --"),
        said(2, ADA, "🎉 加油"),
        held,
        said(4, BOB, "again"),
        Row::Seen { id: ChatId(3), seen: Seen::Nobody },
        Row::Purged { fan: ADA },
        gift(5, 77, 3),
        gift(6, 77, 3),
        gift(7, u64::MAX, 1),
        Row::PollOpened { poll, at, question: "Encore?" },
        Row::PollOption { poll, option: 0, text: "yes" },
        Row::PollOption { poll, option: 1, text: "no" },
        Row::Voted { poll, fan: ADA, option: 0 },
        Row::Voted { poll, fan: BOB, option: 0 },
        Row::Voted { poll, fan: ADA, option: 1 },
        Row::PollClosed { poll, at: NOW + wire::Micros(5) },
        Row::PollCounted { poll, option: 0, votes: 1, strangers: 1 },
        Row::PollCounted { poll, option: 1, votes: 1, strangers: 0 },
        asked(question, BOB),
        asked(QuestionId(2), BOB),
        Row::QuestionDone { question, at: NOW + wire::Micros(6), answered: true, votes: 4 },
        Row::Visited { fan: BOB, at, visit, interactions: 12 },
        Row::Audit { at, by: Some(ADA), act: "ban", fan: Some(BOB), number: 0 },
        Row::Audit { at, by: None, act: "set-title", fan: None, number: u64::MAX },
    ];
    assert_eq!(keep.append("demo", batch("1"), &effects(&rows)).await, Ok(1));

    let now = NOW.0;
    let [ada, bob] = [ADA, BOB].map(|fan| fan.to_string());
    let mut sql = dir.sql().await;
    let lines = all(&mut sql, "id, at, fan, name, text, reply, seen FROM lines WHERE room = 'demo'").await;
    assert_eq!(
        lines,
        json!([
            [1, now + 1, ada, "ada", "hello'); DROP TABLE lines; --", null, "nobody"],
            [2, now + 2, ada, "ada", "🎉 加油", null, "nobody"],
            [3, now, bob, "bob", "free tickets", 1, "nobody"],
            [4, now + 4, bob, "ada", "again", null, "everyone"],
        ])
    );
    let gifts = all(&mut sql, "id, at, fan, name, gift, count, value, key FROM gifts").await;
    assert_eq!(
        gifts,
        json!([
            [5, now, ada, "ada", 2, 3, 10, "000000000000004d"],
            [7, now, ada, "ada", 2, 1, 10, "ffffffffffffffff"],
        ]),
        "the one given twice is one"
    );
    let polls = all(&mut sql, "poll, at, question, closed FROM polls").await;
    assert_eq!(polls, json!([[1, now, "Encore?", now + 5]]));
    let options = all(&mut sql, "poll, option, text FROM poll_options").await;
    assert_eq!(options, json!([[1, 0, "yes"], [1, 1, "no"]]));
    let results = all(&mut sql, "poll, option, votes, strangers FROM poll_results").await;
    assert_eq!(results, json!([[1, 0, 1, 1], [1, 1, 1, 0]]));
    let votes = all(&mut sql, "poll, option, fan FROM votes WHERE fan > '' ").await;
    let mut votes: Vec<Value> = serde_json::from_value(votes).expect("rows");
    votes.sort_by_key(ToString::to_string);
    assert_eq!(votes, [json!([1, 0, bob]), json!([1, 1, ada])]);
    let questions =
        all(&mut sql, "question, at, fan, name, text, done, answered, votes FROM questions").await;
    assert_eq!(
        questions,
        json!([
            [1, now, bob, "bob", "when?", now + 6, 1, 4],
            [2, now, bob, "bob", "when?", null, null, null]
        ])
    );
    let visits = all(&mut sql, "fan, at, total_ms, watched_ms, active_ms, interactions FROM visits").await;
    assert_eq!(visits, json!([[bob, now, 9000, 8000, 70, 12]]));
    let audit = all(&mut sql, "at, by, act, fan, number FROM audit").await;
    let most = i64::MAX;
    assert_eq!(audit, json!([[now, ada, "ban", bob, 0], [now, null, "set-title", null, most]]));
}

#[tokio::test]
async fn a_room_is_exported_as_lines_of_json() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    let texts: Vec<String> = (0..1200).map(|at| format!("line \"{at}\"\n")).collect();
    let rows: Vec<_> = (1..).zip(&texts).map(|(id, text)| said(id, ADA, text)).collect();
    for room in ["demo", "other"] {
        keep.load(room).await.expect("a new room");
        keep.append(room, batch("1"), &effects(&rows)).await.expect("kept");
        let moderated = Row::Audit { at: NOW, by: None, act: "pin", fan: None, number: 1 };
        keep.append(room, batch("2"), &effects(&[moderated])).await.expect("kept");
    }
    let mut out = Vec::new();
    assert_eq!(keep.archive().export_room("demo", &mut out).await, Ok(1201));
    let lines: Vec<Value> = std::str::from_utf8(&out)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 1201);
    for (line, text) in lines.iter().zip(&texts) {
        assert_eq!((line["table"].as_str(), line["text"].as_str()), (Some("lines"), Some(text.as_str())));
    }
    assert_eq!(lines[1200]["act"], "pin");
    assert_eq!(keep.archive().export_room("nowhere", &mut out).await, Ok(0));
}
