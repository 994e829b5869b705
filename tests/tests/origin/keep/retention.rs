//! The end of an archived row's retention.

use std::time::Duration;

use origin::keep::Retention;
use wire::worker::Row;
use wire::{ChatId, FanId, GiftId, Micros, PollId, QuestionId, Visit};

use super::{Dir, NOW, batch, effects, said};

const DAY: Micros = Micros::from_secs(86_400);
const FAN: FanId = FanId(7);

#[tokio::test]
async fn what_is_older_than_it_may_be_goes() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let lines: Vec<Row<'_>> = (0..1234).map(|id| said(id, FAN, "hello")).collect();
    let late = NOW + DAY;
    let others = |at: Micros, n: u32| {
        let (poll, question) = (PollId(n), QuestionId(n));
        let (id, name) = (ChatId(9000 + u64::from(n)), "ada");
        [
            Row::Gifted { id, at, fan: FAN, name, gift: GiftId(1), count: 1, value: 1, key: n.into() },
            Row::PollOpened { poll, at: NOW, question: "Encore?" },
            Row::PollOption { poll, option: 0, text: "yes" },
            Row::Voted { poll, fan: FAN, option: 0 },
            Row::PollClosed { poll, at },
            Row::Asked { question, at, fan: FAN, name, text: "when?" },
            Row::Visited { fan: FAN, at, visit: Visit::default(), interactions: 1 },
            Row::Audit { at, by: None, act: "pin", fan: None, number: 1 },
        ]
    };
    let open = Row::PollOpened { poll: PollId(3), at: NOW, question: "Still open?" };
    for rows in [&lines[..], &others(NOW, 1), &others(late, 2), &[said(8000, FAN, "kept")], &[open]] {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| match *row {
                Row::Said { id: ChatId(8000), fan, name, text, reply, seen, .. } => {
                    Row::Said { id: ChatId(8000), at: late, fan, name, text, reply, seen }
                }
                row => row,
            })
            .collect();
        keep.append("demo", batch("x"), &effects(&rows)).await.expect("kept");
    }
    let at_once = |life: Duration| {
        let mut retention = Retention::default();
        let Retention { lines, gifts, polls, questions, visits, audit, .. } = &mut retention;
        for field in [lines, gifts, polls, questions, visits, audit] {
            *field = life;
        }
        retention
    };
    assert_eq!(keep.prune(late, &Retention::default()).await, Ok(0));
    assert_eq!(keep.prune(late, &at_once(Duration::from_hours(1))).await, Ok(1234 + 7));
    let mut sql = dir.sql().await;
    for (table, left) in [
        ("lines", 1),
        ("gifts", 1),
        ("polls", 2),
        ("poll_options", 1),
        ("votes", 1),
        ("questions", 1),
        ("visits", 1),
        ("audit", 1),
    ] {
        let count: i64 = sqlx::query_scalar(&format!("SELECT count(*) FROM {table}"))
            .fetch_one(&mut sql)
            .await
            .expect("a table");
        assert_eq!(count, left, "{table}");
    }
    assert_eq!(keep.prune(late, &at_once(Duration::MAX)).await, Ok(0));
}
