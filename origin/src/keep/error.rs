use std::path::{Path, PathBuf};

/// Why rooms cannot be kept or read back, one line each. Whoever waits with others for one commit is told the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to read.
    #[error("there is no {}: give the data directory of the origin", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened, or not be written.
    #[error("{} cannot be opened for writing: {reason}; check the directory and its permissions", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the operating system or SQLite said.
        reason: String,
    },
    /// Another process keeps rooms in it.
    #[error("{} is in use by a running origin: stop that first, or ask it through its HTTP API", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else has it locked.
    #[error("{} is locked by another program that reads or writes it: end that, and try again", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is no space for more.
    #[error("{} cannot grow: the disk is full; make space, the origin then goes on by itself", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// What is in it is not what was written.
    #[error(
        "{} is damaged: {reason}; move it away with its -wal and -shm, and put a backup in its place",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is another program's.
    #[error("{} is a database of another program: choose another data directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version of this program.
    #[error("{} is of format {has}, and this program knows {knows}: use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        has: i64,
        /// The newest that is known.
        knows: i64,
    },
    /// The disk did not do as it was told.
    #[error("{} cannot be read or written: {reason}; check the disk", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// More waits to be written than may.
    #[error("room {room:?} gives more than {} takes: use a faster disk, or fewer rooms for one", path.display())]
    Behind {
        /// The file.
        path: PathBuf,
        /// The room.
        room: String,
    },
    /// What the room was handed last may not be kept, or nobody has looked what is.
    #[error("room {room:?} has to be loaded first: not all that it was handed need be kept")]
    NotLoaded {
        /// The room.
        room: String,
    },
    /// A snapshot after a batch that is not there.
    #[error("room {room:?} has no batch {seq} for a snapshot: its last one is {last}")]
    NoBatch {
        /// The room.
        room: String,
        /// The batch.
        seq: u64,
        /// The one that is there.
        last: u64,
    },
    /// A worker's effects are none.
    #[error(
        "the effects of room {room:?} cannot be read: {reason}; deploy a worker that keeps to the contract"
    )]
    Effects {
        /// The room.
        room: String,
        /// What is wrong.
        reason: wire::Error,
    },
    /// Another worker's state, which only that can change.
    #[error("room {room:?} has another worker: {reason}; start its origin, and ask that")]
    Worker {
        /// The room.
        room: String,
        /// What the room that is built in makes of it.
        reason: String,
    },
    /// It was closed.
    #[error("{} is closed: the origin is ending", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// What was exported cannot be handed on.
    #[error("the export cannot be written: {0}; check where it goes")]
    Output(String),
}

impl Error {
    /// What SQLite's code means for whoever runs the origin.
    pub(super) fn new(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let sqlx::Error::Database(database) = error else {
            let reason = error.to_string();
            return match error {
                // A value of another type than was written.
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged { path, reason },
                sqlx::Error::PoolTimedOut => Self::Locked { path },
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed { path },
                _ => Self::Disk { path, reason },
            };
        };
        let code = database.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
        // In the message may be names of a damaged file, which sqlx passes on for UTF-8 unseen.
        let reason = String::from_utf8_lossy(database.message().as_bytes()).replace(char::is_control, " ");
        // The low byte is the kind (https://www.sqlite.org/rescode.html).
        match code & 0xff {
            5 | 6 => Self::Locked { path },
            3 | 8 | 14 | 23 => Self::Denied { path, reason },
            13 => Self::Full { path },
            // 1 is of a file whose tables are not those of its format.
            1 | 11 | 17 | 19 | 20 | 26 => Self::Damaged { path, reason },
            _ => Self::Disk { path, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_told_as_such() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("rooms.db");
        // What SQLite says at its own bound is what it says at the disk's.
        let bounded = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut db = bounded.pragma("max_page_count", "4").connect().await.expect("a database");
        let fill = "CREATE TABLE full (bytes); INSERT INTO full VALUES (zeroblob(100000))";
        let error = sqlx::raw_sql(fill).execute(&mut db).await.expect_err("four pages");
        let error = Error::new(&path, &error);
        assert_eq!(error, Error::Full { path });
    }

    #[tokio::test]
    async fn a_file_that_may_not_be_written_is_told_as_such() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("rooms.db");
        std::fs::File::create(&path).expect("made");
        let reading = SqliteConnectOptions::new().filename(&path).read_only(true);
        let mut db = reading.connect().await.expect("a database");
        let error = sqlx::raw_sql("CREATE TABLE x (y)").execute(&mut db).await.expect_err("for reading");
        assert!(matches!(Error::new(&path, &error), Error::Denied { .. }), "{error}");
    }
}
