//! The fans of one object, the messages sent to them, and their cost.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use fanfare_tests::{Isolate, worked};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// Fans that connect at the same time.
const CONNECTING: usize = 20;
/// The longest until all fans are in.
const COMING: Duration = Duration::from_mins(1);
/// The longest that a sent message may take to arrive.
const LATE: Duration = Duration::from_secs(10);
/// The messages in flight to each fan, at the highest rate.
const WINDOW: u64 = 16;

/// The rate at which messages are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Messages per second.
    Paced(u32),
    /// The next message as soon as all but the last few have reached all fans.
    Flood,
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paced(rate) => write!(f, "{rate} a second"),
            Self::Flood => f.write_str("as many as it takes"),
        }
    }
}

/// The measurements of one load.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Messages sent, and messages delivered to fans.
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) took: Duration,
    /// CPU time of workerd, and of this process with the fans.
    pub(crate) work: Duration,
    pub(crate) own: Duration,
    /// The median time from sending a message to its arrival at a fan.
    pub(crate) late: Duration,
}

/// The deliveries to all fans.
#[derive(Default)]
pub(crate) struct Heard {
    here: Cell<usize>,
    sent: RefCell<Vec<Instant>>,
    delivered: Cell<u64>,
    /// Messages that fans have received or have a later one than, summed over all fans.
    passed: Cell<u64>,
    late: RefCell<Vec<Duration>>,
    changed: Notify,
}

impl Heard {
    async fn until(&self, it_is: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if it_is(self) {
                return;
            }
            changed.await;
        }
    }
}

/// Records the deliveries to one fan.
pub(crate) struct Ear {
    all: Rc<Heard>,
    next: u64,
}

impl Ear {
    /// Records that the fan has joined.
    pub(crate) fn came(&mut self) {
        self.next = self.all.sent.borrow().len() as u64;
        self.all.here.update(|here| here + 1);
        self.all.changed.notify_waiters();
    }

    /// Records the first arrival of message `number`. Earlier ones may never come: a room need not wait for a fan that
    /// is too slow.
    pub(crate) fn heard(&mut self, number: u64) {
        let Some(late) = self.all.sent.borrow().get(number as usize).map(Instant::elapsed) else { return };
        self.all.late.borrow_mut().push(late);
        self.all.delivered.update(|delivered| delivered + 1);
        let next = self.next.max(number + 1);
        self.all.passed.update(|passed| passed + next - self.next);
        self.next = next;
        self.all.changed.notify_waiters();
    }
}

/// The fans of one object.
pub(crate) struct Crowd {
    isolate: Isolate,
    heard: Rc<Heard>,
    fans: usize,
    /// Sends the message of that number.
    send: Box<dyn FnMut(u64) -> Result<()>>,
    running: JoinSet<Result<()>>,
    next: u64,
}

impl Crowd {
    /// Starts `fans` fans, each a task that runs until it fails, and the senders.
    pub(crate) async fn gather<F: Future<Output = Result<()>> + 'static>(
        isolate: Isolate,
        fans: usize,
        enter: impl Fn(usize, Ear) -> F + 'static,
        send: impl FnMut(u64) -> Result<()> + 'static,
    ) -> Result<Self> {
        let (heard, enter) = (Rc::new(Heard::default()), Rc::new(enter));
        let mut running = JoinSet::new();
        for fan in 0..fans {
            let (heard, enter) = (Rc::clone(&heard), Rc::clone(&enter));
            running.spawn_local(async move {
                heard.until(|heard| fan < heard.here.get() + CONNECTING).await;
                enter(fan, Ear { all: heard, next: 0 }).await
            });
        }
        let mut crowd = Self { isolate, heard, fans, send: Box::new(send), running, next: 0 };
        let all = move |heard: &Heard| heard.here.get() >= fans;
        crowd.wait(COMING, all).await.context("not all fans came in")?;
        Ok(crowd)
    }

    /// Measures a load, after `warm` of running it.
    pub(crate) async fn measure(&mut self, load: Load, warm: Duration, time: Duration) -> Result<Measured> {
        self.run(load, warm).await?;
        self.run(load, time).await
    }

    async fn run(&mut self, load: Load, time: Duration) -> Result<Measured> {
        self.heard.late.take();
        self.heard.delivered.set(0);
        let process = std::process::id().to_string();
        let (first, began) = (self.next, Instant::now());
        let (work, own) = (self.isolate.work()?, worked(&process)?);
        let end = began + time;
        match load {
            Load::Paced(0) => self.rest(sleep_until(end)).await?,
            Load::Paced(rate) => {
                let mut every = tokio::time::interval(Duration::from_secs(1) / rate);
                while Instant::now() < end {
                    self.rest(every.tick()).await?;
                    self.send()?;
                }
            }
            Load::Flood => {
                while Instant::now() < end {
                    let due = self.next.saturating_sub(WINDOW) * self.fans as u64;
                    self.wait(LATE, move |heard| heard.passed.get() >= due).await?;
                    self.send()?;
                }
            }
        }
        let (sent, all) = (self.next - first, self.next * self.fans as u64);
        // A fan that cannot keep up shows in `delivered`; it is no failure.
        let _ = timeout(LATE, self.heard.until(|heard| heard.passed.get() >= all)).await;
        let took = began.elapsed();
        let work = self.isolate.work()?.saturating_sub(work);
        let own = worked(&process)?.saturating_sub(own);
        let mut late = self.heard.late.take();
        late.sort_unstable();
        let late = late.get(late.len() / 2).copied().unwrap_or_default();
        Ok(Measured { sent, delivered: self.heard.delivered.get(), took, work, own, late })
    }

    fn send(&mut self) -> Result<()> {
        self.heard.sent.borrow_mut().push(Instant::now());
        (self.send)(self.next)?;
        self.next += 1;
        Ok(())
    }

    async fn rest<T>(&mut self, time: impl Future<Output = T>) -> Result<()> {
        tokio::select! {
            _ = time => Ok(()),
            Some(left) = self.running.join_next() => { left??; bail!("a fan was sent away") }
        }
    }

    async fn wait(&mut self, within: Duration, it_is: impl Fn(&Heard) -> bool) -> Result<()> {
        let heard = Rc::clone(&self.heard);
        let waiting = timeout(within, heard.until(it_is));
        tokio::select! {
            in_time = waiting => in_time.with_context(|| format!(
                "{} fans are here, {} of {} messages have come to each of {}",
                heard.here.get(), heard.passed.get() / self.fans as u64, self.next, self.fans
            )),
            Some(left) = self.running.join_next() => { left??; bail!("a fan was sent away") }
        }
    }

    /// Stops the fans and kills the platform.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.running.shutdown().await;
        self.isolate.kill().await
    }
}
