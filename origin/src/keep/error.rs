//! Errors of the storage of rooms.

use std::path::{Path, PathBuf};

/// A failure to keep or read back rooms, in one line. All jobs of one failed commit get the same error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not exist, so there is nothing to read.
    #[error("there is no {}: give the data directory of the origin", path.display())]
    Missing {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file cannot be opened or written.
    #[error("{} cannot be opened for writing: {reason}; check the directory and its permissions", path.display())]
    Denied {
        /// The path of the file.
        path: PathBuf,
        /// The reason of the operating system or SQLite.
        reason: String,
    },
    /// Another process keeps its rooms in the file.
    #[error("{} is in use by a running origin: stop that first, or ask it through its HTTP API", path.display())]
    InUse {
        /// The path of the file.
        path: PathBuf,
    },
    /// Another program has the file locked.
    #[error("{} is locked by another program that reads or writes it: end that, and try again", path.display())]
    Locked {
        /// The path of the file.
        path: PathBuf,
    },
    /// The disk has no space for more.
    #[error("{} cannot grow: the disk is full; make space, the origin then goes on by itself", path.display())]
    Full {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file's content is not what was written.
    #[error(
        "{} is damaged: {reason}; move it away with its -wal and -shm, and put a backup in its place",
        path.display()
    )]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// A description of the damage.
        reason: String,
    },
    /// The file belongs to another program.
    #[error("{} is a database of another program: choose another data directory", path.display())]
    Foreign {
        /// The path of the file.
        path: PathBuf,
    },
    /// A newer version of this program wrote the file.
    #[error("{} is of format {has}, and this program knows {knows}: use the newer program", path.display())]
    Newer {
        /// The path of the file.
        path: PathBuf,
        /// The format of the file.
        has: i64,
        /// The newest format that this version knows.
        knows: i64,
    },
    /// The disk failed to read or write.
    #[error("{} cannot be read or written: {reason}; check the disk", path.display())]
    Disk {
        /// The path of the file.
        path: PathBuf,
        /// SQLite's message, without control characters.
        reason: String,
    },
    /// More data waits to be written than [`MAX_WAITING_BYTES`](super::MAX_WAITING_BYTES).
    #[error("room {room:?} gives more than {} takes: use a faster disk, or fewer rooms for one", path.display())]
    Behind {
        /// The path of the file.
        path: PathBuf,
        /// The room whose data was refused.
        room: String,
    },
    /// The room has not been loaded, or one of its batches may be missing: load it again.
    #[error("room {room:?} has to be loaded first: one of its batches may not be kept")]
    NotLoaded {
        /// The name of the room.
        room: String,
    },
    /// A snapshot names a batch that does not exist.
    #[error("room {room:?} has no batch {seq} for a snapshot: its last one is {last}")]
    NoBatch {
        /// The name of the room.
        room: String,
        /// The batch number of the snapshot.
        seq: u64,
        /// The room's last batch number.
        last: u64,
    },
    /// A worker's effects cannot be parsed.
    #[error(
        "the effects of room {room:?} cannot be read: {reason}; deploy a worker that keeps to the contract"
    )]
    Effects {
        /// The name of the room.
        room: String,
        /// The first error in the packet.
        reason: wire::Error,
    },
    /// The state is another worker's, and only that worker can change it.
    #[error("room {room:?} has another worker: {reason}; start its origin, and ask that")]
    Worker {
        /// The name of the room.
        room: String,
        /// The built-in room's error on that state.
        reason: String,
    },
    /// The storage has been closed already.
    #[error("{} is closed: the origin is ending", path.display())]
    Closed {
        /// The path of the file.
        path: PathBuf,
    },
    /// The export's destination cannot be written.
    #[error("the export cannot be written: {0}; check where it goes")]
    Output(String),
}

impl Error {
    /// Translates an SQLite code into an error that an operator can act on.
    pub(super) fn new(path: &Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        let sqlx::Error::Database(database) = error else {
            let reason = error.to_string();
            return match error {
                // A value of another type than the one that was written.
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged { path, reason },
                sqlx::Error::PoolTimedOut => Self::Locked { path },
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed { path },
                _ => Self::Disk { path, reason },
            };
        };
        let code = database.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
        // The message may contain names from a damaged file, which sqlx passes on as UTF-8 unchecked.
        let reason = String::from_utf8_lossy(database.message().as_bytes()).replace(char::is_control, " ");
        // The low byte is the kind of error (https://www.sqlite.org/rescode.html).
        match code & 0xff {
            5 | 6 => Self::Locked { path },
            3 | 8 | 14 | 23 => Self::Denied { path, reason },
            13 => Self::Full { path },
            // Code 1 comes from a file whose tables are not those of its format.
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
    async fn a_full_disk_is_reported_as_such() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("rooms.db");
        // SQLite reports its own page limit with the code of a full disk.
        let bounded = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut db = bounded.pragma("max_page_count", "4").connect().await.expect("a database");
        let fill = "CREATE TABLE full (bytes); INSERT INTO full VALUES (zeroblob(100000))";
        let error = sqlx::raw_sql(fill).execute(&mut db).await.expect_err("four pages");
        let error = Error::new(&path, &error);
        assert_eq!(error, Error::Full { path });
    }

    #[tokio::test]
    async fn a_file_that_may_not_be_written_is_reported_as_such() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("rooms.db");
        std::fs::File::create(&path).expect("made");
        let reading = SqliteConnectOptions::new().filename(&path).read_only(true);
        let mut db = reading.connect().await.expect("a database");
        let error = sqlx::raw_sql("CREATE TABLE x (y)").execute(&mut db).await.expect_err("for reading");
        assert!(matches!(Error::new(&path, &error), Error::Denied { .. }), "{error}");
    }
}
