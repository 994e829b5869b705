//! A single-threaded executor in virtual time, with the net's seed as the only source of chance. Any task that is
//! ready may run first.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use moqt::{
    App, Cx, Ended, Event, Input, Later, Micros, Misuse, Output, Session, Transit, session::Config,
    session::StreamId,
};
use testnet::{Due, EndId, Net, Rng, Weather};

/// Times that tasks may run while the clock stands still: more is a loop that never waits.
const POLLS_PER_INSTANT: u32 = 20_000;

/// Names a node, whose tasks die together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) usize);

/// Makes the app of a session that comes to a node from another.
pub(crate) type Accept = Rc<dyn Fn(NodeId) -> Box<dyn App>>;

/// The executor, its clock and its net. A clone is the same.
#[derive(Clone)]
pub(crate) struct Sim(Rc<Inner>);

struct Inner {
    net: RefCell<Net>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    next: Cell<u64>,
    ready: Arc<Mutex<Vec<u64>>>,
    alarms: RefCell<BTreeMap<u64, Waker>>,
    /// The times that tasks of a node have run.
    polls: RefCell<BTreeMap<NodeId, u64>>,
    /// Streams that a node has paused, and how often it has resumed one.
    paused: RefCell<(BTreeSet<(EndId, StreamId)>, u64)>,
    ends: RefCell<BTreeMap<EndId, Waker>>,
    accepts: RefCell<BTreeMap<NodeId, Accept>>,
    /// Links that are open, by the node of each of their ends.
    links: RefCell<Vec<(NodeId, NodeId, EndId, EndId)>>,
}

struct Task {
    node: NodeId,
    /// The future of the task; `None` while it is being polled.
    future: Option<Later<'static, ()>>,
    wake: Arc<TaskWake>,
}

struct TaskWake {
    id: u64,
    is_queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl TaskWake {
    fn queue(&self) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap().push(self.id);
        }
    }
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.queue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
    }
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rc::new(Inner {
            net: RefCell::new(Net::new(seed)),
            tasks: RefCell::default(),
            next: Cell::new(0),
            ready: Arc::default(),
            alarms: RefCell::default(),
            polls: RefCell::default(),
            paused: RefCell::default(),
            ends: RefCell::default(),
            accepts: RefCell::default(),
            links: RefCell::default(),
        }))
    }

    pub(crate) fn now(&self) -> Micros {
        self.0.net.borrow().now
    }

    /// Draws from the source of chance.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.net.borrow_mut().rng)
    }

    pub(crate) fn spawn(&self, node: NodeId, future: impl Future<Output = ()> + 'static) {
        let id = self.number();
        let ready = Arc::clone(&self.0.ready);
        let wake = Arc::new(TaskWake { id, is_queued: AtomicBool::new(false), ready });
        wake.queue();
        self.0.tasks.borrow_mut().insert(id, Task { node, future: Some(Box::pin(future)), wake });
    }

    /// Ends all tasks of a node, and their links with them.
    pub(crate) fn kill(&self, node: NodeId) {
        self.0.accepts.borrow_mut().remove(&node);
        let ids: Vec<u64> =
            self.0.tasks.borrow().iter().filter(|(_, task)| task.node == node).map(|(id, _)| *id).collect();
        for id in ids {
            // Dropping a task may run code that reads the other tasks.
            let task = self.0.tasks.borrow_mut().remove(&id);
            drop(task);
        }
    }

    /// Ends all tasks of all nodes.
    pub(crate) fn end(&self) {
        self.0.accepts.borrow_mut().clear();
        loop {
            let task = self.0.tasks.borrow_mut().pop_first();
            if task.is_none() {
                return;
            }
        }
    }

    /// Has sessions that come to a node run that.
    pub(crate) fn accept(&self, node: NodeId, accept: Accept) {
        self.0.accepts.borrow_mut().insert(node, accept);
    }

    pub(crate) async fn sleep(&self, time: Micros) {
        let mut alarm = Alarm { sim: self, at: self.now() + time, tag: None };
        poll_fn(|task| alarm.poll(task)).await;
    }

    /// Opens a link to a node, and a session there. Gives our end of it.
    pub(crate) fn connect(&self, from: NodeId, to: NodeId, weather: Weather, config: &Config) -> Option<End> {
        let app = self.0.accepts.borrow().get(&to).cloned()?;
        let mut app = app(from);
        let (near, far) = self.0.net.borrow_mut().link(weather);
        self.0.links.borrow_mut().push((from, to, near, far));
        let theirs = Config::new(moqt::session::Side::Server, config.transport, config.version);
        let end = End { sim: self.clone(), id: far };
        self.spawn(to, async move {
            drive(end, theirs, &mut *app).await.expect("a session");
        });
        Some(End { sim: self.clone(), id: near })
    }

    /// Ends of open links between two nodes, the first node's first.
    pub(crate) fn links(&self, between: impl Fn(NodeId, NodeId) -> bool) -> Vec<(EndId, EndId)> {
        let net = self.0.net.borrow();
        let mut links = self.0.links.borrow_mut();
        links.retain(|(_, _, near, far)| net.is_open(*near) && net.is_open(*far));
        links.iter().filter(|(from, to, ..)| between(*from, *to)).map(|link| (link.2, link.3)).collect()
    }

    /// Counts the times that tasks of a node have run.
    pub(crate) fn polls(&self, node: NodeId) -> u64 {
        self.0.polls.borrow().get(&node).copied().unwrap_or_default()
    }

    /// Counts the streams that are paused, and how often one was resumed.
    pub(crate) fn paused(&self) -> (usize, u64) {
        let paused = self.0.paused.borrow();
        (paused.0.len(), paused.1)
    }

    /// Changes the properties of the net.
    pub(crate) fn with_net<T>(&self, f: impl FnOnce(&mut Net) -> T) -> T {
        f(&mut self.0.net.borrow_mut())
    }

    /// Runs for this much virtual time.
    pub(crate) fn run(&self, time: Micros) {
        let until = self.now() + time;
        loop {
            self.run_ready();
            let due = self.0.net.borrow_mut().step(until);
            let waker = match due {
                None => return,
                Some(Due::Arrived(end) | Due::Timer(end)) => self.0.ends.borrow().get(&end).cloned(),
                Some(Due::Alarm(tag)) => self.0.alarms.borrow_mut().remove(&tag),
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn run_ready(&self) {
        let mut polls = 0;
        loop {
            let id = {
                let mut ready = self.0.ready.lock().unwrap();
                if ready.is_empty() {
                    return;
                }
                let at = if ready.len() == 1 { 0 } else { self.draw(|rng| rng.of(0..ready.len() as u64)) };
                ready.swap_remove(at as usize)
            };
            polls += 1;
            assert!(polls < POLLS_PER_INSTANT, "tasks that wake each other for ever at {:?}", self.now());
            let taken = {
                let mut tasks = self.0.tasks.borrow_mut();
                tasks.get_mut(&id).and_then(|task| {
                    *self.0.polls.borrow_mut().entry(task.node).or_default() += 1;
                    Some((task.future.take()?, Arc::clone(&task.wake)))
                })
            };
            let Some((mut future, wake)) = taken else { continue };
            wake.is_queued.store(false, Ordering::Relaxed);
            let waker = Waker::from(wake);
            let over = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            let mut tasks = self.0.tasks.borrow_mut();
            if over {
                let task = tasks.remove(&id);
                drop(tasks);
                drop((task, future));
            } else if let Some(task) = tasks.get_mut(&id) {
                task.future = Some(future);
            } else {
                drop(tasks);
                drop(future);
            }
        }
    }

    fn number(&self) -> u64 {
        self.0.next.replace(self.0.next.get() + 1)
    }
}

struct Alarm<'a> {
    sim: &'a Sim,
    at: Micros,
    tag: Option<u64>,
}

impl Alarm<'_> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if self.sim.now() >= self.at {
            return Poll::Ready(());
        }
        let tag = *self.tag.get_or_insert_with(|| {
            let tag = self.sim.number();
            self.sim.0.net.borrow_mut().alarm(self.at, tag);
            tag
        });
        self.sim.0.alarms.borrow_mut().insert(tag, task.waker().clone());
        Poll::Pending
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(tag) = self.tag {
            self.sim.0.alarms.borrow_mut().remove(&tag);
        }
    }
}

/// One end of a link. If it is dropped before its session has ended, the peer gets no close.
pub(crate) struct End {
    sim: Sim,
    id: EndId,
}

impl Drop for End {
    fn drop(&mut self) {
        self.sim.0.ends.borrow_mut().remove(&self.id);
        let mut net = self.sim.0.net.borrow_mut();
        if net.is_open(self.id) {
            // A process that ends closes its sockets; a machine that does is missed after a while.
            let after =
                if net.rng.chance(50) { net.rng.of(1..50_000) } else { net.rng.of(500_000..3_000_000) };
            net.abandon(self.id, Micros(after));
        }
    }
}

struct Link<'a>(&'a Sim, EndId);

impl Transit for Link<'_> {
    fn backlog(&self, stream: StreamId) -> usize {
        self.0.0.net.borrow().backlog(self.1, stream)
    }

    fn unread(&self) -> usize {
        self.0.0.net.borrow().unread(self.1)
    }

    fn rtt(&self) -> Option<std::time::Duration> {
        None
    }

    fn pause(&self, stream: StreamId) {
        self.0.0.paused.borrow_mut().0.insert((self.1, stream));
    }

    fn resume(&self, stream: StreamId) {
        let mut paused = self.0.0.paused.borrow_mut();
        assert!(paused.0.remove(&(self.1, stream)), "a stream that was not paused");
        paused.1 += 1;
    }
}

/// Runs a session until it ends.
pub(crate) async fn drive(end: End, config: Config, app: &mut dyn App) -> Result<Ended, Misuse> {
    let mut session = Session::new(end.sim.now(), config)?;
    Ok(poll_fn(|task| poll(&end, &mut session, app, task)).await)
}

fn poll(end: &End, session: &mut Session, app: &mut dyn App, task: &mut Context<'_>) -> Poll<Ended> {
    let End { sim, id } = end;
    let (inner, link) = (&sim.0, Link(sim, *id));
    if !inner.ends.borrow().get(id).is_some_and(|known| known.will_wake(task.waker())) {
        inner.ends.borrow_mut().insert(*id, task.waker().clone());
    }
    let now = sim.now();
    loop {
        while inner.net.borrow_mut().deliver(*id, session) {}
        if session.timeout().is_some_and(|at| at <= now) {
            session.handle(now, Input::Timeout);
        }
        let mut busy = false;
        let mut ended = None;
        if !session.is_closed() && app.poll(task, &mut Cx::new(session, now, &link)).is_ready() {
            session.close(moqt::SessionCode::NO_ERROR, "");
        }
        while let Some(output) = session.poll() {
            busy = true;
            match output {
                Output::Event(event) => {
                    if let Event::Closed { code, reason, by } = &event {
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        ended = Some(Ended { code: *code, reason, by: *by });
                    }
                    app.event(&mut Cx::new(session, now, &link), event);
                }
                output => inner.net.borrow_mut().output(*id, output),
            }
        }
        if let Some(ended) = ended {
            return Poll::Ready(ended);
        }
        if !busy {
            break;
        }
    }
    inner.net.borrow_mut().set_timer(*id, session.timeout());
    Poll::Pending
}

/// Something that is waited for, by one task or more.
#[derive(Default)]
pub(crate) struct Signal(RefCell<Vec<Waker>>);

impl Signal {
    pub(crate) fn watch(&self, task: &Context<'_>) {
        let mut wakers = self.0.borrow_mut();
        if !wakers.iter().any(|known| known.will_wake(task.waker())) {
            wakers.push(task.waker().clone());
        }
    }

    pub(crate) fn wake(&self) {
        for waker in self.0.take() {
            waker.wake();
        }
    }
}

/// A pinned future, as the relay's traits have them.
pub(crate) fn later<'a, T>(future: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}
