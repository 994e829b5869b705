//! Files that the origin refuses to use, and its errors for them.

use std::fs;
use std::process::Command;

use origin::keep::{Archive, Error, FILE, Keep};
use sqlx::Connection as _;

use super::{Dir, batch, effects};

async fn refused(dir: &Dir) -> Error {
    let error = Keep::open(&dir.path()).await.expect_err("not to be used");
    let line = error.to_string();
    assert!(line.contains(FILE) && line.lines().count() == 1, "{line}");
    error
}

#[tokio::test]
async fn a_file_is_one_origins_at_a_time() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    assert!(matches!(refused(&dir).await, Error::InUse { .. }));
    assert!(Archive::open(&dir.path()).await.is_ok(), "it may be read");
    keep.close().await;
    dir.keep().await.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_people_said_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    keep.append("demo", batch("1"), &effects(&[])).await.expect("kept");
    let mode = |file: &fs::DirEntry| file.metadata().expect("there").permissions().mode() & 0o777;
    let files: Vec<_> =
        fs::read_dir(dir.path().parent().expect("a directory")).expect("readable").flatten().collect();
    assert!(files.len() >= 3, "the file, its log and the lock: {files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[tokio::test]
async fn a_newer_file_and_another_programs_are_left_alone() {
    let dir = Dir::new();
    dir.keep().await.close().await;
    let mut sql = dir.sql().await;
    sqlx::raw_sql("PRAGMA user_version = 77").execute(&mut sql).await.expect("written");
    assert!(matches!(refused(&dir).await, Error::Newer { has: 77, knows: 3, .. }));
    let error = Archive::open(&dir.path()).await.expect_err("newer");
    assert!(matches!(error, Error::Newer { .. }), "{error}");
    sqlx::raw_sql("PRAGMA user_version = 0").execute(&mut sql).await.expect("written");
    assert!(matches!(refused(&dir).await, Error::Damaged { .. }));

    let dir = Dir::new();
    let path = dir.path();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut sql = sqlx::SqliteConnection::connect_with(&options).await.expect("a database");
    sqlx::raw_sql("CREATE TABLE lines (x)").execute(&mut sql).await.expect("written");
    sql.close().await.expect("closed");
    let before = fs::read(&path).expect("readable");
    assert!(matches!(refused(&dir).await, Error::Foreign { .. }));
    let missing = Archive::open(&path.with_file_name("none")).await.expect_err("not there");
    assert!(matches!(missing, Error::Missing { .. }));
    assert_eq!(fs::read(&path).expect("readable")[100..], before[100..]);
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_damaged() {
    let dir = Dir::new();
    fs::write(dir.path(), "a letter to the editor ".repeat(400)).expect("written");
    assert!(matches!(refused(&dir).await, Error::Damaged { .. }));
    let dir = Dir::new();
    fs::create_dir(dir.path()).expect("made");
    assert!(matches!(refused(&dir).await, Error::Denied { .. }));
}

#[tokio::test]
async fn a_gap_in_the_journal_is_seen() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    for at in 1..=3 {
        keep.append("demo", batch([at]), &effects(&[])).await.expect("kept");
    }
    keep.close().await;
    sqlx::raw_sql("DELETE FROM journal WHERE seq = 2").execute(&mut dir.sql().await).await.expect("gone");
    let error = dir.keep().await.load("demo").await.expect_err("a gap");
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn an_append_to_a_locked_file_fails_and_the_next_one_need_not() {
    let dir = Dir::new();
    let keep = dir.keep().await;
    keep.load("demo").await.expect("a new room");
    let mut sql = dir.sql().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut sql).await.expect("locked");
    let error = keep.append("demo", batch("lost"), &effects(&[])).await.expect_err("locked");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut sql).await.expect("unlocked");
    let error = keep.append("demo", batch("after"), &effects(&[])).await.expect_err("a gap");
    assert!(matches!(error, Error::NotLoaded { .. }), "{error}");
    assert_eq!(keep.load("demo").await, Ok(None));
    assert_eq!(keep.append("demo", batch("1"), &effects(&[])).await, Ok(1));
    assert_eq!(keep.figures().failures, 1);
}

/// Writes until the disk takes no more.
#[tokio::test]
#[ignore = "is run by the next test, with a limit to the size of files"]
async fn child() {
    let path = std::env::var_os("FANFARE_KEEP_TEST_FILE").expect("run by the test below");
    let keep = Keep::open(path.as_ref()).await.expect("a file of ours");
    keep.load("demo").await.expect("a new room");
    let mut last = 0;
    let error = loop {
        match keep.append("demo", batch(vec![7; 50_000]), &effects(&[])).await {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    println!("\nkept {last}, and then: {error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_takes_no_more_is_reported_and_loses_nothing() {
    let dir = Dir::new();
    // The limit counts blocks of 512 bytes. With the signal ignored, a write beyond it fails instead of ending the
    // process.
    let limited = "trap '' XFSZ; ulimit -f 2000; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "keep::refused::child", "--ignored", "--nocapture"])
        .env("FANFARE_KEEP_TEST_FILE", dir.path())
        .output()
        .expect("a shell");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = output.lines().find_map(|line| line.strip_prefix("kept ")).expect(&output);
    let (last, error) = report.split_once(", and then: ").expect("both");
    assert!(error.contains(FILE) && error.contains("disk"), "{error}");
    let last: u64 = last.parse().expect("a number");
    assert!(last > 5, "{last}");
    let kept = dir.keep().await.load("demo").await.expect("whole").expect("kept");
    assert_eq!(kept.seq, last);
    assert!(kept.batches.iter().all(|batch| batch.inputs == vec![7; 50_000]));
}
