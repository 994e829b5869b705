//! A simulated world of relays, creators and subscribers, its faults, and the invariants that hold under all of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    rc::{Rc, Weak},
};

use moqt::{Connected, Micros};
use relay::{Admission, Credentials, Figures, Guard, LINGER, Limits, Platform, Relay};
use testnet::{Rng, Weather};

use crate::{
    admission::ExpectsAll,
    content::{Broadcast, Shape, Travel},
    creator::{Announce, Creator, Known},
    executor::{NodeId, Sim},
    platform::{Machine, Way},
    scripted::{Answer, Answering, Hands, Scripted},
    subscriber::{Manner, Report, Subscriber},
};

/// Time within which every node has found its way back, whatever happened: the longest pause between two attempts at
/// each of three hops, and the time that a dead link is not noticed.
pub(crate) const HEALING: Micros = Micros::from_millis(25_000);
/// Age of the newest object that a subscriber has, at most, while nothing is wrong.
const FRESH: Micros = Micros::from_millis(4_000);
/// The same of objects in datagrams, of which some are lost on their way.
const FRESH_DATAGRAMS: Micros = Micros::from_millis(12_000);
/// Pauses between two attempts of a creator or a subscriber to connect.
const PAUSE: (u64, u64) = (100, 1_500);

pub(crate) fn seconds(count: u64) -> Micros {
    Micros::from_millis(count * 1_000)
}

/// The addresses of nodes that have one.
type Addresses = Rc<RefCell<BTreeMap<NodeId, IpAddr>>>;

struct RelayNode {
    upstream: Option<NodeId>,
    rules: Rules,
    admission: Option<Rc<dyn Admission>>,
    figures: Figures,
    relay: Option<Relay>,
}

/// Rules of a relay for its clients, and what those present.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) guard: Option<Rc<dyn Guard>>,
    pub(crate) keys: Option<token::Keys>,
    pub(crate) credentials: Credentials,
}

pub(crate) struct CreatorNode {
    pub(crate) broadcast: Rc<Broadcast>,
    pub(crate) known: Rc<Known>,
    to: NodeId,
    announce: Announce,
    maker: u64,
    pub(crate) is_alive: bool,
}

struct SubscriberNode {
    report: Rc<Report>,
    to: NodeId,
    manner: Manner,
    is_alive: bool,
}

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) shapes: Vec<Shape>,
    weather: Weather,
    nodes: usize,
    relays: BTreeMap<NodeId, RelayNode>,
    pub(crate) creators: BTreeMap<NodeId, CreatorNode>,
    subscribers: BTreeMap<NodeId, SubscriberNode>,
    machines: Vec<Weak<Machine>>,
    /// The limits of relays that are started from now on.
    pub(crate) limits: Limits,
    /// The keys of relays that are started from now on.
    pub(crate) keys: Option<token::Keys>,
    addresses: Addresses,
}

impl World {
    pub(crate) fn new(seed: u64, shapes: &[Shape], weather: Weather) -> Self {
        Self {
            sim: Sim::new(seed),
            shapes: shapes.to_vec(),
            weather,
            nodes: 0,
            relays: BTreeMap::new(),
            creators: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            machines: Vec::new(),
            limits: Limits::default(),
            keys: None,
            addresses: Rc::default(),
        }
    }

    /// A seed's own shapes and weather.
    pub(crate) fn at_random(seed: u64, tracks: u64) -> Self {
        let mut rng = Rng::new(seed);
        let shapes: Vec<_> = (0..tracks).map(|_| Shape::at_random(&mut rng)).collect();
        let mut weather = Weather::at_random(&mut rng);
        // A smaller MTU splits an object into a thousand packets, which tests no more than ten do.
        weather.mtu = weather.mtu.max(300);
        // Datagrams are not retransmitted: over three hops, half of them have to come through.
        if shapes.iter().any(|shape| shape.travel == Travel::Datagrams) {
            weather.loss = weather.loss.min(5);
        }
        Self::new(rng.next(), &shapes, weather)
    }

    fn id(&mut self) -> NodeId {
        self.nodes += 1;
        NodeId(self.nodes - 1)
    }

    /// Adds a relay that follows another, if any.
    pub(crate) fn relay(&mut self, upstream: Option<NodeId>) -> NodeId {
        self.add_relay(upstream, None, Rules::default())
    }

    /// Adds a relay with rules for its clients.
    pub(crate) fn relay_with(&mut self, upstream: Option<NodeId>, rules: Rules) -> NodeId {
        self.add_relay(upstream, None, rules)
    }

    /// A relay without an upstream that expects publishers back.
    pub(crate) fn origin(&mut self) -> NodeId {
        self.add_relay(None, Some(Rc::new(ExpectsAll)), Rules::default())
    }

    fn add_relay(
        &mut self,
        upstream: Option<NodeId>,
        admission: Option<Rc<dyn Admission>>,
        rules: Rules,
    ) -> NodeId {
        let id = self.id();
        let figures = Figures::new("fanfare_edge");
        self.relays.insert(id, RelayNode { upstream, rules, admission, figures, relay: None });
        self.start_relay(id);
        id
    }

    fn start_relay(&mut self, id: NodeId) {
        let machine = Rc::new(Machine { sim: self.sim.clone(), node: id });
        self.machines.push(Rc::downgrade(&machine));
        let platform: Rc<dyn Platform> = machine;
        let node = self.relays.get_mut(&id).expect("a relay");
        node.figures = Figures::new("fanfare_edge");
        let Rules { guard, keys, credentials } = node.rules.clone();
        let config = relay::Config {
            admission: node.admission.clone(),
            guard,
            limits: self.limits,
            keys: keys.or_else(|| self.keys.clone()),
            ..relay::Config::default()
        };
        let relay = Relay::new(platform, node.figures.clone(), config);
        node.relay = Some(relay.clone());
        if let Some(to) = node.upstream {
            let (sim, weather) = (self.sim.clone(), self.weather);
            let way = Rc::new(Way { sim, from: id, to, weather });
            let relay = relay.clone();
            self.sim.spawn(id, async move { relay.follow(way).await });
        }
        let addresses = Rc::clone(&self.addresses);
        let keeper = relay.clone();
        self.sim.spawn(id, async move { keeper.housekeep().await });
        self.sim.accept(
            id,
            Rc::new(move |from| {
                let address = addresses.borrow().get(&from).copied();
                Box::new(relay.enter(credentials.clone(), address))
            }),
        );
    }

    /// Adds a creator of all tracks.
    pub(crate) fn creator(&mut self, to: NodeId, announce: Announce) -> NodeId {
        let id = self.id();
        let maker = self.creators.len() as u64;
        let broadcast = Rc::new(Broadcast::new(&self.shapes, maker, self.sim.now()));
        let node = CreatorNode { broadcast, known: Rc::default(), to, announce, maker, is_alive: false };
        self.creators.insert(id, node);
        self.start_creator(id);
        id
    }

    fn start_creator(&mut self, id: NodeId) {
        let node = self.creators.get_mut(&id).expect("a creator");
        let broadcast = Rc::new(Broadcast::new(&self.shapes, node.maker, self.sim.now()));
        (node.broadcast, node.known, node.is_alive) = (Rc::clone(&broadcast), Rc::default(), true);
        for (number, shape) in self.shapes.iter().enumerate() {
            let (sim, pace, broadcast) = (self.sim.clone(), shape.pace, Rc::clone(&broadcast));
            self.sim.spawn(id, async move {
                loop {
                    broadcast.add(number, sim.now());
                    sim.sleep(pace).await;
                }
            });
        }
        let (known, announce) = (Rc::clone(&node.known), node.announce);
        let way = Way { sim: self.sim.clone(), from: id, to: node.to, weather: self.weather };
        self.sim.spawn(id, async move {
            loop {
                if let Some(session) = way.connect().await {
                    let mut app = Creator::new(Rc::clone(&broadcast), Rc::clone(&known), announce);
                    session.run(&mut app).await;
                }
                way.sim.sleep(Micros::from_millis(way.sim.draw(|rng| rng.of(PAUSE.0..PAUSE.1)))).await;
            }
        });
    }

    /// Adds a subscriber that wants those tracks.
    pub(crate) fn subscriber(&mut self, to: NodeId, manner: Manner, wants: &[usize]) -> Rc<Report> {
        let rendezvous = self.sim.draw(|rng| rng.pick(&[None, Some(5_000), Some(30_000)]));
        self.add_subscriber(to, manner, rendezvous, wants)
    }

    /// Adds a subscriber that waits so many milliseconds for a publisher.
    pub(crate) fn subscriber_that_waits(
        &mut self,
        to: NodeId,
        rendezvous: Option<u64>,
        wants: &[usize],
    ) -> Rc<Report> {
        self.add_subscriber(to, Manner::Names, rendezvous, wants)
    }

    fn add_subscriber(
        &mut self,
        to: NodeId,
        manner: Manner,
        rendezvous: Option<u64>,
        wants: &[usize],
    ) -> Rc<Report> {
        let id = self.id();
        let report = Report::new(format!("subscriber {} of {}", id.0, to.0), &self.shapes, wants, rendezvous);
        let node = SubscriberNode { report: Rc::clone(&report), to, manner, is_alive: false };
        self.subscribers.insert(id, node);
        self.start_subscriber(id);
        report
    }

    fn start_subscriber(&mut self, id: NodeId) {
        let node = self.subscribers.get_mut(&id).expect("a subscriber");
        node.is_alive = true;
        let (report, manner) = (Rc::clone(&node.report), node.manner);
        let way = Way { sim: self.sim.clone(), from: id, to: node.to, weather: self.weather };
        self.sim.spawn(id, async move {
            while !report.is_leaving.get() {
                if let Some(session) = way.connect().await {
                    let mut app = Subscriber::new(way.sim.clone(), Rc::clone(&report), manner);
                    session.run(&mut app).await;
                }
                way.sim.sleep(Micros::from_millis(way.sim.draw(|rng| rng.of(PAUSE.0..PAUSE.1)))).await;
            }
        });
    }

    /// Adds a client that does what a test has it do, on one session.
    pub(crate) fn scripted_client(&mut self, to: NodeId) -> Rc<Hands> {
        self.scripted_client_at(to, "127.0.0.1")
    }

    /// The same, at an address.
    pub(crate) fn scripted_client_at(&mut self, to: NodeId, address: &str) -> Rc<Hands> {
        self.scripted_client_with(to, address, |_| {})
    }

    /// The same, with a changed configuration of its session.
    pub(crate) fn scripted_client_with(
        &mut self,
        to: NodeId,
        address: &str,
        change: impl FnOnce(&mut moqt::session::Config) + 'static,
    ) -> Rc<Hands> {
        let id = self.id();
        self.addresses.borrow_mut().insert(id, address.parse().expect("an address"));
        let hands = Rc::new(Hands::default());
        let way = Way { sim: self.sim.clone(), from: id, to, weather: self.weather };
        let moved = Rc::clone(&hands);
        self.sim.spawn(id, async move {
            if let Some(mut session) = way.connect().await {
                change(Connected::config(&mut session));
                session.run(&mut Scripted::new(moved)).await;
            }
        });
        hands.node.set(Some(id));
        hands
    }

    /// Adds a node whose sessions do what `answer` has them do with each event.
    pub(crate) fn scripted_server(&mut self, answer: Answer) -> NodeId {
        let id = self.id();
        self.sim.accept(id, Rc::new(move |_| Box::new(Answering(Rc::clone(&answer)))));
        id
    }

    pub(crate) fn relay_ids(&self) -> Vec<NodeId> {
        self.relays.keys().copied().collect()
    }

    pub(crate) fn creator_ids(&self) -> Vec<NodeId> {
        self.creators.keys().copied().collect()
    }

    pub(crate) fn subscriber_ids(&self) -> Vec<NodeId> {
        self.subscribers.keys().copied().collect()
    }

    pub(crate) fn report(&self, id: NodeId) -> Rc<Report> {
        Rc::clone(&self.subscribers[&id].report)
    }

    pub(crate) fn running(&self, id: NodeId) -> &Relay {
        self.relays[&id].relay.as_ref().expect("a relay that runs")
    }

    /// Ends the process of a node, with all its sessions.
    pub(crate) fn kill(&mut self, id: NodeId) {
        if let Some(node) = self.relays.get_mut(&id) {
            node.relay = None;
        }
        if let Some(node) = self.creators.get_mut(&id) {
            node.is_alive = false;
        }
        if let Some(node) = self.subscribers.get_mut(&id) {
            node.is_alive = false;
        }
        self.sim.kill(id);
    }

    /// Starts a node again that was killed.
    pub(crate) fn start(&mut self, id: NodeId) {
        if self.relays.contains_key(&id) {
            self.start_relay(id);
        } else if self.creators.contains_key(&id) {
            self.start_creator(id);
        } else {
            self.start_subscriber(id);
        }
    }

    pub(crate) fn run(&self, time: Micros) {
        self.sim.run(time);
    }

    /// A figure of a relay.
    pub(crate) fn figure(&self, id: NodeId, name: &str) -> i64 {
        let text = self.relays[&id].figures.text();
        let name = format!("fanfare_edge_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name)).expect("a figure");
        line.parse().expect("a number")
    }

    /// The amounts of the budget that sessions of clients have in use at a relay, those that are not zero.
    pub(crate) fn in_use(&self, id: NodeId) -> Vec<String> {
        let text = self.relays[&id].figures.text();
        let used = text.lines().filter_map(|line| line.strip_prefix("fanfare_edge_budget_used{"));
        let used = used.filter(|line| !line.ends_with(" 0") && !line.contains("upstream"));
        used.map(|line| line.replace(['"', '}'], "")).collect()
    }

    /// Every subscriber that is there has what is new, of every track that it wants.
    pub(crate) fn assert_fresh(&self) {
        let now = self.sim.now();
        for node in self.subscribers.values().filter(|node| node.is_alive) {
            let report = &node.report;
            for wanted in report.wants.borrow().iter() {
                let newest = report.newest.borrow();
                let fresh = match self.shapes[*wanted].travel {
                    Travel::Subgroups => FRESH,
                    Travel::Datagrams => FRESH_DATAGRAMS,
                };
                let due = |creator: &CreatorNode| {
                    let then = Micros(now.0.saturating_sub(fresh.0));
                    creator.broadcast.tracks.borrow()[*wanted].newest_at(then)
                };
                let is_fresh = self.creators.values().filter(|creator| creator.is_alive).any(|creator| {
                    let newest = newest.get(&(*wanted, creator.maker));
                    newest.is_some_and(|newest| due(creator).is_none_or(|due| *newest >= due))
                });
                assert!(
                    is_fresh,
                    "{} at {now:?} has {newest:?} of track {wanted}; refused {:?}, done {:?}",
                    report.name,
                    report.refused.borrow(),
                    report.done.borrow(),
                );
            }
        }
    }

    /// All subscribers leave: nothing is asked of the creators any more.
    pub(crate) fn leave(&mut self) {
        for id in self.subscriber_ids() {
            if self.sim.draw(|rng| rng.chance(50)) {
                self.subscribers[&id].report.leave();
                self.subscribers.get_mut(&id).expect("a subscriber").is_alive = false;
            } else {
                self.kill(id);
            }
        }
        let relays = self.relays.len() as u64;
        self.run(Micros(LINGER.0 * 2 * relays) + seconds(5));
        for creator in self.creators.values().filter(|creator| creator.is_alive) {
            assert_eq!(creator.known.asked.get(), 0, "subscriptions that a creator still serves");
        }
    }

    /// Then all creators leave, too: nothing is left but the links between relays.
    pub(crate) fn assert_empty(&mut self) {
        for id in self.creator_ids() {
            self.kill(id);
        }
        self.run(Micros(LINGER.0 * 2 * self.relays.len() as u64) + seconds(5));
        for (id, node) in self.relays.iter().filter(|(_, node)| node.relay.is_some()) {
            let followers = self.relays.values().filter(|of| of.upstream == Some(*id) && of.relay.is_some());
            let links = followers.count() as i64 + i64::from(node.upstream.is_some());
            let figures = ["sessions", "tracks", "subscriptions", "kept_bytes"];
            let now = figures.map(|name| self.figure(*id, name));
            assert_eq!(now, [links, 0, 0, 0], "{figures:?} of relay {}", id.0);
        }
        for id in self.relay_ids() {
            self.kill(id);
        }
        self.sim.end();
        let left = self.machines.iter().filter(|machine| machine.strong_count() > 0).count();
        assert_eq!(left, 0, "relays that hold themselves");
    }

    /// Leaves, and checks that nothing is left.
    pub(crate) fn finish(mut self) {
        self.leave();
        self.assert_empty();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relays = self.relays.iter().map(|(id, node)| (id.0, node.upstream.map(|to| to.0)));
        let creators = self.creators.iter().map(|(id, node)| (id.0, node.to.0, node.announce));
        let subscribers = self.subscribers.iter().map(|(id, node)| (id.0, node.to.0, node.manner));
        f.debug_struct("World")
            .field("weather", &self.weather)
            .field("shapes", &self.shapes)
            .field("relays", &relays.collect::<Vec<_>>())
            .field("creators", &creators.collect::<Vec<_>>())
            .field("subscribers", &subscribers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Tasks hold what they run in.
        for node in self.relays.values_mut() {
            node.relay = None;
        }
        self.sim.end();
    }
}
