//! The fans of one object, what is sent to them, and what that takes.

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

/// Fans that come in at once.
const AT_THE_DOOR: usize = 20;
/// All of them are in within that.
const COMING: Duration = Duration::from_mins(1);
/// How long what was sent may take to come.
const LATE: Duration = Duration::from_secs(10);
/// Messages under way to each fan, when as many are sent as can be.
const WINDOW: u64 = 16;

/// How fast somebody sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// So many messages a second.
    Paced(u32),
    /// The next as soon as those before the last few have come to all.
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

/// What a load took.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Messages that were sent, and those that have come to fans.
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) took: Duration,
    /// How long workerd, and this process, kept a processor busy.
    pub(crate) work: Duration,
    pub(crate) own: Duration,
    /// From sending a message to when it has come, at half of the fans.
    pub(crate) late: Duration,
}

/// What all fans have heard.
#[derive(Default)]
pub(crate) struct Heard {
    here: Cell<usize>,
    sent: RefCell<Vec<Instant>>,
    delivered: Cell<u64>,
    /// Messages that each fan has heard, or whose successor they have, all in all.
    passed: Cell<u64>,
    late: RefCell<Vec<Duration>>,
    news: Notify,
}

impl Heard {
    async fn until(&self, it_is: impl Fn(&Self) -> bool) {
        loop {
            let news = self.news.notified();
            if it_is(self) {
                return;
            }
            news.await;
        }
    }
}

/// What one of them does.
pub(crate) struct Ear {
    all: Rc<Heard>,
    next: u64,
}

impl Ear {
    /// The fan is here, and has a place.
    pub(crate) fn came(&mut self) {
        self.next = self.all.sent.borrow().len() as u64;
        self.all.here.update(|here| here + 1);
        self.all.news.notify_waiters();
    }

    /// The message of that number has come, for the first time. Some before it may not: a room need not wait for who is
    /// too slow.
    pub(crate) fn heard(&mut self, number: u64) {
        let Some(late) = self.all.sent.borrow().get(number as usize).map(Instant::elapsed) else { return };
        self.all.late.borrow_mut().push(late);
        self.all.delivered.update(|delivered| delivered + 1);
        let next = self.next.max(number + 1);
        self.all.passed.update(|passed| passed + next - self.next);
        self.next = next;
        self.all.news.notify_waiters();
    }
}

/// Fans in an object.
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
    /// So many fans, each of whom is a task that runs until it fails, and whoever sends to them.
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
                heard.until(|heard| fan < heard.here.get() + AT_THE_DOOR).await;
                enter(fan, Ear { all: heard, next: 0 }).await
            });
        }
        let mut crowd = Self { isolate, heard, fans, send: Box::new(send), running, next: 0 };
        let all = move |heard: &Heard| heard.here.get() >= fans;
        crowd.wait(COMING, all).await.context("not all fans came in")?;
        Ok(crowd)
    }

    /// What a load takes, after it has run for a while.
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
        // Who cannot keep up is told by what has come, not by a failure.
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

    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.running.shutdown().await;
        self.isolate.kill().await
    }
}
