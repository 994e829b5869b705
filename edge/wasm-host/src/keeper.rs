//! The keeper of a room: its instance, and all that it takes to make another.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::worker::Demand;

use crate::journal::{Due, Journal};
use crate::{Batch, Error, Fault, Figures, Instance, Setup, Version};

/// Attempts of a call, if there is no version to fall back to.
const TRIES: usize = 2;

/// State that a worker's handle and its keeper share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The version that runs.
    pub(crate) version: Mutex<Version>,
    pub(crate) figures: Mutex<Figures>,
    /// True once the handle is dropped: no caller waits for an answer any more.
    pub(crate) gone: AtomicBool,
    /// True if there were faults within the window.
    pub(crate) suspect: AtomicBool,
}

impl Shared {
    pub(crate) fn new(version: Version) -> Self {
        let (gone, suspect) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { version: Mutex::new(version), figures: Mutex::default(), gone, suspect }
    }

    pub(crate) fn version(&self) -> MutexGuard<'_, Version> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn figures(&self, change: impl FnOnce(&mut Figures)) -> Figures {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut figures);
        *figures
    }
}

/// Keeps a room alive over faults of its instances.
pub(crate) struct Keeper {
    setup: Setup,
    instance: Option<Instance>,
    /// The snapshot that the journal continues; none before the first.
    snapshot: Option<Bytes>,
    journal: Journal,
    /// Times of the current version's faults.
    faults: VecDeque<Instant>,
    /// True if an instance has ended since the current one was made.
    had_fault: bool,
    lost: Option<String>,
    shared: Arc<Shared>,
}

/// Reason for which a version does not restore the room.
enum Broken {
    /// The instance died: a further attempt may succeed.
    Fault(Fault),
    /// The worker refused, and will refuse again.
    Refused(String),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Refused(why) => write!(f, "it refuses: {why}"),
        }
    }
}

impl Keeper {
    pub(crate) fn new(mut setup: Setup, snapshot: Option<Bytes>, shared: Arc<Shared>) -> Self {
        let Setup { version, fallback, .. } = &mut setup;
        fallback.take_if(|fallback| fallback == version);
        let (journal, faults) = (Journal::default(), VecDeque::new());
        Self { setup, instance: None, snapshot, journal, faults, had_fault: false, lost: None, shared }
    }

    /// Makes the first instance, and lets it handle the batches of the previous worker.
    pub(crate) fn start(&mut self, batches: Vec<Batch>) -> Result<(), Error> {
        // If neither this version nor its fallback accepts the snapshot, the caller receives the error.
        self.revive()?;
        for batch in batches {
            self.mute_log(true);
            match self.handle(batch) {
                // A batch that was refused then is refused again.
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.mute_log(false);
        Ok(())
    }

    pub(crate) fn handle(&mut self, batch: Batch) -> Result<Bytes, Error> {
        let (handled, took) = self.call(|instance| instance.handle(batch.now, &batch.inputs))?;
        self.journal.push(batch, took);
        self.count(|figures| figures.batches += 1);
        self.snapshot_if_due();
        handled.map(Bytes::from).map_err(Error::Refused)
    }

    pub(crate) fn plan(&mut self, demands: &[Demand], renditions: &[u32]) -> Result<Vec<u8>, Error> {
        let (plan, _) = self.call(|instance| instance.plan(demands, renditions))?;
        self.count(|figures| figures.plans += 1);
        Ok(plan)
    }

    pub(crate) fn snapshot(&mut self) -> Result<Bytes, Error> {
        let (snapshot, took) = self.call(Instance::snapshot)?;
        Ok(self.store_snapshot(snapshot, took))
    }

    pub(crate) fn swap(&mut self, version: Version) -> Result<(), Error> {
        if version == self.setup.version {
            return Ok(());
        }
        self.snapshot()?;
        let old = std::mem::replace(&mut self.setup.version, version);
        match self.open(&self.setup.version) {
            Ok(instance) => {
                tracing::info!(room = self.setup.room, "worker {} takes over from {old}", self.setup.version);
                self.instance = Some(instance);
                self.setup.fallback = Some(old);
                self.faults.clear();
                self.count(|figures| figures.swaps += 1);
                Ok(())
            }
            Err(broken) => {
                let refused = std::mem::replace(&mut self.setup.version, old);
                let why = format!("version {refused} cannot take over: {broken}");
                tracing::warn!(room = self.setup.room, "worker {} stays: {why}", self.setup.version);
                Err(Error::Refused(why))
            }
        }
    }

    /// Gives the worker up: the snapshot and the journal are of no use any more.
    pub(crate) fn lose(&mut self, why: String) -> Error {
        tracing::error!(room = self.setup.room, "the worker is lost: {why}");
        self.instance = None;
        self.lost = Some(why.clone());
        Error::Lost(why)
    }

    /// Updates the shared state: suspect, version and figures.
    pub(crate) fn settle(&mut self) {
        self.prune_faults();
        self.shared.suspect.store(!self.faults.is_empty(), Ordering::Relaxed);
        if *self.shared.version() != self.setup.version {
            *self.shared.version() = self.setup.version.clone();
        }
        let memory = self.instance.as_ref().map_or(0, Instance::memory);
        let dropped = self.instance.as_mut().map_or(0, Instance::take_dropped_entries);
        self.count(|figures| {
            figures.memory_bytes = memory;
            figures.entries_dropped += dropped;
            (figures.journal_batches, figures.journal_bytes) = (self.journal.len(), self.journal.bytes());
        });
    }

    /// Runs a call until it succeeds, must be skipped, or the room is lost. Also returns its duration.
    ///
    /// While there is a version to fall back to, no call is skipped: either it succeeds, or the version uses
    /// up its faults and the fallback takes over.
    fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut Instance) -> Result<T, Fault>,
    ) -> Result<(T, Duration), Error> {
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let fault = match call(self.revive()?) {
                Ok(done) => return Ok((done, self.record_busy(began))),
                Err(fault) => fault,
            };
            self.record_busy(began);
            self.on_fault(&fault);
            tries += 1;
            let exhausted = self.faults.len().max(tries) >= self.setup.options.faults;
            if exhausted && self.fall_back(&fault.to_string()) {
                tries = 0;
            } else if self.setup.fallback.is_none() && (exhausted || tries >= TRIES) {
                tracing::warn!(room = self.setup.room, "a call is skipped: {fault}");
                self.count(|figures| figures.skipped += 1);
                return Err(Error::Skipped(fault));
            }
        }
    }

    /// Returns the instance; makes another if it is lost.
    fn revive(&mut self) -> Result<&mut Instance, Error> {
        if let Some(why) = &self.lost {
            return Err(Error::Lost(why.clone()));
        }
        let mut tries = 0;
        while self.instance.is_none() {
            let broken = match self.open(&self.setup.version) {
                Ok(instance) => {
                    self.on_recovered(instance);
                    break;
                }
                Err(broken) => broken,
            };
            if self.shared.gone.load(Ordering::Relaxed) {
                return Err(Error::Gone);
            }
            tries += 1;
            if let Broken::Fault(fault) = &broken {
                self.on_fault(fault);
            }
            let hopeless = matches!(broken, Broken::Refused(_)) || tries >= self.setup.options.faults;
            if hopeless && !self.fall_back(&broken.to_string()) {
                let why = format!("version {} cannot bring the room back: {broken}", self.setup.version);
                return Err(self.lose(why));
            }
        }
        self.instance.as_mut().ok_or(Error::Gone)
    }

    /// Makes an instance and restores the room as of the last completed call.
    fn open(&self, version: &Version) -> Result<Instance, Broken> {
        let began = Instant::now();
        let Setup { config, options, room, .. } = &self.setup;
        let mut instance = Instance::new(version, *options, room)?;
        instance.configure(config)?.map_err(Broken::Refused)?;
        instance.set_logging(false);
        if let Some(snapshot) = &self.snapshot {
            instance.restore(snapshot)?.map_err(Broken::Refused)?;
        }
        for batch in self.journal.iter() {
            // A batch that was refused then is refused again.
            let _ = instance.handle(batch.now, &batch.inputs)?;
            if began.elapsed() > options.revival || self.shared.gone.load(Ordering::Relaxed) {
                return Err(Fault::Revival(options.revival).into());
            }
        }
        instance.set_logging(true);
        Ok(instance)
    }

    /// Lets the fallback take over, if there is one and it can restore the room.
    fn fall_back(&mut self, why: &str) -> bool {
        let Some(fallback) = self.setup.fallback.take() else { return false };
        match self.open(&fallback) {
            Ok(instance) => {
                let given_up = std::mem::replace(&mut self.setup.version, fallback);
                tracing::error!(
                    room = self.setup.room,
                    "worker {given_up} is given up for this room, {} takes over: {why}",
                    self.setup.version
                );
                self.on_recovered(instance);
                self.faults.clear();
                self.count(|figures| figures.fallbacks += 1);
                true
            }
            Err(broken) => {
                tracing::error!(
                    room = self.setup.room,
                    "worker {} should be given up ({why}), but {fallback} cannot take over: {broken}",
                    self.setup.version
                );
                false
            }
        }
    }

    /// Installs a restored instance.
    fn on_recovered(&mut self, instance: Instance) {
        self.instance = Some(instance);
        if std::mem::take(&mut self.had_fault) {
            self.count(|figures| {
                figures.revivals += 1;
                figures.replayed += self.journal.len() as u64;
            });
        }
    }

    /// Drops an instance that has ended, and records the fault.
    fn on_fault(&mut self, fault: &Fault) {
        tracing::warn!(room = self.setup.room, "an instance of worker {} ended: {fault}", self.setup.version);
        let dropped = self.instance.as_mut().map_or(0, Instance::take_dropped_entries);
        self.instance = None;
        self.had_fault = true;
        self.prune_faults();
        self.faults.push_back(Instant::now());
        self.count(|figures| {
            figures.faults.count(fault);
            figures.entries_dropped += dropped;
        });
    }

    /// Removes faults older than the window.
    fn prune_faults(&mut self) {
        let window = self.setup.options.window;
        self.faults.retain(|fault| fault.elapsed() < window);
    }

    fn snapshot_if_due(&mut self) {
        let due = self.journal.due();
        if due == Due::No {
            return;
        }
        let Some(instance) = &mut self.instance else { return };
        let began = Instant::now();
        let fault = match instance.snapshot() {
            Ok(snapshot) => {
                let took = self.record_busy(began);
                self.store_snapshot(snapshot, took);
                return;
            }
            Err(fault) => fault,
        };
        self.record_busy(began);
        self.on_fault(&fault);
        self.journal.failed();
        let exhausted = self.faults.len() >= self.setup.options.faults;
        if due == Due::Over || exhausted {
            let taken_over = self.fall_back(&fault.to_string());
            if !taken_over && due == Due::Over {
                self.lose(format!("version {} makes no snapshot: {fault}", self.setup.version));
            }
        }
    }

    fn store_snapshot(&mut self, snapshot: Vec<u8>, took: Duration) -> Bytes {
        let snapshot = Bytes::from(snapshot);
        self.snapshot = Some(snapshot.clone());
        self.journal.clear(took);
        self.count(|figures| {
            figures.snapshots += 1;
            figures.snapshot_bytes = snapshot.len();
        });
        snapshot
    }

    fn record_busy(&self, since: Instant) -> Duration {
        let took = since.elapsed();
        self.count(|figures| figures.busy += took);
        took
    }

    fn mute_log(&mut self, muted: bool) {
        if let Some(instance) = &mut self.instance {
            instance.set_logging(!muted);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Figures)) {
        self.shared.figures(change);
    }
}
