//! The storage of rooms: everything that restores them after a restart, and their archive, in one SQLite file.
//!
//! The root of a room is a function of its batches. [`Keep::append`] keeps a batch with the rows that the room archived
//! in it, in one transaction, and completes when both would survive a power cut: only then may any other effect of the
//! batch be carried out. [`Keep::load`] returns a room's last snapshot and the batches since.
//!
//! A room is loaded before anything is appended to it, even if it is new. After a failed append, the running room is
//! ahead of the file: restore it from [`Keep::load`]. Until then nothing more is appended to it, so that the journal
//! never has a gap.
//!
//! # Forgetting
//!
//! A person's archive is in tables, and [`Keep::forget`] erases it there. The journal and the snapshots contain the
//! person's words too, in a form that only the worker reads. So for each room that [`Keep::forget`] returns, the caller
//! handles [`Input::Forget`](wire::worker::Input::Forget), appends that batch, and takes a [`Keep::snapshot`], which
//! drops the journal. [`Keep::scrub`] follows the last one; then, and not before, nothing of the person is in any file.
//! [`erase`] does all that for rooms that do not run. While rooms run it is a job, from [`Keep::begin_forget`] to
//! [`Keep::end_forget`], with a row of its progress; the file is rewritten later, when no room runs
//! ([`Keep::scrub_if_due`]).

use std::path::{Path, PathBuf};
use std::sync::{Arc, atomic::Ordering::Relaxed};

use ::archive::Statement;
use sqlx::SqliteConnection;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::{FanId, Micros};

mod archive;
pub use archive::Archive;

mod erase;
pub use erase::{erase, erase_room};

mod forget;
pub use forget::Erasure;

mod error;
pub use error::Error;

mod retention;
pub use ::archive::Retention;

mod rows;
mod schema;
mod shows;
pub use shows::ROOM_DAYS;

mod writer;

use writer::{Answer, Counters, Job, Waiting, Writer};

/// The file's name in the data directory.
pub const FILE: &str = "rooms.db";
/// The most bytes that may wait to be written, of all rooms together: 64 MiB.
pub const MAX_WAITING_BYTES: usize = PERMIT_BYTES * MAX_PERMITS;

/// The bytes that one semaphore permit stands for.
const PERMIT_BYTES: usize = 1024;
const MAX_PERMITS: usize = 64 * 1024;

/// The inputs of one call of a room's worker, and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time of the call.
    pub now: Micros,
    /// A packet of [`Input`](wire::worker::Input)s.
    pub inputs: Vec<u8>,
}

/// A kept room: all that is needed to restore it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The worker's state before the first of `batches`; without one, the batches are all that there ever were.
    pub snapshot: Option<Vec<u8>>,
    /// The batches since the snapshot, in order.
    pub batches: Vec<Batch>,
    /// The number of the last batch.
    pub seq: u64,
    /// The number of the last batch that the snapshot includes.
    since: u64,
}

impl Kept {
    async fn read(db: &mut SqliteConnection, room: &str) -> sqlx::Result<Option<Self>> {
        let snapshot: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, state FROM snapshots WHERE room = ?")
                .bind(room)
                .fetch_optional(&mut *db)
                .await?;
        let journal: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, now, inputs FROM journal WHERE room = ? ORDER BY seq")
                .bind(room)
                .fetch_all(db)
                .await?;
        if snapshot.is_none() && journal.is_empty() {
            return Ok(None);
        }
        let since = snapshot.as_ref().map_or(0, |(seq, _)| *seq as u64);
        let seq = journal.last().map_or(since, |(seq, ..)| *seq as u64);
        let batch = |(_, now, inputs)| Batch { now: Micros(now as u64), inputs };
        let batches = journal.into_iter().map(batch).collect();
        Ok(Some(Self { snapshot: snapshot.map(|(_, state)| state), batches, seq, since }))
    }

    /// Returns whether no batch is missing.
    fn is_whole(&self) -> bool {
        self.since.checked_add(self.batches.len() as u64) == Some(self.seq)
    }
}

/// The rooms of an origin, on disk. Clones use the same file.
#[derive(Clone, Debug)]
pub struct Keep {
    path: PathBuf,
    jobs: mpsc::UnboundedSender<Waiting>,
    permits: Arc<Semaphore>,
    archive: Archive,
    counters: Arc<Counters>,
}

/// Counters of writes since the file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Batches written to the journal.
    pub batches: u64,
    /// Committed transactions, of batches and everything else.
    pub commits: u64,
    /// Transactions that failed and were rolled back.
    pub failures: u64,
}

impl Keep {
    /// Opens the file, or creates it. Only one process at a time may have it open.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let lock = schema::lock(path)?;
        let db = schema::writing(path).await?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (archive, counters) = (Archive::new(path), Arc::<Counters>::default());
        tokio::spawn(Writer::new(db, path.into(), lock, Arc::clone(&counters)).run(waiting));
        let permits = Arc::new(Semaphore::new(MAX_PERMITS));
        Ok(Self { path: path.into(), jobs, permits, archive, counters })
    }

    /// The archive, for queries while rooms go on.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The counters of writes so far.
    pub fn figures(&self) -> Figures {
        let Counters { batches, commits, failures } = &*self.counters;
        let [batches, commits, failures] = [batches, commits, failures].map(|count| count.load(Relaxed));
        Figures { batches, commits, failures }
    }

    /// Keeps a batch of a room, with the rows that the room archived in it. Completes when both are on the disk, with
    /// the batch's number. Batches are kept in the order of the calls, whenever their futures are awaited.
    pub fn append(
        &self,
        room: &str,
        batch: Batch,
        effects: &[u8],
    ) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
        let rows = rows::of(effects).map_err(|reason| Error::Effects { room: room.into(), reason });
        let handed = rows.and_then(|rows| {
            let bytes = batch.inputs.len() + rows.len();
            let of = room.to_owned();
            self.hand_some(room, bytes, |done| Job::Append { room: of, batch, rows, done })
        });
        if handed.is_err() {
            // The next batch would follow a gap, so the room has to be loaded again.
            self.send(Job::Unload { room: room.into() });
        }
        self.answer(handed)
    }

    /// Replaces a room's snapshot by its state right after batch `seq`, and drops the journal up to there.
    pub fn snapshot(
        &self,
        room: &str,
        seq: u64,
        state: Vec<u8>,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let of = room.to_owned();
        let handed = self.hand_some(room, state.len(), |done| Job::Snapshot { room: of, seq, state, done });
        self.answer(handed)
    }

    /// Loads a room; a new one gives `None`. From here on batches may be appended to it.
    pub async fn load(&self, room: &str) -> Result<Option<Kept>, Error> {
        self.ask(|done| Job::Load { room: room.into(), done }).await
    }

    /// Lists the rooms that can be loaded.
    pub async fn rooms(&self) -> Result<Vec<String>, Error> {
        self.archive.rooms().await
    }

    /// Erases a person from the archive, and returns the rooms that have to forget them too.
    pub async fn forget(&self, fan: FanId) -> Result<Vec<String>, Error> {
        self.ask(|done| Job::Forget { fan, done }).await?;
        self.rooms().await
    }

    /// Rewrites the file, so that no deleted data is left in it or beside it. Rooms wait meanwhile, for as long as
    /// copying the file takes.
    pub async fn scrub(&self) -> Result<(), Error> {
        self.ask(|done| Job::Scrub { done }).await
    }

    /// Writes all jobs that wait, and closes the file.
    pub async fn close(self) {
        self.archive.close().await;
        let (done, closed) = oneshot::channel();
        self.send(Job::Close { done });
        let _ = closed.await;
    }

    /// Queues a job that takes memory while it waits. Fails if too much waits already.
    fn hand_some<T>(
        &self,
        room: &str,
        bytes: usize,
        job: impl FnOnce(Answer<T>) -> Job,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let count = u32::try_from(1 + bytes / PERMIT_BYTES).unwrap_or(u32::MAX);
        let Ok(permits) = Arc::clone(&self.permits).try_acquire_many_owned(count) else {
            return Err(Error::Behind { path: self.path.clone(), room: room.into() });
        };
        let (done, answer) = oneshot::channel();
        // Without a writer the answer never comes, and `answer` returns `Closed`.
        let _ = self.jobs.send(Waiting { job: job(done), permits: Some(permits) });
        Ok(answer)
    }

    /// Executes statements in one transaction; returns the number of rows that they changed.
    async fn change(&self, statements: Vec<Statement<'static>>) -> Result<u64, Error> {
        self.ask(|done| Job::Change { statements, done }).await
    }

    fn send(&self, job: Job) {
        let _ = self.jobs.send(Waiting { job, permits: None });
    }

    fn answer<T: Send>(
        &self,
        handed: Result<oneshot::Receiver<Result<T, Error>>, Error>,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T> {
        let closed = Error::Closed { path: self.path.clone() };
        async move { handed?.await.unwrap_or(Err(closed)) }
    }

    async fn ask<T: Send>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, Error> {
        let (done, answer) = oneshot::channel();
        self.send(job(done));
        self.answer(Ok(answer)).await
    }
}
