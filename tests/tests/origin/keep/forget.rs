//! Erasing a person from the archive, the journal, the snapshots and the file itself.

use origin::keep::{self, Archive, Batch, Erasure, Error, Keep};
use room::{Room, rehearsal::root_config};
use serde_json::json;
use wire::worker::{Input, Row};
use wire::{Act, EdgeId, FanId, Micros, PollId, QuestionId, Role, Say, Screen, SessionId, StreamId, Up};

use super::{Dir, NOW, batch, effects, said};

const ADA: FanId = FanId(0xada0_0000_0000_0ada);
const BOB: FanId = FanId(0xb0b);
/// A word that Ada's messages and her name contain.
const WORD: &str = "rhododendron";

/// A root that keeps its batches, with an edge at which Ada and Bob speak.
struct JournaledRoot {
    room: Room,
    now: Micros,
    sequence: u64,
    seq: u64,
}

impl JournaledRoot {
    async fn new(keep: &Keep, name: &str) -> Self {
        assert_eq!(keep.load(name).await, Ok(None));
        let mut root = Self { room: Room::new(root_config()), now: NOW, sequence: 0, seq: 0 };
        let mut inputs = wire::packet(&Input::Opened);
        wire::put(&mut inputs, &Input::EdgeJoined { edge: EdgeId(1), incarnation: 1 });
        root.batch(keep, name, inputs).await;
        root
    }

    async fn batch(&mut self, keep: &Keep, name: &str, inputs: Vec<u8>) {
        self.now = self.now + Micros::from_secs(2);
        let mut effects = Vec::new();
        self.room.handle(self.now, &inputs, &mut effects).expect("a batch of ours");
        self.seq = keep.append(name, Batch { now: self.now, inputs }, &effects).await.expect("kept");
    }

    async fn say(&mut self, keep: &Keep, name: &str, fan: FanId, number: u64, text: &str) {
        self.sequence += 1;
        let session = SessionId(fan.0 as u32 % 9);
        let (edge, stream) = (EdgeId(1), StreamId(fan.0));
        let head = Up::Head { edge, incarnation: 1, sequence: self.sequence, oldest: 1, at: self.now };
        let mut packet = wire::packet(&head);
        if number == 1 {
            let called = if fan == ADA { WORD } else { "bob" };
            wire::put(&mut packet, &Up::Attach { session, fan, stream, next: 1, role: Role::Fan });
            wire::put(&mut packet, &Up::Known { session, name: called, anonymous: false });
        }
        let act = Act::Say(Say { text, ..Say::default() });
        wire::put(&mut packet, &Up::Act { session, number, screen: Screen::Pass, act });
        let mut inputs = wire::packet(&Input::Delta { edge, packet: &packet });
        wire::put(&mut inputs, &Input::Tick);
        self.batch(keep, name, inputs).await;
    }
}

#[tokio::test]
async fn erasing_somebody_leaves_no_trace_in_any_file() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    for name in ["demo", "other"] {
        let mut root = JournaledRoot::new(&keep, name).await;
        for number in 1..=120 {
            let words = format!("{WORD} {number} ").repeat((number % 40) as usize + 1);
            root.say(&keep, name, ADA, number, &words).await;
            root.say(&keep, name, BOB, number, &format!("bob's line {number}")).await;
            if number % 50 == 0 {
                keep.snapshot(name, root.seq, root.room.snapshot()).await.expect("kept");
            }
        }
    }
    let export = keep.archive().export(ADA).await.expect("readable");
    assert_eq!(export["lines"].as_array().map(Vec::len), Some(240));
    assert_eq!(export["lines"][0]["name"], WORD);
    assert!(dir.has(WORD) && dir.has(&ADA.to_string()));

    assert_eq!(keep::erase(&keep, ADA, NOW).await, Ok(2));
    assert!(!dir.has(WORD), "while the origin still has the file open");
    assert!(!dir.has(&ADA.to_string()));
    let kept = keep.load("demo").await.expect("readable").expect("kept");
    assert!(kept.batches.is_empty());
    let room = Room::restore(root_config(), &kept.snapshot.expect("a snapshot")).expect("of ours");
    assert!(!contains(&room.snapshot(), WORD) && contains(&room.snapshot(), "bob's line 120"));
    keep.close().await;

    assert!(!dir.has(WORD));
    let archive = Archive::open(&dir.path()).await.expect("a file of ours");
    let nothing = json!({ "fan": ADA.to_string(), "lines": [], "gifts": [], "votes": [], "questions": [],
        "visits": [], "audit": [] });
    assert_eq!(archive.export(ADA).await.expect("readable"), nothing);
    let others = archive.export(BOB).await.expect("readable");
    assert_eq!(others["lines"].as_array().map(Vec::len), Some(240), "who was not to be forgotten is not");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// An erasure is a job: what a stop has interrupted goes on from the last room that was done, and nothing is left of it
/// in the end.
#[tokio::test]
async fn an_erasure_goes_on_after_a_restart() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    for room in ["demo", "other"] {
        keep.load(room).await.expect("a new room");
        keep.append(room, batch("x"), &effects(&[said(1, ADA, WORD)])).await.expect("kept");
    }
    keep.begin_forget(ADA, NOW).await.expect("begun");
    assert_eq!(keep.archive().export(ADA).await.expect("readable")["lines"], json!([]));
    keep.forgotten_in(ADA, "demo".into()).await.expect("noted");
    keep.close().await;

    let keep = dir.keep().await;
    let left = Erasure { fan: ADA, room: "demo".into(), is_done: false };
    assert_eq!(keep.erasures().await, Ok(vec![left.clone()]));
    assert_eq!(keep.scrub_if_due().await, Ok(false), "not while it goes on");
    // A row that a room archived before it forgot her goes, too.
    keep.load("other").await.expect("readable");
    keep.append("other", batch("y"), &effects(&[said(2, ADA, WORD)])).await.expect("kept");
    keep.end_forget(ADA, NOW).await.expect("ended");
    assert_eq!(keep.erasures().await, Ok(vec![Erasure { is_done: true, ..left }]));
    assert_eq!(keep.archive().export(ADA).await.expect("readable")["lines"], json!([]));
    assert_eq!(keep.scrub_if_due().await, Ok(true));
    assert_eq!(keep.erasures().await, Ok(Vec::new()));
    assert_eq!(keep.scrub_if_due().await, Ok(false));
    keep.close().await;
    assert!(!dir.has(WORD) && !dir.has(&ADA.to_string()));
    let mut sql = dir.sql().await;
    let acts: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE act = 'forget' AND fan IS NULL")
        .fetch_one(&mut sql)
        .await
        .expect("the audit");
    assert_eq!(acts, 1, "that it was done is known, and not whom it was done for");
}

#[tokio::test]
async fn a_room_that_is_erased_leaves_the_others() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    for (room, word) in [("demo", WORD), ("other", "orchid")] {
        keep.load(room).await.expect("a new room");
        keep.append(room, batch(word), &effects(&[said(1, ADA, word)])).await.expect("kept");
    }
    keep::erase_room(&keep, "demo").await.expect("erased");
    assert!(!dir.has(WORD) && dir.has("orchid"));
    assert_eq!(keep.rooms().await, Ok(vec!["other".to_owned()]));
}

/// Rows that moved within the file for a long time leave no copies behind, either.
#[tokio::test]
async fn nothing_is_left_of_rows_that_were_moved_about() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let mut id = 0;
    for round in 0..40_u64 {
        let texts: Vec<(FanId, String)> = (0..50)
            .map(|at| {
                let fan = if (at * 7 + round) % 5 == 0 { ADA } else { FanId(at) };
                let word = if fan == ADA { WORD } else { "orchid" };
                (fan, format!("{word} ").repeat(1 + ((at * 31 + round * 17) % 150) as usize))
            })
            .collect();
        let rows: Vec<Row<'_>> = texts
            .iter()
            .map(|(fan, text)| {
                id += 1;
                said(if id % 3 == 0 { 100_000 - id } else { id }, *fan, text)
            })
            .collect();
        keep.append("demo", batch(round.to_le_bytes()), &effects(&rows)).await.expect("kept");
        // Other people are erased meanwhile, so that pages are merged and used again.
        let gone = effects(&[Row::Forgotten { fan: FanId(round % 50) }]);
        keep.append("demo", batch("gone"), &gone).await.expect("kept");
    }
    assert!(dir.has(WORD));
    let rows = effects(&[Row::Forgotten { fan: ADA }]);
    keep.append("demo", batch("x"), &rows).await.expect("kept");
    keep.scrub().await.expect("nobody reads");
    assert!(!dir.has(WORD));
    assert!(!dir.has(&ADA.to_string()));
    assert!(dir.has("orchid"));
}

#[tokio::test]
async fn a_row_says_so_for_its_room_alone() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    let poll = PollId(1);
    let asked = |fan| Row::Asked { question: QuestionId(1), at: NOW, fan, name: "ada", text: "when?" };
    let ban = |by, fan| Row::Audit { at: NOW, by: Some(by), act: "ban", fan: Some(fan), number: 0 };
    let rows = [
        said(1, ADA, "hello"),
        said(2, BOB, "hi"),
        Row::Voted { poll, fan: ADA, option: 0 },
        asked(ADA),
        Row::Visited { fan: ADA, at: NOW, visit: wire::Visit::default(), interactions: 1 },
        ban(ADA, BOB),
        ban(BOB, ADA),
    ];
    for room in ["demo", "other"] {
        keep.load(room).await.expect("a new room");
        keep.append(room, batch("1"), &effects(&rows)).await.expect("kept");
    }
    keep.append("demo", batch("2"), &effects(&[Row::Forgotten { fan: ADA }])).await.expect("kept");
    let export = keep.archive().export(ADA).await.expect("readable");
    for table in ["lines", "votes", "questions", "visits"] {
        let rooms: Vec<_> = export[table].as_array().expect("rows").iter().map(|row| &row["room"]).collect();
        assert_eq!(rooms, ["other"], "{table}");
    }
    assert_eq!(export["audit"].as_array().map(Vec::len), Some(2));
    let audit = keep.archive().export(BOB).await.expect("readable")["audit"].clone();
    let by: Vec<_> = audit.as_array().expect("rows").iter().map(|row| &row["by"]).collect();
    assert_eq!(by, ["forgotten", &ADA.to_string(), &BOB.to_string()].map(serde_json::Value::from).each_ref());
}

#[tokio::test]
async fn a_room_of_another_worker_is_not_touched() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    keep.append("demo", batch("not ours"), &effects(&[])).await.expect("kept");
    keep.snapshot("demo", 1, b"nor this".to_vec()).await.expect("kept");
    let mut other = JournaledRoot::new(&keep, "other").await;
    other.say(&keep, "other", ADA, 1, WORD).await;
    let error = keep::erase(&keep, ADA, NOW).await.expect_err("nobody knows what is in it");
    assert!(matches!(error, Error::Worker { .. }), "{error}");
    assert!(error.to_string().starts_with("room \"demo\" has another worker"));
    let kept = keep.load("demo").await.expect("readable").expect("kept");
    assert_eq!(kept.snapshot.as_deref(), Some(&b"nor this"[..]));
    assert!(!dir.has(WORD), "the other room has forgotten her all the same");
}
