//! Nodes that have sessions with each other, and an app each.

use std::any::Any;

use moqt::{
    Config, Event, Input, Micros, Output, Session, Version,
    session::{Side, Transport},
};

use crate::{Due, EndId, Net, Rng, Weather};

/// What runs on a node.
pub trait App {
    /// Begins.
    fn start(&mut self, _cx: &mut Cx<'_>) {}
    /// Takes what the session of that index says.
    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event);
    /// The time has come that was [asked](Cx::wake_at) for.
    fn wake(&mut self, _cx: &mut Cx<'_>) {}
    /// Itself, for tests to look into.
    fn as_any(&self) -> &dyn Any;
}

/// What an app can do.
pub struct Cx<'a> {
    /// The time.
    pub now: Micros,
    /// The source of chance.
    pub rng: &'a mut Rng,
    sessions: Vec<&'a mut Session>,
    wake: &'a mut Option<Micros>,
}

impl Cx<'_> {
    /// A session of the node, in the order of its links.
    pub fn session(&mut self, index: usize) -> &mut Session {
        self.sessions[index]
    }

    /// Have `wake` called then.
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
    /// By the order of their links.
    ends: Vec<(EndId, usize, Session)>,
    nodes: Vec<Node>,
}

impl World {
    /// Makes a world without nodes.
    pub fn new(seed: u64) -> Self {
        Self { net: Net::new(seed), ends: Vec::new(), nodes: Vec::new() }
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.net.now
    }

    /// Adds a node. Gives its number.
    pub fn node(&mut self, app: impl App + 'static) -> usize {
        self.nodes.push(Node { app: Box::new(app), sessions: Vec::new(), wake: None });
        self.nodes.len() - 1
    }

    /// Connects a client node to a server node. Each numbers its sessions in the
    /// order of its links.
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

    /// Runs until nothing more happens, or at most to `limit` from the start.
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
        // Sessions of a node are in the order of its links here too.
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

    /// Does what a node's sessions say, until they say nothing more.
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
