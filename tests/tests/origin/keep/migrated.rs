//! Files of earlier formats.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use origin::keep::{self, Keep};
use wire::FanId;

use super::{Dir, NOW, sql};

/// The rows of the fixture, by table.
const ROWS: [(&str, &str); 10] = [
    ("journal", "demo|8|1800000000000000|0102"),
    ("snapshots", "demo|7|0A0B0C"),
    ("lines", "1|demo|5|1800000000000001|0000000000000ada|ada|kept since the first format|4|everyone"),
    ("gifts", "1|demo|6|1800000000000002|0000000000000b0b|bob|2|3|10|000000000000004d"),
    ("polls", "1|demo|1|1800000000000003|Encore?|1800000000000009"),
    ("poll_options", "1|demo|1|0|yes"),
    ("votes", "1|demo|1|0000000000000ada|0"),
    ("questions", "1|demo|1|1800000000000004|0000000000000ada|ada|when?|NULL|NULL|NULL"),
    ("visits", "1|demo|1800000000000005|0000000000000ada|9000|8000|70|12"),
    ("audit", "1|demo|1800000000000006|0000000000000ada|ban|0000000000000b0b|0"),
];

async fn first_format() -> Dir {
    let dir = Dir::new();
    fs::write(dir.path(), "").expect("written");
    let mut sql = dir.sql().await;
    sqlx::raw_sql(include_str!("format1.sql")).execute(&mut sql).await.expect("the first format");
    dir
}

fn copy_of(dir: &Dir) -> PathBuf {
    dir.path().with_extension("db.format-1")
}

/// Checks that a file has the rows of the fixture, and a format.
async fn has_all(path: PathBuf, format: i64) {
    let mut sql = sql(&path).await;
    let is: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut sql).await.expect("a format");
    assert_eq!(is, format);
    for (table, row) in ROWS {
        let columns: Vec<(String, String)> =
            sqlx::query_as(&format!("SELECT name, type FROM pragma_table_info('{table}')"))
                .fetch_all(&mut sql)
                .await
                .expect("columns");
        let text = |(name, kind): &(String, String)| match &kind[..] {
            "BLOB" => format!("hex({name})"),
            _ => format!("coalesce({name}, 'NULL')"),
        };
        let columns: Vec<String> = columns.iter().map(text).collect();
        let rows: Vec<String> =
            sqlx::query_scalar(&format!("SELECT {} FROM {table}", columns.join(" || '|' || ")))
                .fetch_all(&mut sql)
                .await
                .expect("rows");
        assert_eq!(rows, [row], "{table}");
    }
}

#[tokio::test]
async fn a_file_of_the_first_format_is_migrated_with_all_rows_and_copied_before() {
    let dir = first_format().await;
    let keep = dir.keep().await;
    let room = keep.load("demo").await.expect("kept").expect("a room");
    assert_eq!(room.snapshot.as_deref(), Some(&[10, 11, 12][..]));
    keep.close().await;
    has_all(dir.path(), 3).await;
    has_all(copy_of(&dir), 1).await;
    let mode = fs::metadata(copy_of(&dir)).expect("a copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "people's words are for the owner alone");
}

#[tokio::test]
async fn a_new_file_and_a_file_of_this_format_are_not_copied() {
    let dir = Dir::new();
    for _ in 0..2 {
        dir.keep().await.close().await;
    }
    let files = fs::read_dir(dir.path().parent().expect("a directory")).expect("readable").flatten();
    let copies = files.filter(|file| file.file_name().to_string_lossy().contains("format"));
    assert_eq!(copies.count(), 0);
}

#[tokio::test]
async fn a_copy_that_was_interrupted_is_made_again() {
    let dir = first_format().await;
    let mut partial = copy_of(&dir).into_os_string();
    partial.push(".partial");
    fs::write(&partial, "half a copy").expect("written");
    dir.keep().await.close().await;
    has_all(copy_of(&dir), 1).await;
    assert!(!fs::exists(partial).expect("readable"));
}

#[tokio::test]
async fn a_file_that_cannot_be_copied_is_not_migrated() {
    let dir = first_format().await;
    fs::create_dir(copy_of(&dir)).expect("a directory in the way");
    let error = Keep::open(&dir.path()).await.expect_err("no copy");
    assert!(error.to_string().contains("format-1"), "{error}");
    has_all(dir.path(), 1).await;
}

#[tokio::test]
async fn erasing_somebody_removes_the_copy_with_their_words() {
    let dir = first_format().await;
    let keep = dir.keep().await;
    assert!(dir.has("kept since the first format"));
    let mut sql = dir.sql().await;
    // The fixture's room has no state of a worker.
    sqlx::raw_sql("DELETE FROM journal; DELETE FROM snapshots").execute(&mut sql).await.expect("deleted");
    drop(sql);
    keep::erase(&keep, FanId(0xada), NOW).await.expect("erased");
    keep.close().await;
    assert!(!copy_of(&dir).exists());
    assert!(!dir.has("kept since the first format"));
}
