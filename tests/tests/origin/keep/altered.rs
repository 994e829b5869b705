//! Files that another program, or a bad disk, has changed.

use std::fs;
use std::sync::LazyLock;

use origin::keep::{self, Error, FILE, Keep, Retention};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use wire::worker::Row;
use wire::{FanId, Micros, PollId};

use super::{Dir, NOW, batch, effects, said};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A file with rows in every table.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = Dir::new();
    RUNTIME.block_on(async {
        let keep = dir.keep().await;
        for room in ["demo", "other"] {
            keep.load(room).await.expect("a new room");
            let rows: Vec<_> = (1..60).map(|id| said(id, FanId(id % 3), "a line of some length")).collect();
            keep.append(room, batch("one"), &effects(&rows)).await.expect("kept");
            keep.snapshot(room, 1, vec![3; 9000]).await.expect("kept");
            let poll = PollId(1);
            let poll = [
                Row::PollOpened { poll, at: NOW, question: "Encore?" },
                Row::Voted { poll, fan: FanId(1), option: 0 },
            ];
            keep.append(room, batch(vec![5; 6000]), &effects(&poll)).await.expect("kept");
        }
        keep.close().await;
    });
    fs::read(dir.path()).expect("readable")
});

/// Uses a file in every way. Each call returns an error of one line, or the data.
async fn use_all(dir: &Dir) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut note = |error: Option<Error>| errors.extend(error);
    match Keep::open(&dir.path()).await {
        Err(error) => note(Some(error)),
        Ok(keep) => {
            for room in ["demo", "other", "new"] {
                note(keep.load(room).await.err());
                note(keep.append(room, batch("x"), &effects(&[said(9, FanId(1), "x")])).await.err());
            }
            note(keep.archive().export(FanId(1)).await.err());
            note(keep.archive().export_room("demo", tokio::io::sink()).await.err());
            note(keep.prune(Micros(u64::MAX), &Retention::default()).await.err());
            note(keep::erase(&keep, FanId(1), NOW).await.err());
            keep.close().await;
        }
    }
    errors
}

fn check(bytes: &[u8]) {
    let dir = Dir::new();
    fs::write(dir.path(), bytes).expect("written");
    for error in RUNTIME.block_on(use_all(&dir)) {
        let line = error.to_string();
        assert!(line.lines().count() == 1 && !line.contains(char::is_control), "{line:?}");
        assert!(line.contains(FILE) || line.contains("room \""), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = WHOLE.clone();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        check(&bytes);
    }

    #[test]
    fn values_that_were_never_written_are_errors_and_never_a_panic(
        table in prop::sample::select(vec!["journal", "snapshots", "lines", "votes", "polls"]),
        value in prop::sample::select(vec!["'text'", "x'ff00'", "NULL", "-1", "1e300", "9223372036854775807", "x'ff' || 'a'"]),
        column in any::<prop::sample::Index>(),
    ) {
        let dir = Dir::new();
        fs::write(dir.path(), &*WHOLE).expect("written");
        RUNTIME.block_on(async {
            let mut sql = dir.sql().await;
            let columns: Vec<String> = sqlx::query_scalar(&format!("SELECT name FROM pragma_table_info('{table}')"))
                .fetch_all(&mut sql)
                .await
                .expect("columns");
            let column = column.get(&columns);
            // NOT NULL and the primary keys refuse some of these values.
            let _ = sqlx::raw_sql(&format!("UPDATE OR IGNORE {table} SET {column} = {value}")).execute(&mut sql).await;
        });
        let bytes = fs::read(dir.path()).expect("readable");
        check(&bytes);
    }
}
