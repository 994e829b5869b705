//! Nodes with sessions between them, and one app on each node.

use std::any::Any;

use moqt::{
    Config, Event, Input, Micros, Output, Session, Version,
    session::{Side, Transport},
};

use crate::{Due, EndId, Net, Rng, Weather};

/// The application of a node.
pub trait App {
    /// Called once, before anything else.
    fn start(&mut self, _cx: &mut Cx<'_>) {}
    /// Handles an event of the session with that index.
    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event);
    /// Called at the time passed to [`Cx::wake_at`].
    fn wake(&mut self, _cx: &mut Cx<'_>) {}
    /// The app itself, for tests to downcast.
    fn as_any(&self) -> &dyn Any;
}

/// The calls that an app can make.
pub struct Cx<'a> {
    /// The current virtual time.
    pub now: Micros,
    /// The world's seeded generator.
    pub rng: &'a mut Rng,
    sessions: Vec<&'a mut Session>,
    wake: &'a mut Option<Micros>,
}

impl Cx<'_> {
    /// A session of the node, in the order of its links.
    pub fn session(&mut self, index: usize) -> &mut Session {
        self.sessions[index]
    }

    /// Requests a call of [`App::wake`] at `at`, or earlier if one is pending.
    pub fn wake_at(&mut self, at: Micros) {
        *self.wake = Some(self.wake.map_or(at, |before| before.min(at)));
    }
}

struct Node {
    app: Box<dyn App>,
    sessions: Vec<usize>,
    wake: Option<Micros>,
}

/// Nodes, their sessions and the net between them.
pub struct World {
    net: Net,
    /// Each end with its node and session, in the order of the links.
    ends: Vec<(EndId, usize, Session)>,
    nodes: Vec<Node>,
}

impl World {
    /// Makes a world without nodes.
    pub fn new(seed: u64) -> Self {
        Self { net: Net::new(seed), ends: Vec::new(), nodes: Vec::new() }
    }

    /// The current virtual time.
    pub fn now(&self) -> Micros {
        self.net.now
    }

    /// Adds a node. Returns its number.
    pub fn node(&mut self, app: impl App + 'static) -> usize {
        self.nodes.push(Node { app: Box::new(app), sessions: Vec::new(), wake: None });
        self.nodes.len() - 1
    }

    /// Connects a client node to a server node. Each node numbers its sessions in the order of its links.
    pub fn link(&mut self, client: usize, server: usize, weather: Weather) {
        let transport = if self.net.rng.chance(50) { Transport::Quic } else { Transport::WebTransport };
        let (near, far) = self.net.link(weather);
        for (side, node, end) in [(Side::Client, client, near), (Side::Server, server, far)] {
            let config = Config::new(side, transport, Version::Draft18);
            let session = Session::new(self.net.now, config).expect("a session");
            self.nodes[node].sessions.push(self.ends.len());
            self.ends.push((end, node, session));
        }
    }

    /// Runs until nothing more is due, or for `limit` at most.
    pub fn run(&mut self, limit: Micros) {
        for node in 0..self.nodes.len() {
            self.call(node, |app, cx| app.start(cx));
            self.drain(node);
        }
        let end = self.net.now + limit;
        while let Some(due) = self.net.step(end) {
            match due {
                Due::Arrived(end) => {
                    let (_, node, session) = &mut self.ends[end.index()];
                    let node = *node;
                    self.net.deliver(end, session);
                    self.drain(node);
                }
                Due::Timer(end) => {
                    let now = self.net.now;
                    let (_, node, session) = &mut self.ends[end.index()];
                    session.handle(now, Input::Timeout);
                    let node = *node;
                    self.drain(node);
                }
                Due::Alarm(node) => {
                    let node = node as usize;
                    if self.nodes[node].wake.is_some_and(|at| at <= self.net.now) {
                        self.nodes[node].wake = None;
                        self.call(node, |app, cx| app.wake(cx));
                        self.drain(node);
                    }
                }
            }
        }
    }

    /// The app of a node.
    pub fn app<T: 'static>(&self, node: usize) -> &T {
        self.nodes[node].app.as_any().downcast_ref().expect("an app of that type")
    }

    /// A session of a node.
    pub fn session(&self, node: usize, index: usize) -> &Session {
        &self.ends[self.nodes[node].sessions[index]].2
    }

    fn call(&mut self, node: usize, f: impl FnOnce(&mut dyn App, &mut Cx<'_>)) {
        let entry = &mut self.nodes[node];
        let wake_before = entry.wake;
        // `ends` has a node's sessions in the order of its links, as `Cx::session` promises.
        let sessions = self.ends.iter_mut().filter(|(_, of, _)| *of == node).map(|(.., session)| session);
        let mut cx = Cx {
            now: self.net.now,
            rng: &mut self.net.rng,
            sessions: sessions.collect(),
            wake: &mut entry.wake,
        };
        f(entry.app.as_mut(), &mut cx);
        if let Some(at) = self.nodes[node].wake.filter(|at| Some(*at) != wake_before) {
            self.net.alarm(at, node as u64);
        }
    }

    /// Carries out all outputs of a node's sessions, until they have none.
    fn drain(&mut self, node: usize) {
        loop {
            let mut quiet = true;
            for (index, at) in self.nodes[node].sessions.clone().into_iter().enumerate() {
                while let Some(output) = self.ends[at].2.poll() {
                    quiet = false;
                    if let Output::Event(event) = output {
                        self.call(node, |app, cx| app.event(cx, index, event));
                    } else {
                        self.net.output(self.ends[at].0, output);
                    }
                }
            }
            if quiet {
                break;
            }
        }
        for at in &self.nodes[node].sessions {
            let (end, _, session) = &self.ends[*at];
            self.net.set_timer(*end, session.timeout());
        }
    }
}
