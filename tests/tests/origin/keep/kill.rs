//! A process that is killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use origin::keep::Keep;
use wire::FanId;

use super::{Dir, batch, effects, said};

const FILE: &str = "FANFARE_KEEP_TEST_FILE";
const ROOMS: u64 = 4;
const ROUNDS: usize = 3;
/// The number of kept batches after which the process is killed.
const KEPT: usize = 300;

fn inputs(room: u64, at: u64) -> Vec<u8> {
    format!("room {room} batch {at} ").repeat((at % 90) as usize + 1).into_bytes()
}

fn text(room: u64, at: u64) -> String {
    format!("line {at} of {room}")
}

/// The killed process: it prints every batch that is kept, until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run, and killed, by the next test"]
async fn child() {
    let path = PathBuf::from(std::env::var_os(FILE).expect("run by the test below"));
    let keep = Keep::open(&path).await.expect("a file of ours");
    let rooms = (0..ROOMS).map(|room| {
        let keep = keep.clone();
        tokio::spawn(async move {
            let name = format!("room{room}");
            let mut last = keep.load(&name).await.expect("readable").map_or(0, |kept| kept.seq);
            loop {
                let at = last + 1;
                let text = text(room, at);
                let row = said(at, FanId(room), &text);
                last = keep.append(&name, batch(inputs(room, at)), &effects(&[row])).await.expect("kept");
                println!("\nkept {room} {last}");
            }
        })
    });
    let ended = futures_util::future::select_all(rooms).await.0;
    ended.expect("it goes on for ever");
}

#[tokio::test]
async fn what_was_said_to_be_kept_outlives_kill_9_and_nothing_is_half() {
    let dir = Dir::new();
    let mut reported = [0; ROOMS as usize];
    for _ in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "keep::kill::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FILE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test");
        let mut kept = 0;
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
            let line = line.expect("text");
            let Some((room, at)) = line.strip_prefix("kept ").and_then(|kept| kept.split_once(' ')) else {
                continue;
            };
            // The kill may have cut the last line.
            let (Ok(room), Ok(at)) = (room.parse::<usize>(), at.parse::<u64>()) else { continue };
            reported[room] = reported[room].max(at);
            kept += 1;
            if kept == KEPT {
                child.kill().expect("alive until now");
            }
        }
        child.wait().expect("dead");
        assert!(kept >= KEPT, "it died by itself after {kept}");

        let keep = dir.keep().await;
        for (room, reported) in (0..ROOMS).zip(reported) {
            let name = format!("room{room}");
            let kept = keep.load(&name).await.expect("whole").expect("kept");
            assert!(kept.seq >= reported, "{reported} was reported, and {} is kept", kept.seq);
            for (at, kept) in (1..).zip(&kept.batches) {
                assert_eq!(kept.inputs, inputs(room, at));
            }
            let lines: Vec<(i64, String)> =
                sqlx::query_as("SELECT id, text FROM lines WHERE room = ? ORDER BY id")
                    .bind(&name)
                    .fetch_all(&mut dir.sql().await)
                    .await
                    .expect("a table");
            let expected: Vec<_> = (1..=kept.seq).map(|at| (at as i64, text(room, at))).collect();
            assert_eq!(lines, expected, "a batch and its rows are one");
        }
        keep.close().await;
    }
}
