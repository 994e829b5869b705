//! What rooms are made of again after a restart, and what people ask of their past: one SQLite file.
//!
//! The root of a room is a function of the batches that it was handed. [`Keep::append`] keeps a batch and
//! what the room had archived by it, in one transaction, and is done when both would outlive a cut of the power:
//! only then may any other effect of the batch be carried out. [`Keep::load`] gives back a room's last snapshot
//! and the batches since.
//!
//! A room is loaded before anything is appended to it, also if it is new. Whoever is told that an append has
//! failed has a room that is ahead of what is kept: it has to be made again of what [`Keep::load`] gives.
//! Until then nothing more is appended to it, so that the journal never has a gap.
//!
//! # Forgetting
//!
//! What is archived of a person is in tables, and [`Keep::forget`] erases it there. The journal and the snapshots
//! have their words too, in a form that only the worker reads. So whoever runs the rooms, for each one that
//! [`Keep::forget`] names: hands it [`Input::Forget`](wire::worker::Input::Forget), appends that batch, and takes a
//! [`Keep::snapshot`], which drops the journal. After the last one, [`Keep::scrub`]; then, and not before,
//! nothing of the person is in any file. [`erase`] does that for rooms that do not run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, atomic::Ordering::Relaxed};

use sqlx::SqliteConnection;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::{FanId, Micros};

mod archive;
pub use archive::Archive;

mod erase;
pub use erase::erase;

mod error;
pub use error::Error;

mod retention;
pub use ::archive::Retention;

mod rows;
mod schema;
mod writer;

use writer::{Answer, Counters, Job, Waiting, Writer};

/// The file, in the data directory.
pub const FILE: &str = "rooms.db";
/// What may wait to be written, of all rooms together: 64 MiB.
pub const MAX_WAITING_BYTES: usize = SHARE * MAX_SHARES;

/// What waits is counted in so many bytes.
const SHARE: usize = 1024;
const MAX_SHARES: usize = 64 * 1024;

/// What a room was handed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When.
    pub now: Micros,
    /// A packet of [`Input`](wire::worker::Input)s.
    pub inputs: Vec<u8>,
}

/// What is kept of a room: what makes it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its worker's state after the batch before the first of `batches`; without one the room begins with them.
    pub snapshot: Option<Vec<u8>>,
    /// What it was handed since, in order.
    pub batches: Vec<Batch>,
    /// The number of the last batch.
    pub seq: u64,
    /// The number of the batch that the snapshot is after.
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

    /// Whether there is a batch for each number.
    fn is_whole(&self) -> bool {
        self.since.checked_add(self.batches.len() as u64) == Some(self.seq)
    }
}

/// The rooms of an origin, on disk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Keep {
    path: PathBuf,
    jobs: mpsc::UnboundedSender<Waiting>,
    shares: Arc<Semaphore>,
    archive: Archive,
    counters: Arc<Counters>,
}

/// What was written since the file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Batches.
    pub batches: u64,
    /// Transactions that they went in, and whatever else was written.
    pub commits: u64,
    /// Transactions that failed.
    pub failures: u64,
}

impl Keep {
    /// Opens the file, or makes it. One process at a time may.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let lock = schema::lock(path)?;
        let db = schema::writing(path).await?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (archive, counters) = (Archive::new(path), Arc::<Counters>::default());
        tokio::spawn(Writer::new(db, path.into(), lock, Arc::clone(&counters)).run(waiting));
        let shares = Arc::new(Semaphore::new(MAX_SHARES));
        Ok(Self { path: path.into(), jobs, shares, archive, counters })
    }

    /// What can be asked of the past, while rooms go on.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// What was written so far.
    pub fn figures(&self) -> Figures {
        let Counters { batches, commits, failures } = &*self.counters;
        let [batches, commits, failures] = [batches, commits, failures].map(|count| count.load(Relaxed));
        Figures { batches, commits, failures }
    }

    /// Keeps what a room was handed, and what it had archived by it. Done when both are on the disk, with the
    /// batch's number. The order of batches is that of the calls, whenever their futures are awaited.
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
            // What follows would have a gap before it.
            self.send(Job::Unload { room: room.into() });
        }
        self.answer(handed)
    }

    /// Replaces a room's snapshot by its state right after that batch, and drops the journal up to there.
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

    /// What is kept of a room; nothing of a new one. From here on batches may be appended to it.
    pub async fn load(&self, room: &str) -> Result<Option<Kept>, Error> {
        self.ask(|done| Job::Load { room: room.into(), done }).await
    }

    /// The rooms of which there is something to load.
    pub async fn rooms(&self) -> Result<Vec<String>, Error> {
        self.archive.rooms().await
    }

    /// Erases a person from what is archived, and names the rooms that are to forget them too.
    pub async fn forget(&self, fan: FanId) -> Result<Vec<String>, Error> {
        self.ask(|done| Job::Forget { fan, done }).await?;
        self.rooms().await
    }

    /// Writes the file anew, so that nothing that was deleted is in it or beside it. Rooms wait meanwhile, for as long as
    /// it takes to copy the file.
    pub async fn scrub(&self) -> Result<(), Error> {
        self.ask(|done| Job::Scrub { done }).await
    }

    /// Writes what was handed over, and closes the file.
    pub async fn close(self) {
        self.archive.close().await;
        let (done, closed) = oneshot::channel();
        self.send(Job::Close { done });
        let _ = closed.await;
    }

    /// Hands over what takes memory while it waits.
    fn hand_some<T>(
        &self,
        room: &str,
        bytes: usize,
        job: impl FnOnce(Answer<T>) -> Job,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        let shares = u32::try_from(1 + bytes / SHARE).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&self.shares).try_acquire_many_owned(shares) else {
            return Err(Error::Behind { path: self.path.clone(), room: room.into() });
        };
        let (done, answer) = oneshot::channel();
        // Without a writer the answer never comes, and that is told.
        let _ = self.jobs.send(Waiting { job: job(done), share: Some(share) });
        Ok(answer)
    }

    fn send(&self, job: Job) {
        let _ = self.jobs.send(Waiting { job, share: None });
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
