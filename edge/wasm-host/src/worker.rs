//! A room's worker: the handle that a node holds.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use room::Config;
use tokio::sync::oneshot;
use wire::worker::Demand;

use crate::keeper::{Keeper, Shared};
use crate::pool::{Next, Standing, Task};
use crate::{Batch, Engine, Error, Figures, Options, Version};

/// Calls of one worker that wait for their turn, at most.
pub const WAITING: usize = 64;

/// Bytes of waiting batches, at most.
pub const WAITING_BYTES: usize = 8 << 20;

/// Settings with which a worker is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The room's name, for the log.
    pub room: String,
    /// The room's seat and limits.
    pub config: Config,
    /// The version to run.
    pub version: Version,
    /// The version that takes over after too many faults.
    pub fallback: Option<Version>,
    /// The worker's limits.
    pub options: Options,
}

impl Setup {
    /// Returns a setup with the usual options and without a fallback.
    pub fn new(room: impl Into<String>, config: Config, version: Version) -> Self {
        Self { room: room.into(), config, version, fallback: None, options: Options::default() }
    }
}

/// A room's worker. It runs on the threads of the [`Engine`], and ends when it is dropped.
///
/// # Contract
///
/// * **Order.** Calls run one at a time, in the order in which the methods were called: each is
///   queued at once, whether or not its future is polled, or dropped. At most [`WAITING`] wait; the next is
///   [`Error::Busy`], and was not taken.
/// * **Faults.** When a call ends its instance, the worker makes another, restores the last snapshot, and
///   replays the batches since, whose effects it drops; then it tries the call again. After
///   [`Options::faults`] faults within [`Options::window`] it gives the version up for this room, and the
///   fallback takes over in the same way. Nothing is lost by that but time.
/// * **Skipped.** Without a fallback, a call that faults a second time is [`Error::Skipped`]: the room is
///   as if it had not been made. A **leaf**'s node has acked nothing of such a batch, and fans resend what is not
///   acked. But the node's own inputs in it have not happened: it ends the connections of fans who joined or
///   left in it, and repeats `RootConnected` if the batch had something from the root. At the **root**, the batch
///   must not be stored, for it would be replayed; edges resend its deltas after their connections are ended.
/// * **Lost.** When no version restores the room, all calls are [`Error::Lost`]. Acked messages are in the root's
///   journal, and a leaf has nothing that the edge's next incarnation does not get again from root and fans.
#[derive(Debug)]
pub struct Worker {
    cell: Arc<Cell>,
}

/// The task that the pool gives turns to.
struct Cell {
    queue: Mutex<Queue>,
    keeper: Mutex<Keeper>,
    shared: Arc<Shared>,
    engine: Engine,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// True while the task is queued in the pool or has a turn.
    running: bool,
}

struct Job {
    bytes: usize,
    run: Box<dyn FnOnce(&mut Keeper) + Send>,
}

impl Worker {
    /// Starts a worker for a new room.
    pub async fn start(engine: &Engine, setup: Setup) -> Result<Self, Error> {
        Self::open(engine, setup, None, Vec::new()).await
    }

    /// Starts a worker from a snapshot and the batches handled since. Returns an error if those cannot be
    /// replayed: none is skipped.
    pub async fn restore(
        engine: &Engine,
        setup: Setup,
        snapshot: Bytes,
        batches: Vec<Batch>,
    ) -> Result<Self, Error> {
        Self::open(engine, setup, Some(snapshot), batches).await
    }

    /// Starts a worker from a snapshot, if there is one, and batches to replay.
    async fn open(
        engine: &Engine,
        setup: Setup,
        snapshot: Option<Bytes>,
        batches: Vec<Batch>,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(setup.version.clone()));
        let keeper = Mutex::new(Keeper::new(setup, snapshot, Arc::clone(&shared)));
        let cell = Cell { queue: Mutex::default(), keeper, shared, engine: engine.clone() };
        let worker = Self { cell: Arc::new(cell) };
        worker.ask(0, |keeper| keeper.start(batches)).await?;
        Ok(worker)
    }

    /// Passes it a batch; returns the packet of effects, all of which decode. Its log entries are written
    /// already.
    pub fn handle(&self, batch: Batch) -> impl Future<Output = Result<Bytes, Error>> + Send + use<> {
        self.ask(batch.inputs.len(), |keeper| keeper.handle(batch))
    }

    /// Chooses a rendition for each demand, by its index in `renditions` (their bit rates in kbit/s), or
    /// [`SKIP`](wire::worker::SKIP).
    pub fn plan(
        &self,
        demands: Vec<Demand>,
        renditions: Vec<u32>,
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send + use<> {
        let bytes = size_of_val(&*demands);
        self.ask(bytes, move |keeper| keeper.plan(&demands, &renditions))
    }

    /// Returns all of the room's state, after the calls queued before.
    pub fn snapshot(&self) -> impl Future<Output = Result<Bytes, Error>> + Send + use<> {
        self.ask(0, Keeper::snapshot)
    }

    /// Lets another version take over; the present one becomes the fallback. On an error the present one
    /// continues.
    pub fn swap(&self, version: Version) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.ask(0, |keeper| keeper.swap(version))
    }

    /// Returns the running version: not the first one after a swap or a fallback.
    pub fn version(&self) -> Version {
        self.cell.shared.version().clone()
    }

    /// Returns the worker's counters.
    pub fn figures(&self) -> Figures {
        self.cell.shared.figures(|_| {})
    }

    fn ask<T, F>(&self, bytes: usize, call: F) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Keeper) -> Result<T, Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |keeper: &mut Keeper| {
            let done = call(keeper);
            // Update the figures first, so that they are current when the caller has its answer.
            keeper.settle();
            // The caller may have dropped its future; the call was made all the same.
            let _ = answer.send(done);
        });
        let taken = self.cell.push(Job { bytes, run });
        async move {
            taken?;
            answered.await.unwrap_or(Err(Error::Gone))
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.cell.shared.gone.store(true, Ordering::Relaxed);
        let mut queue = self.cell.lock();
        queue.bytes = 0;
        let left = std::mem::take(&mut queue.jobs);
        drop(queue);
        drop(left);
    }
}

impl Cell {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, job: Job) -> Result<(), Error> {
        let mut queue = self.lock();
        let waiting = queue.jobs.len();
        // A batch with an empty queue is taken, however large.
        if waiting >= WAITING || (waiting > 0 && queue.bytes + job.bytes > WAITING_BYTES) {
            self.shared.figures(|figures| figures.shed += 1);
            return Err(Error::Busy { waiting });
        }
        queue.bytes += job.bytes;
        queue.jobs.push_back(job);
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            self.engine.pool().run(Arc::clone(self) as Arc<dyn Task>);
        }
        Ok(())
    }
}

impl Task for Cell {
    fn turn(&self) -> Next {
        let job = {
            let mut queue = self.lock();
            let job = queue.jobs.pop_front();
            queue.bytes -= job.as_ref().map_or(0, |job| job.bytes);
            job
        };
        if let Some(job) = job {
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            // A panic in the host's own code ends one room, not the thread of all the others.
            if catch_unwind(AssertUnwindSafe(|| (job.run)(&mut keeper))).is_err() {
                keeper.lose("its host panicked".to_owned());
            }
        }
        let mut queue = self.lock();
        if queue.jobs.is_empty() {
            queue.running = false;
            return Next::Rest;
        }
        Next::Again
    }

    fn standing(&self) -> Standing {
        if self.shared.suspect.load(Ordering::Relaxed) { Standing::Suspect } else { Standing::Good }
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("waiting", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}
