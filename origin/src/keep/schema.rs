//! Opens, locks and migrates the file.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::Error;

/// The SQL that makes each format from the one before.
const MIGRATIONS: [[&str; 2]; 3] = [
    [include_str!("schema1.sql"), archive::SCHEMA],
    [include_str!("schema2.sql"), ""],
    [archive::RESULTS, ""],
];
/// The format that this version writes.
pub(super) const FORMAT: i64 = MIGRATIONS.len() as i64;
/// `Fanf`: distinguishes the file from another program's (<https://www.sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION: i64 = 0x4661_6e66;
/// The longest wait for another program's lock.
const BUSY: Duration = Duration::from_secs(5);

fn options(path: &Path) -> SqliteConnectOptions {
    // Statements are not logged: they contain people's words.
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging()
}

/// The options for reading only.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

/// Takes the lock file, so that no other process keeps rooms in the file while the result is held.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let denied = |reason: std::io::Error| Error::Denied { path: path.into(), reason: reason.to_string() };
    let file = private(name.as_ref()).map_err(denied)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.into() }),
        Err(TryLockError::Error(reason)) => Err(denied(reason)),
    }
}

/// Opens or creates a file that only its owner may read. SQLite gives the files beside it the same mode.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens the file for writing, or creates it, and migrates it to the current format. Committed data is never lost
/// (`synchronous=FULL`), and deleted data does not stay in the file (`secure_delete`).
pub(super) async fn writing(path: &Path) -> Result<SqliteConnection, Error> {
    let failed = |error: &sqlx::Error| Error::new(path, error);
    private(path).map_err(|reason| Error::Denied { path: path.into(), reason: reason.to_string() })?;
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .pragma("secure_delete", "ON");
    let mut db = options.connect().await.map_err(|error| failed(&error))?;
    if let Err(error) = migrate(&mut db, path).await {
        let _ = db.close().await;
        return Err(error);
    }
    Ok(db)
}

async fn migrate(db: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let has = check(db, path).await?;
    if (1..FORMAT).contains(&has) {
        copy(db, path, has).await?;
    }
    for (format, step) in (1..).zip(MIGRATIONS).skip(usize::try_from(has).unwrap_or(0)) {
        let step = step.concat();
        let step = format!(
            "BEGIN IMMEDIATE; {step} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {format}; COMMIT"
        );
        if let Err(error) = sqlx::raw_sql(&step).execute(&mut *db).await {
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *db).await;
            return Err(Error::new(path, &error));
        }
    }
    // A file of the first format gives free pages back only after it was rewritten once. No room runs yet.
    if has == 1 {
        let rewritten = sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").execute(&mut *db).await;
        rewritten.map_err(|error| Error::new(path, &error))?;
    }
    Ok(())
}

/// Copies the file before it is migrated, so that the earlier version can go on from there.
async fn copy(db: &mut SqliteConnection, path: &Path, has: i64) -> Result<(), Error> {
    let copy = copy_path(path, has);
    let mut partial = copy.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let denied = |reason: std::io::Error| Error::Denied { path: copy.clone(), reason: reason.to_string() };
    // A copy that was interrupted begins again. SQLite writes into an empty file only.
    remove(&partial).map_err(denied)?;
    private(&partial).map_err(denied)?;
    let copied = sqlx::query("VACUUM INTO ?").bind(partial.to_string_lossy()).execute(db).await;
    copied.map_err(|error| Error::new(&copy, &error))?;
    File::open(&partial).and_then(|file| file.sync_all()).map_err(denied)?;
    std::fs::rename(&partial, &copy).map_err(denied)
}

/// Removes the copies of earlier formats: they still have what was erased since.
pub(super) fn remove_copies(path: &Path) -> Result<(), Error> {
    for format in 1..FORMAT {
        let copy = copy_path(path, format);
        remove(&copy).map_err(|reason| Error::Denied { path: copy, reason: reason.to_string() })?;
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the path of the copy of a file of an earlier format.
fn copy_path(path: &Path, format: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".format-{format}"));
    name.into()
}

/// Returns the format of the file, 0 for an empty one. Fails on files of other programs or newer versions.
pub(super) async fn check(db: &mut SqliteConnection, path: &Path) -> Result<i64, Error> {
    let failed = |error| Error::new(path, &error);
    let query = "SELECT (SELECT application_id FROM pragma_application_id), \
                        (SELECT user_version FROM pragma_user_version), \
                        (SELECT count(*) FROM sqlite_schema)";
    let (application, has, things): (i64, i64, i64) =
        sqlx::query_as(query).fetch_one(db).await.map_err(failed)?;
    let path = path.to_owned();
    match (application, has) {
        (APPLICATION, 1..=FORMAT) => Ok(has),
        (APPLICATION, _) if has > FORMAT => Err(Error::Newer { path, has, knows: FORMAT }),
        (APPLICATION, _) => Err(Error::Damaged { path, reason: format!("its format is {has}") }),
        (0, 0) if things == 0 => Ok(0),
        _ => Err(Error::Foreign { path }),
    }
}
