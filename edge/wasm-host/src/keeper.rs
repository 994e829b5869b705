//! Who keeps a room alive: its instance, and all that it takes to make another.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::worker::Demand;

use crate::log::{Due, Log};
use crate::{Batch, Error, Fault, Figures, Instance, Setup, Version};

/// A call without a version to fall back to is tried so often.
const TRIES: usize = 2;

/// What worker and keeper both see.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What runs.
    pub(crate) version: Mutex<Version>,
    pub(crate) figures: Mutex<Figures>,
    /// Nobody waits for anything any more.
    pub(crate) gone: AtomicBool,
    /// There were faults within the window.
    pub(crate) suspect: AtomicBool,
}

impl Seen {
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

/// Keeps a room.
pub(crate) struct Keeper {
    setup: Setup,
    instance: Option<Instance>,
    /// Of before the log; none before the first.
    snapshot: Option<Bytes>,
    log: Log,
    /// When the version in place was at fault.
    faults: VecDeque<Instant>,
    /// An instance has ended since the one that there is was made.
    fallen: bool,
    lost: Option<String>,
    seen: Arc<Seen>,
}

/// Why a version does not bring the room back.
enum Broken {
    /// It may have better luck.
    Fault(Fault),
    /// It says no, and will again.
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
    pub(crate) fn new(mut setup: Setup, snapshot: Option<Bytes>, seen: Arc<Seen>) -> Self {
        let Setup { version, fallback, .. } = &mut setup;
        fallback.take_if(|fallback| fallback == version);
        let (log, faults) = (Log::default(), VecDeque::new());
        Self { setup, instance: None, snapshot, log, faults, fallen: false, lost: None, seen }
    }

    /// Makes the first instance, and has it handle what the last one did.
    pub(crate) fn start(&mut self, batches: Vec<Batch>) -> Result<(), Error> {
        // A snapshot that this version and the one before it refuse is the caller's to know of.
        self.revive()?;
        for batch in batches {
            self.hush(true);
            match self.handle(batch) {
                // What was refused then is refused now.
                Ok(_) | Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.hush(false);
        Ok(())
    }

    pub(crate) fn handle(&mut self, batch: Batch) -> Result<Bytes, Error> {
        let (handled, took) = self.call(|instance| instance.handle(batch.now, &batch.inputs))?;
        self.log.push(batch, took);
        self.count(|figures| figures.batches += 1);
        self.see_to_snapshot();
        handled.map(Bytes::from).map_err(Error::Refused)
    }

    pub(crate) fn plan(&mut self, demands: &[Demand], renditions: &[u32]) -> Result<Vec<u8>, Error> {
        let (plan, _) = self.call(|instance| instance.plan(demands, renditions))?;
        self.count(|figures| figures.plans += 1);
        Ok(plan)
    }

    pub(crate) fn snapshot(&mut self) -> Result<Bytes, Error> {
        let (snapshot, took) = self.call(Instance::snapshot)?;
        Ok(self.keep(snapshot, took))
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

    /// What is kept is of no use any more.
    pub(crate) fn lose(&mut self, why: String) -> Error {
        tracing::error!(room = self.setup.room, "the worker is lost: {why}");
        self.instance = None;
        self.lost = Some(why.clone());
        Error::Lost(why)
    }

    /// Whether there was a fault lately; and figures as they are now.
    pub(crate) fn settle(&mut self) {
        self.forgive();
        self.seen.suspect.store(!self.faults.is_empty(), Ordering::Relaxed);
        if *self.seen.version() != self.setup.version {
            *self.seen.version() = self.setup.version.clone();
        }
        let memory = self.instance.as_ref().map_or(0, Instance::memory);
        let dropped = self.instance.as_mut().map_or(0, Instance::take_dropped_lines);
        self.count(|figures| {
            figures.memory_bytes = memory;
            figures.lines_dropped += dropped;
            (figures.log_batches, figures.log_bytes) = (self.log.len(), self.log.bytes());
        });
    }

    /// A call, tried until it is done, or must be skipped, or the room is lost. Also how long it took.
    ///
    /// As long as there is a version to fall back to, nothing is skipped: either the call succeeds,
    /// or the version has had its faults and the other one takes over.
    fn call<T>(
        &mut self,
        mut call: impl FnMut(&mut Instance) -> Result<T, Fault>,
    ) -> Result<(T, Duration), Error> {
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let fault = match call(self.revive()?) {
                Ok(done) => return Ok((done, self.spend(began))),
                Err(fault) => fault,
            };
            self.spend(began);
            self.fell(&fault);
            tries += 1;
            let worn = self.faults.len().max(tries) >= self.setup.options.faults;
            if worn && self.fall_back(&fault.to_string()) {
                tries = 0;
            } else if self.setup.fallback.is_none() && (worn || tries >= TRIES) {
                tracing::warn!(room = self.setup.room, "a call is skipped: {fault}");
                self.count(|figures| figures.skipped += 1);
                return Err(Error::Skipped(fault));
            }
        }
    }

    /// The instance; made again if it is lost.
    fn revive(&mut self) -> Result<&mut Instance, Error> {
        if let Some(why) = &self.lost {
            return Err(Error::Lost(why.clone()));
        }
        let mut tries = 0;
        while self.instance.is_none() {
            let broken = match self.open(&self.setup.version) {
                Ok(instance) => {
                    self.rise(instance);
                    break;
                }
                Err(broken) => broken,
            };
            if self.seen.gone.load(Ordering::Relaxed) {
                return Err(Error::Gone);
            }
            tries += 1;
            if let Broken::Fault(fault) = &broken {
                self.fell(fault);
            }
            let hopeless = matches!(broken, Broken::Refused(_)) || tries >= self.setup.options.faults;
            if hopeless && !self.fall_back(&broken.to_string()) {
                let why = format!("version {} cannot bring the room back: {broken}", self.setup.version);
                return Err(self.lose(why));
            }
        }
        self.instance.as_mut().ok_or(Error::Gone)
    }

    /// An instance with the room in it, as it was when the last one was well.
    fn open(&self, version: &Version) -> Result<Instance, Broken> {
        let began = Instant::now();
        let Setup { config, options, room, .. } = &self.setup;
        let mut instance = Instance::new(version, *options, room)?;
        instance.configure(config)?.map_err(Broken::Refused)?;
        instance.speak(false);
        if let Some(snapshot) = &self.snapshot {
            instance.restore(snapshot)?.map_err(Broken::Refused)?;
        }
        for batch in self.log.iter() {
            // What it refused, it refuses again.
            let _ = instance.handle(batch.now, &batch.inputs)?;
            if began.elapsed() > options.revival || self.seen.gone.load(Ordering::Relaxed) {
                return Err(Fault::Revival(options.revival).into());
            }
        }
        instance.speak(true);
        Ok(instance)
    }

    /// The version before takes over, if there is one and it can.
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
                self.rise(instance);
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

    /// The room is back.
    fn rise(&mut self, instance: Instance) {
        self.instance = Some(instance);
        if std::mem::take(&mut self.fallen) {
            self.count(|figures| {
                figures.revivals += 1;
                figures.replayed += self.log.len() as u64;
            });
        }
    }

    /// The instance has ended.
    fn fell(&mut self, fault: &Fault) {
        tracing::warn!(room = self.setup.room, "an instance of worker {} ended: {fault}", self.setup.version);
        let dropped = self.instance.as_mut().map_or(0, Instance::take_dropped_lines);
        self.instance = None;
        self.fallen = true;
        self.forgive();
        self.faults.push_back(Instant::now());
        self.count(|figures| {
            figures.faults.count(fault);
            figures.lines_dropped += dropped;
        });
    }

    /// Faults of long ago do not count.
    fn forgive(&mut self) {
        let window = self.setup.options.window;
        self.faults.retain(|fault| fault.elapsed() < window);
    }

    fn see_to_snapshot(&mut self) {
        let due = self.log.due();
        if due == Due::No {
            return;
        }
        let Some(instance) = &mut self.instance else { return };
        let began = Instant::now();
        let fault = match instance.snapshot() {
            Ok(snapshot) => {
                let took = self.spend(began);
                self.keep(snapshot, took);
                return;
            }
            Err(fault) => fault,
        };
        self.spend(began);
        self.fell(&fault);
        self.log.failed();
        let worn = self.faults.len() >= self.setup.options.faults;
        if due == Due::Over || worn {
            let taken_over = self.fall_back(&fault.to_string());
            if !taken_over && due == Due::Over {
                self.lose(format!("version {} makes no snapshot: {fault}", self.setup.version));
            }
        }
    }

    fn keep(&mut self, snapshot: Vec<u8>, took: Duration) -> Bytes {
        let snapshot = Bytes::from(snapshot);
        self.snapshot = Some(snapshot.clone());
        self.log.clear(took);
        self.count(|figures| {
            figures.snapshots += 1;
            figures.snapshot_bytes = snapshot.len();
        });
        snapshot
    }

    fn spend(&self, since: Instant) -> Duration {
        let took = since.elapsed();
        self.count(|figures| figures.busy += took);
        took
    }

    fn hush(&mut self, hushed: bool) {
        if let Some(instance) = &mut self.instance {
            instance.speak(!hushed);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Figures)) {
        self.seen.figures(change);
    }
}
