//! The one task that writes. All jobs that arrive during a commit go into the next one together: a slow disk has larger
//! groups, not a longer queue.

use std::{
    collections::HashMap,
    fs::File,
    path::PathBuf,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use archive::Statement;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wire::FanId;

use super::{Batch, Error, Kept, rows, schema};

/// The most jobs in one transaction: each of them waits for the whole.
const MAX_GROUP: usize = 1024;
/// Gives a few free pages back: rooms hardly wait.
const WIPE: &str = "PRAGMA incremental_vacuum(256)";

/// The channel for the result of a job.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// A job for the writer.
pub(super) enum Job {
    /// Appends a batch and its archive rows.
    Append {
        room: String,
        batch: Batch,
        rows: Vec<u8>,
        done: Answer<u64>,
    },
    /// Unloads a room that has lost a batch: nothing more is appended until it is loaded again.
    Unload {
        room: String,
    },
    Snapshot {
        room: String,
        seq: u64,
        state: Vec<u8>,
        done: Answer<()>,
    },
    /// Executes statements, and answers how many rows they changed.
    Change {
        statements: Vec<Statement<'static>>,
        done: Answer<u64>,
    },
    /// Drops all that a room is restored from.
    CloseRoom {
        room: String,
        done: Answer<()>,
    },
    /// Gives some free pages back, or else empties the write-ahead log. Answers whether pages are left.
    Wipe {
        done: Answer<bool>,
    },
    Forget {
        fan: FanId,
        done: Answer<()>,
    },
    Load {
        room: String,
        done: Answer<Option<Kept>>,
    },
    /// Rewrites the file without the deleted data.
    Scrub {
        done: Answer<()>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

/// Counters of what was written so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) batches: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) failures: AtomicU64,
}

impl Counters {
    fn count(&self, committed: bool, batches: u64) {
        if committed {
            self.batches.fetch_add(batches, Relaxed);
            self.commits.fetch_add(1, Relaxed);
        } else {
            self.failures.fetch_add(1, Relaxed);
        }
    }
}

/// A job that waits, with the permits for its memory.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) permits: Option<OwnedSemaphorePermit>,
}

/// The result of one job, sent once its group is committed.
enum Reply {
    Appended(Answer<u64>, Result<u64, Error>),
    Changed(Answer<u64>, u64),
    Done(Answer<()>, Result<(), Error>),
}

impl Reply {
    fn send(self, committed: &Result<(), Error>) {
        // A receiver that was dropped does not need the result, so failures to send are ignored.
        let after = |error: &Error| error.clone();
        match self {
            Self::Appended(done, result) => {
                let _ = done.send(committed.as_ref().map_err(after).and(result));
            }
            Self::Changed(done, rows) => {
                let _ = done.send(committed.as_ref().map_err(after).map(|()| rows));
            }
            Self::Done(done, result) => {
                let _ = done.send(committed.as_ref().map_err(after).copied().and(result));
            }
        }
    }
}

pub(super) struct Writer {
    db: SqliteConnection,
    path: PathBuf,
    /// The last batch number of each room that was loaded and has lost nothing since.
    loaded: HashMap<String, u64>,
    figures: Arc<Counters>,
    lock: File,
}

impl Writer {
    pub(super) fn new(db: SqliteConnection, path: PathBuf, lock: File, figures: Arc<Counters>) -> Self {
        Self { db, path, loaded: HashMap::new(), figures, lock }
    }

    pub(super) async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Waiting>) {
        let mut group = Vec::new();
        let mut closed = None;
        while closed.is_none() && jobs.recv_many(&mut group, MAX_GROUP).await > 0 {
            closed = self.serve(&mut group).await;
        }
        // The last connection that closes a database also empties its write-ahead log.
        let _ = self.db.close().await;
        drop(self.lock);
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    /// Runs jobs in order, and commits neighbouring writes together. Returns the sender of a job to close.
    async fn serve(&mut self, group: &mut Vec<Waiting>) -> Option<oneshot::Sender<()>> {
        // The permits are held until all jobs are done.
        let (jobs, _permits): (Vec<Job>, Vec<_>) =
            std::mem::take(group).into_iter().map(|waiting| (waiting.job, waiting.permits)).unzip();
        let mut together = Vec::new();
        for job in jobs {
            match job {
                Job::Load { room, done } => {
                    self.commit(&mut together).await;
                    let _ = done.send(self.load(room).await);
                }
                Job::Scrub { done } => {
                    self.commit(&mut together).await;
                    let _ = done.send(self.scrub().await);
                }
                Job::Wipe { done } => {
                    self.commit(&mut together).await;
                    let _ = done.send(self.wipe().await);
                }
                Job::Close { done } => {
                    self.commit(&mut together).await;
                    return Some(done);
                }
                job => together.push(job),
            }
        }
        self.commit(&mut together).await;
        None
    }

    async fn commit(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let rooms: Vec<String> = jobs.iter().filter_map(Job::appends_to).map(Into::into).collect();
        let mut replies = Vec::with_capacity(jobs.len());
        let committed = self.transaction(jobs, &mut replies).await;
        let kept = replies.iter().filter(|reply| matches!(reply, Reply::Appended(_, Ok(_)))).count();
        self.figures.count(committed.is_ok(), kept as u64);
        if let Err(error) = &committed {
            let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
            tracing::warn!(%error, "a commit failed: its batches are not kept");
            for room in rooms {
                self.loaded.remove(&room);
            }
        }
        for reply in replies {
            reply.send(&committed);
        }
        for job in jobs.drain(..) {
            job.fail(&committed);
        }
    }

    /// Runs jobs until one fails; the results so far are in `replies`, even then.
    async fn transaction(&mut self, jobs: &mut Vec<Job>, replies: &mut Vec<Reply>) -> Result<(), Error> {
        let failed = |error| Error::new(&self.path, &error);
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.db).await.map_err(failed)?;
        jobs.reverse();
        while let Some(job) = jobs.pop() {
            let outcome = self.job(job, replies).await;
            outcome.map_err(|error| Error::new(&self.path, &error))?;
        }
        let outcome = sqlx::query("COMMIT").execute(&mut self.db).await;
        outcome.map(drop).map_err(|error| Error::new(&self.path, &error))
    }

    async fn job(&mut self, job: Job, replies: &mut Vec<Reply>) -> sqlx::Result<()> {
        match job {
            Job::Append { room, batch, rows, done } => {
                let Some(last) = self.loaded.get_mut(&room) else {
                    replies.push(Reply::Appended(done, Err(Error::NotLoaded { room })));
                    return Ok(());
                };
                *last += 1;
                replies.push(Reply::Appended(done, Ok(*last)));
                sqlx::query("INSERT INTO journal VALUES (?, ?, ?, ?)")
                    .bind(&room)
                    .bind(*last as i64)
                    .bind(batch.now.0 as i64)
                    .bind(batch.inputs)
                    .execute(&mut self.db)
                    .await?;
                rows::put(&mut self.db, &room, &rows).await
            }
            Job::Snapshot { room, seq, state, done } => {
                let result = match self.loaded.get(&room) {
                    None => Err(Error::NotLoaded { room: room.clone() }),
                    Some(&last) if seq > last => Err(Error::NoBatch { room: room.clone(), seq, last }),
                    Some(_) => Ok(()),
                };
                let good = result.is_ok();
                replies.push(Reply::Done(done, result));
                if good { self.snapshot(&room, seq, state).await } else { Ok(()) }
            }
            Job::Change { statements, done } => {
                let changed = rows::execute(&mut self.db, statements).await;
                replies.push(Reply::Changed(done, changed.as_ref().copied().unwrap_or_default()));
                changed.map(drop)
            }
            Job::CloseRoom { room, done } => {
                self.loaded.remove(&room);
                replies.push(Reply::Done(done, Ok(())));
                rows::close(&mut self.db, &room).await
            }
            Job::Forget { fan, done } => {
                replies.push(Reply::Done(done, Ok(())));
                rows::forget(&mut self.db, fan).await
            }
            Job::Unload { room } => {
                self.loaded.remove(&room);
                Ok(())
            }
            Job::Load { .. } | Job::Scrub { .. } | Job::Wipe { .. } | Job::Close { .. } => Ok(()),
        }
    }

    async fn snapshot(&mut self, room: &str, seq: u64, state: Vec<u8>) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)")
            .bind(room)
            .bind(seq as i64)
            .bind(state)
            .execute(&mut self.db)
            .await?;
        sqlx::query("DELETE FROM journal WHERE room = ? AND seq <= ?")
            .bind(room)
            .bind(seq as i64)
            .execute(&mut self.db)
            .await?;
        Ok(())
    }

    async fn load(&mut self, room: String) -> Result<Option<Kept>, Error> {
        let kept = Kept::read(&mut self.db, &room).await;
        let kept = kept.map_err(|error| Error::new(&self.path, &error))?;
        let last = kept.as_ref().map_or(0, |kept| kept.seq);
        if let Some(kept) = &kept
            && !kept.is_whole()
        {
            let reason = format!("the journal of room {room:?} misses a batch");
            return Err(Error::Damaged { path: self.path.clone(), reason });
        }
        self.loaded.insert(room, last);
        Ok(kept)
    }

    /// Rewrites the file, and empties the write-ahead log. `secure_delete` overwrites deleted data, but not the copies
    /// left behind where rows were moved when pages were split and merged. Copies of earlier formats go.
    async fn scrub(&mut self) -> Result<(), Error> {
        let failed = |error| Error::new(&self.path, &error);
        sqlx::query("VACUUM").execute(&mut self.db).await.map_err(failed)?;
        schema::remove_copies(&self.path)?;
        self.checkpoint().await
    }

    /// Gives some free pages back; if there are none, empties the write-ahead log. Returns whether some are left.
    async fn wipe(&mut self) -> Result<bool, Error> {
        let failed = |error| Error::new(&self.path, &error);
        let free: i64 =
            sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut self.db).await.map_err(failed)?;
        sqlx::query(WIPE).execute(&mut self.db).await.map_err(failed)?;
        let left: i64 =
            sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut self.db).await.map_err(failed)?;
        if left > 0 && left < free {
            return Ok(true);
        }
        // Somebody who reads keeps the log from being emptied: the next checkpoint does it.
        match self.checkpoint().await {
            Ok(()) | Err(Error::Locked { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        let failed = |error| Error::new(&self.path, &error);
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut self.db)
            .await
            .map_err(failed)?;
        if busy == 0 { Ok(()) } else { Err(Error::Locked { path: self.path.clone() }) }
    }
}

impl Job {
    /// The room that misses a batch if this job fails.
    fn appends_to(&self) -> Option<&str> {
        match self {
            Self::Append { room, .. } => Some(room),
            _ => None,
        }
    }

    /// Sends the group's error, as the result of a job that was not run.
    fn fail(self, committed: &Result<(), Error>) {
        let Err(error) = committed else { return };
        let error = error.clone();
        match self {
            Self::Append { done, .. } | Self::Change { done, .. } => drop(done.send(Err(error))),
            Self::Wipe { done } => drop(done.send(Err(error))),
            Self::Snapshot { done, .. }
            | Self::Forget { done, .. }
            | Self::CloseRoom { done, .. }
            | Self::Scrub { done } => {
                let _ = done.send(Err(error));
            }
            Self::Load { done, .. } => drop(done.send(Err(error))),
            Self::Unload { .. } | Self::Close { .. } => {}
        }
    }
}
