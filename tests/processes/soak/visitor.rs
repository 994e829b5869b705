//! The fans of a soak: each comes, talks or watches for some seconds, and leaves.

use std::{
    cell::RefCell,
    fmt,
    net::Ipv4Addr,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fan::{Options, Order, Update, take_part_from};
use fanfare_tests::LossyUdp;
use moqt::{App, Cx, Event, Namespace, Params, TrackName};
use outbox::{Outcome, act_json::ActJson};
use quic::{Endpoint, Trust};
use serde_json::json;
use token::{Claims, Keys, Role};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use url::Url;

use crate::{LIFE, ROOM, parts::Parts};

/// The time that a fan stays.
const STAY: Duration = Duration::from_secs(4);
/// The longest until a fan who leaves in order has left.
const LEAVING: Duration = Duration::from_secs(20);
/// Names of fans: the room remembers each, and the same ones come again.
const NAMES: usize = 200;
/// A track of the test card.
const TRACK: &str = "video/180p";
/// The longest until the show is seen.
const SHOW: Duration = Duration::from_mins(1);

/// The kind of a fan's visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    nth: usize,
    way: Way,
    leaving: Leaving,
    doing: Doing,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Quic,
    WebSocket,
}

#[derive(Clone, Copy, Debug)]
enum Leaving {
    InOrder,
    /// The network falls silent, or the socket is closed, without a word of the session.
    Abrupt,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Talking,
    Watching,
}

impl Visit {
    /// Returns the kind of the visit with that number: all eight in turn.
    pub(super) fn of(nth: usize) -> Self {
        Self {
            nth,
            way: if nth.is_multiple_of(2) { Way::Quic } else { Way::WebSocket },
            leaving: if (nth / 2).is_multiple_of(2) { Leaving::InOrder } else { Leaving::Abrupt },
            doing: if (nth / 4).is_multiple_of(2) { Doing::Talking } else { Doing::Watching },
        }
    }
}

/// Counts of all that fans have done and seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    joined: u64,
    /// Fans that ended in another way than their visit has it.
    failed: u64,
    lines: u64,
    objects: u64,
    reasons: Vec<String>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { joined, failed, lines, objects, .. } = self;
        write!(
            f,
            "{joined} fans joined, {failed} of them failed, {lines} lines were taken, {objects} objects received"
        )
    }
}

impl Counts {
    /// Checks that there was a load at all: a soak of nobody leaves nothing behind either.
    pub(super) fn are_plausible(&self, long: Duration) -> Result<()> {
        let seconds = long.as_secs();
        ensure!(self.failed * 50 <= self.joined, "{self}: {:?}", self.reasons);
        ensure!(
            self.joined >= 5 * seconds && self.lines >= seconds && self.objects >= 10 * seconds,
            "{self}"
        );
        Ok(())
    }
}

/// All fans who are there.
pub(super) struct Crowd {
    /// The edges' addresses by QUIC and by WebSocket.
    edges: Vec<[Url; 2]>,
    keys: Keys,
    endpoint: Endpoint,
    counts: Rc<RefCell<Counts>>,
    there: JoinSet<()>,
}

impl Crowd {
    pub(super) fn new(parts: &Parts) -> Result<Self> {
        let addresses = |part: &crate::parts::Part| {
            let websocket = Url::parse(&format!("ws://127.0.0.1:{}/moq", part.addr.port()))?;
            anyhow::Ok([part.url()?, websocket])
        };
        let edges = parts.all[1..].iter().map(addresses).collect::<Result<_>>()?;
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), Trust::Anyone.client_config()?)?;
        Ok(Self { edges, keys: parts.keys.clone(), endpoint, counts: Rc::default(), there: JoinSet::new() })
    }

    /// Waits until the show is seen at each edge.
    pub(super) async fn first_frame(&self) -> Result<()> {
        for [url, _] in &self.edges {
            let connection = self.endpoint.dial(url).await?;
            let (seen, frame) = oneshot::channel();
            let mut watcher = Watcher { counts: Rc::clone(&self.counts), first: Some(seen) };
            let shown = async {
                tokio::select! {
                    _ = connection.run(&mut watcher) => anyhow::bail!("the session has ended"),
                    frame = frame => Ok(frame?),
                }
            };
            tokio::time::timeout(SHOW, shown).await.with_context(|| format!("no show at {url}"))??;
        }
        Ok(())
    }

    /// Lets a fan join, who leaves after some seconds. Forgets those who have left.
    pub(super) async fn join(&mut self, visit: Visit) -> Result<()> {
        while let Some(left) = self.there.try_join_next() {
            left?;
        }
        let [quic, websocket] = &self.edges[visit.nth / 8 % self.edges.len()];
        let (url, endpoint, path) = match (visit.way, visit.leaving) {
            (Way::WebSocket, _) => (websocket.clone(), self.endpoint.clone(), None),
            (Way::Quic, Leaving::InOrder) => (quic.clone(), self.endpoint.clone(), None),
            (Way::Quic, Leaving::Abrupt) => {
                let to = (Ipv4Addr::LOCALHOST, quic.port().context("no port")?).into();
                let path = LossyUdp::open(to, Duration::ZERO, 0).await?;
                let url = Url::parse(&format!("moqt://127.0.0.1:{}/", path.addr().port()))?;
                let tls = Trust::Anyone.client_config()?;
                (url, Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), tls)?, Some(path))
            }
        };
        let name = format!("fan {}", visit.nth % NAMES);
        let token = self.keys.mint(&Claims::new(ROOM, Role::Fan, &name, LIFE))?;
        let fan = Fan { visit, url, endpoint, token, path, counts: Rc::clone(&self.counts) };
        self.there.spawn_local(fan.stay());
        Ok(())
    }

    /// Waits until all have left. Returns what they did.
    pub(super) async fn leave(mut self) -> Counts {
        while self.there.join_next().await.is_some() {}
        self.counts.take()
    }
}

/// One visit.
struct Fan {
    visit: Visit,
    url: Url,
    endpoint: Endpoint,
    token: String,
    /// The path of a fan who falls silent.
    path: Option<LossyUdp>,
    counts: Rc<RefCell<Counts>>,
}

impl Fan {
    async fn stay(mut self) {
        let path = self.path.take();
        let counts = Rc::clone(&self.counts);
        let leaving = self.visit.leaving;
        let visit = self.visit;
        let (stop, stopped) = oneshot::channel();
        let mut staying = Box::pin(async move {
            match visit.doing {
                Doing::Talking => self.talk(stopped).await,
                Doing::Watching => self.watch(stopped).await,
            }
        });
        // A fan stays for so long; then it leaves, in its own way.
        let ended = tokio::time::timeout(STAY, &mut staying).await;
        let left = match (ended, leaving) {
            (Ok(ended), _) => ended.and_then(|()| anyhow::bail!("it ended too soon")),
            // The network is gone first, so that nothing of what is dropped then is sent.
            (Err(_), Leaving::Abrupt) => {
                drop(path);
                Ok(())
            }
            (Err(_), Leaving::InOrder) => {
                drop(stop);
                let left = tokio::time::timeout(LEAVING, &mut staying).await;
                left.context("it does not leave").flatten()
            }
        };
        let mut counts = counts.borrow_mut();
        counts.joined += 1;
        if let Err(error) = left {
            counts.failed += 1;
            if counts.reasons.len() < 8 {
                counts.reasons.push(format!("{visit:?}: {error:#}"));
            }
        }
    }

    async fn talk(self, stopped: oneshot::Receiver<()>) -> Result<()> {
        let (orders, taken) = mpsc::channel(4);
        let text = format!("line of visit {}", self.visit.nth);
        let act = ActJson::parse(&json!({ "say": { "text": text } }).to_string())?;
        orders.try_send(Order { ticket: 1, act }).context("no place for an order")?;
        let options = Options {
            url: self.url.clone(),
            others: Vec::new(),
            tls: Trust::Anyone.client_config()?,
            room: Namespace::from_path(ROOM)?,
            token: Some(self.token.clone()),
            seed: u64::from_be_bytes(token::random()?),
        };
        let counts = Rc::clone(&self.counts);
        let talking = take_part_from(&self.endpoint, options, taken, move |update| {
            if let Update::Settled { outcome: Outcome::Taken { .. }, .. } = update {
                counts.borrow_mut().lines += 1;
            }
        });
        let stopping = async {
            let _ = stopped.await;
            drop(orders);
        };
        let (talked, ()) = tokio::join!(talking, stopping);
        Ok(talked?)
    }

    async fn watch(self, stopped: oneshot::Receiver<()>) -> Result<()> {
        let mut connection = self.endpoint.dial(&self.url).await?;
        connection.config().setup.tokens.push(moqt::Token::value(self.token.clone()));
        let mut watcher =
            Until { stopped, watcher: Watcher { counts: Rc::clone(&self.counts), first: None } };
        connection.run(&mut watcher).await.map(drop)?;
        Ok(())
    }
}

/// Watches a track, and counts its objects.
struct Watcher {
    counts: Rc<RefCell<Counts>>,
    first: Option<oneshot::Sender<()>>,
}

impl App for Watcher {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => {
                let room = Namespace::from_path(ROOM).expect("a room's name");
                let track = TrackName::new(room, TRACK).expect("a track's name");
                let params = Params { rendezvous_timeout: Some(30_000), ..Params::default() };
                let _ = cx.session.subscribe(track, params);
            }
            Event::Object { .. } => {
                self.counts.borrow_mut().objects += 1;
                if let Some(first) = self.first.take() {
                    let _ = first.send(());
                }
            }
            _ => {}
        }
    }
}

/// Watches until it is stopped, and then ends the session.
struct Until {
    stopped: oneshot::Receiver<()>,
    watcher: Watcher,
}

impl App for Until {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.watcher.event(cx, event);
    }

    fn poll(&mut self, task: &mut Context<'_>, _: &mut Cx<'_>) -> Poll<()> {
        std::pin::Pin::new(&mut self.stopped).poll(task).map(drop)
    }
}
