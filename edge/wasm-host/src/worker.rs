//! A room's worker, as a node holds it.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use room::Config;
use tokio::sync::oneshot;
use wire::worker::Demand;

use crate::keeper::{Keeper, Seen};
use crate::pool::{Next, Standing, Turns};
use crate::{Batch, Engine, Error, Figures, Options, Version};

/// Calls of one worker that wait for their turn.
pub const WAITING: usize = 64;

/// Bytes of batches that wait for it.
pub const WAITING_BYTES: usize = 8 << 20;

/// What a worker is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The room's name, for the log.
    pub room: String,
    /// The room's place and limits.
    pub config: Config,
    /// What runs.
    pub version: Version,
    /// What takes over when that turns out to be bad.
    pub fallback: Option<Version>,
    /// How much it may.
    pub options: Options,
}

impl Setup {
    /// With the usual options, and nothing to fall back to.
    pub fn new(room: impl Into<String>, config: Config, version: Version) -> Self {
        Self { room: room.into(), config, version, fallback: None, options: Options::default() }
    }
}

/// A room's worker. It runs on the threads of the [`Engine`], whoever holds it; dropped, it ends.
///
/// # Contract
///
/// * **Order.** Calls are carried out one at a time, in the order in which the methods were called: each takes its
///   place at once, whether or not its future is polled, or dropped. At most [`WAITING`] wait; the next is
///   [`Error::Busy`], and was not taken.
/// * **Faults.** When a call ends its instance, another is made, restored from the last snapshot, and handles
///   again the batches since, whose effects are dropped; then the call is tried again. After
///   [`Options::faults`] faults within [`Options::window`] the version is given up for this room, and the
///   fallback takes over in the same way. Nothing is lost by that but time.
/// * **Skipped.** Without a fallback, a call that faults a second time is [`Error::Skipped`]: the room is
///   as if it had not been. A **leaf**'s node has acked nothing of such a batch, and fans send again what is not
///   acked. But what the node itself said in it has not happened: it ends the connections of fans who joined or
///   left in it, and says `RootConnected` if it brought something from the root. At the **root**, the batch
///   must not be kept, for it would be handled again; who sent its deltas sends them again after its connection is ended.
/// * **Lost.** When no version brings the room back, all calls are [`Error::Lost`]. What was acked is in the root's
///   journal, and at a leaf there is nothing that its edge's next life does not get again from root and fans.
#[derive(Debug)]
pub struct Worker {
    cell: Arc<Cell>,
}

/// What the pool gives its turns to.
struct Cell {
    queue: Mutex<Queue>,
    keeper: Mutex<Keeper>,
    seen: Arc<Seen>,
    engine: Engine,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// In the pool's line, or having a turn.
    running: bool,
}

struct Job {
    bytes: usize,
    run: Box<dyn FnOnce(&mut Keeper) + Send>,
}

impl Worker {
    /// Starts one in which nothing has happened.
    pub async fn start(engine: &Engine, setup: Setup) -> Result<Self, Error> {
        Self::open(engine, setup, None, Vec::new()).await
    }

    /// Starts one from a snapshot, and the batches that were handled after it was made. If those
    /// cannot be handled again, it is an error: none is skipped.
    pub async fn restore(
        engine: &Engine,
        setup: Setup,
        snapshot: Bytes,
        batches: Vec<Batch>,
    ) -> Result<Self, Error> {
        Self::open(engine, setup, Some(snapshot), batches).await
    }

    /// Starts one that has no snapshot, or has, and handles batches again.
    async fn open(
        engine: &Engine,
        setup: Setup,
        snapshot: Option<Bytes>,
        batches: Vec<Batch>,
    ) -> Result<Self, Error> {
        let seen = Arc::new(Seen::new(setup.version.clone()));
        let keeper = Mutex::new(Keeper::new(setup, snapshot, Arc::clone(&seen)));
        let cell = Cell { queue: Mutex::default(), keeper, seen, engine: engine.clone() };
        let worker = Self { cell: Arc::new(cell) };
        worker.ask(0, |keeper| keeper.start(batches)).await?;
        Ok(worker)
    }

    /// Hands it a batch; gives the packet of effects, each of which can be read. What it logs is logged already.
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

    /// All of the room's state, after what was called before.
    pub fn snapshot(&self) -> impl Future<Output = Result<Bytes, Error>> + Send + use<> {
        self.ask(0, Keeper::snapshot)
    }

    /// Another version takes over, and the present one is what there is to fall back to. On an error the
    /// present one goes on.
    pub fn swap(&self, version: Version) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.ask(0, |keeper| keeper.swap(version))
    }

    /// What runs: another version than at first after a swap, or a fallback.
    pub fn version(&self) -> Version {
        self.cell.seen.version().clone()
    }

    /// What happened to it.
    pub fn figures(&self) -> Figures {
        self.cell.seen.figures(|_| {})
    }

    fn ask<T, F>(&self, bytes: usize, call: F) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Keeper) -> Result<T, Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |keeper: &mut Keeper| {
            let done = call(keeper);
            // Whoever has the answer finds its figures.
            keeper.settle();
            // Whoever asked may have lost interest; it was done all the same.
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
        self.cell.seen.gone.store(true, Ordering::Relaxed);
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
        // One that waits for nobody is taken, however large.
        if waiting >= WAITING || (waiting > 0 && queue.bytes + job.bytes > WAITING_BYTES) {
            self.seen.figures(|figures| figures.shed += 1);
            return Err(Error::Busy { waiting });
        }
        queue.bytes += job.bytes;
        queue.jobs.push_back(job);
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            self.engine.pool().run(Arc::clone(self) as Arc<dyn Turns>);
        }
        Ok(())
    }
}

impl Turns for Cell {
    fn turn(&self) -> Next {
        let job = {
            let mut queue = self.lock();
            let job = queue.jobs.pop_front();
            queue.bytes -= job.as_ref().map_or(0, |job| job.bytes);
            job
        };
        if let Some(job) = job {
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            // A fault of this program's own ends one room, not the thread of all the others.
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
        if self.seen.suspect.load(Ordering::Relaxed) { Standing::Suspect } else { Standing::Good }
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("waiting", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}
