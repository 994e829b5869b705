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
            Row::PollCounted { poll, option: 0, votes: 1, strangers: 0 },
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
    assert_eq!(
        keep.prune(late, &at_once(Duration::from_hours(1))).await,
        Ok(1234 + 9),
        "a poll that never closed is as old as its opening"
    );
    let mut sql = dir.sql().await;
    for (table, left) in [
        ("lines", 1),
        ("gifts", 1),
        ("polls", 1),
        ("poll_options", 1),
        ("votes", 1),
        ("poll_results", 1),
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

#[tokio::test]
async fn a_clock_that_has_jumped_deletes_nothing() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    keep.append("demo", batch("x"), &effects(&[said(1, FAN, "hello")])).await.expect("kept");
    let ahead = NOW + Micros::from_secs(11 * 365 * 86_400);
    assert_eq!(keep.is_plausible(ahead).await, Ok(false));
    assert_eq!(keep.prune(ahead, &Retention::default()).await, Ok(0));
    // A row of that time shows that the clock is right.
    let Row::Said { id: _, fan, name, text, reply, seen, .. } = said(2, FAN, "hello again") else { return };
    let row = Row::Said { id: ChatId(2), at: ahead, fan, name, text, reply, seen };
    keep.append("demo", batch("y"), &effects(&[row])).await.expect("kept");
    assert_eq!(keep.prune(ahead + DAY, &Retention::default()).await, Ok(1));
}

#[tokio::test]
async fn a_room_without_a_show_for_ninety_days_is_closed_for_good() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    for room in ["demo", "other"] {
        keep.load(room).await.expect("a new room");
        keep.append(room, batch("x"), &effects(&[said(1, FAN, "hello")])).await.expect("kept");
        keep.snapshot(room, 1, b"words of the snapshot".to_vec()).await.expect("kept");
    }
    // Both are first seen without a show; then one has shows again.
    keep.note_shows(Vec::new(), NOW).await.expect("noted");
    let days = |days: u64| NOW + Micros::from_secs(days * 86_400);
    keep.note_shows(vec!["other".into()], days(50)).await.expect("noted");
    assert_eq!(keep.abandoned(days(90)).await, Ok(Vec::new()));
    assert_eq!(keep.abandoned(days(91)).await, Ok(vec!["demo".to_owned()]));
    keep.close_room("demo").await.expect("closed");
    assert_eq!(keep.rooms().await, Ok(vec!["other".to_owned()]));
    assert_eq!(keep.abandoned(days(91)).await, Ok(Vec::new()));
    assert_eq!(keep.load("demo").await, Ok(None), "a new room may have the name");
    let lines = keep.archive().export(FAN).await.expect("readable")["lines"].clone();
    assert_eq!(lines.as_array().map(Vec::len), Some(2), "the archive has its own retention");
}
