//! A fan without a browser: [`take_part`] in a room over QUIC, from a terminal or a script.
//!
//! What is said goes through the same [`Voice`] as in a browser: numbered, sent again over
//! every new connection, and settled once.
#![forbid(unsafe_code)]

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, Ipv6Addr},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    App, Cx, Event, Micros, Misuse, NameError, Namespace, Params, Properties, RequestCode, SessionCode, Token,
    TrackName,
    packet_track::{Inflow, Outflow},
    session::{RequestId, StreamId},
};
use quic::{Clock, Endpoint};
use rustls::ClientConfig;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};
use url::Url;
use timing::Backoff;
use outbox::{Failure, Identity, Outcome, Output, Ticket, Voice, Waiting, wish::Wish};
use wire::{ChatId, Track, limits, names};

/// Where an edge has WebSockets.
const WEBSOCKET_PATH: &str = "/moq";
/// Before what an edge refused, or broke off, is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long an edge may wait for a room.
const PATIENCE_MS: u64 = 5000;
/// The tracks that all fans see.
const SHOWN: [Track; 3] = [Track::Chat, Track::Pulse, Track::Stage];

/// Where to take part, and as whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// An edge: `moqt://…` or `https://…`.
    pub url: Url,
    /// Others, which are tried in turn when there is no connection to that one any more.
    pub others: Vec<Url>,
    /// Whom to trust as that edge.
    pub tls: ClientConfig,
    /// The room.
    pub room: Namespace,
    /// Who one is; a stranger, without.
    pub token: Option<String>,
    /// A random number, another for each time that one takes part.
    pub seed: u64,
}

/// What a fan wants to do, and what they call it.
#[derive(Debug)]
pub struct Order {
    /// What they call it.
    pub ticket: Ticket,
    /// What it is.
    pub wish: Wish,
}

/// What a fan hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// There is a place in the room from now on.
    Joined,
    /// There is none for the moment, or not for the reason that was told before.
    Left {
        /// Why.
        why: String,
    },
    /// What became of an order.
    Settled {
        /// Which.
        ticket: Ticket,
        /// What.
        outcome: Outcome,
    },
    /// Who one is.
    Identity(Identity),
    /// To be shown the next time.
    Token(String),
    /// An object of one of the tracks to all fans: a packet of [`wire::TrackItem`]s.
    Shown {
        /// Which track's.
        track: Track,
        /// The packet.
        packet: Vec<u8>,
    },
    /// A line waits for moderators, of whom one is one.
    Waits(Waiting),
    /// It waits no more.
    Reviewed(ChatId),
}

/// Why somebody cannot take part.
#[derive(Debug)]
pub enum Error {
    /// The room's name cannot be a namespace.
    Room(NameError),
    /// No socket can be had.
    Endpoint(quic::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(error) => write!(f, "the room cannot be called that: {error}"),
            Self::Endpoint(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Takes part until nobody can give orders any more and all that were given are settled. To be run in a
/// [`LocalSet`](tokio::task::LocalSet).
pub async fn take_part(
    options: Options,
    orders: mpsc::Receiver<Order>,
    heard: impl FnMut(Heard),
) -> Result<(), Error> {
    let any = match options.url.host() {
        Some(url::Host::Ipv6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(any, options.tls.clone()).map_err(Error::Endpoint)?;
    take_part_from(&endpoint, options, orders, heard).await
}

/// The same, through a socket that is there.
pub async fn take_part_from(
    endpoint: &Endpoint,
    options: Options,
    orders: mpsc::Receiver<Order>,
    heard: impl FnMut(Heard),
) -> Result<(), Error> {
    let names = Names::new(&options.room).map_err(Error::Room)?;
    let clock = Clock::default();
    let token = options.token.clone();
    let voice = if token.is_some() { Voice::new(options.seed) } else { Voice::stranger(options.seed) };
    let mut fan = Fan { names, clock, voice, orders, heard, token, waiting: 0, over: false, absent: None };
    let mut backoff = Backoff::default();
    let room = options.room.path().unwrap_or_default();
    let urls = std::iter::once(&options.url).chain(&options.others);
    let urls: Vec<_> = urls.map(|url| at_room(url, &room, options.token.as_deref())).collect();
    for url in urls.iter().cycle() {
        if fan.is_done() {
            break;
        }
        let begun = Instant::now();
        let why = match endpoint.dial(url).await {
            Ok(mut connection) => {
                connection.config().setup.tokens.extend(fan.token.clone().map(Token::value));
                let mut visit = Visit::new(&mut fan);
                let ended = connection.run(&mut visit).await;
                ended.map_or_else(|error| error.to_string(), |ended| ended.reason)
            }
            Err(error) => error.to_string(),
        };
        fan.left(why);
        if begun.elapsed() > Duration::from(Backoff::LONGEST) {
            backoff.reset();
        }
        fan.wait(backoff.pause(RandomState::new().hash_one(0)).into()).await;
    }
    Ok(())
}

/// Where a room is. Whoever has an object for each room has to know which, and whether to open it, before the session
/// begins; whoever has them all does not mind.
fn at_room(url: &Url, room: &str, token: Option<&str>) -> Url {
    let mut url = url.clone();
    if matches!(url.scheme(), "ws" | "wss") {
        if url.path() == "/" {
            url.set_path(WEBSOCKET_PATH);
        }
        url.query_pairs_mut().append_pair("room", room);
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("jwt", token);
        }
    }
    url
}

/// What the tracks are called.
struct Names {
    acts: TrackName,
    answers: TrackName,
    shown: [TrackName; 3],
}

impl Names {
    fn new(room: &Namespace) -> Result<Self, NameError> {
        let of_fan = Namespace::new([names::FAN])?.join(room)?;
        let of_room = Namespace::new([names::ROOM])?.join(room)?;
        let shown = |track: Track| TrackName::new(of_room.clone(), track.name());
        Ok(Self {
            acts: TrackName::new(of_fan.clone(), names::ACTS)?,
            answers: TrackName::new(of_fan, names::ANSWERS)?,
            shown: [shown(SHOWN[0])?, shown(SHOWN[1])?, shown(SHOWN[2])?],
        })
    }
}

/// What outlives a connection.
struct Fan<F> {
    names: Names,
    clock: Clock,
    voice: Voice,
    orders: mpsc::Receiver<Order>,
    heard: F,
    token: Option<String>,
    /// Orders that are not settled.
    waiting: usize,
    /// Nobody gives orders any more.
    over: bool,
    /// Why there is no place in the room, as it was last told.
    absent: Option<String>,
}

impl<F: FnMut(Heard)> Fan<F> {
    fn is_done(&self) -> bool {
        self.over && self.waiting == 0
    }

    fn order(&mut self, now: Micros, order: Option<Order>) {
        let Some(Order { ticket, wish }) = order else {
            self.over = true;
            return;
        };
        self.waiting += 1;
        match wish.act() {
            Ok(act) => self.voice.act(now, ticket, act),
            Err(error) => self.settled(ticket, Outcome::Failed(Failure::Invalid(error))),
        }
    }

    fn settled(&mut self, ticket: Ticket, outcome: Outcome) {
        self.waiting = self.waiting.saturating_sub(1);
        (self.heard)(Heard::Settled { ticket, outcome });
    }

    /// Tells what the voice knows; what it sends is for the caller.
    fn next(&mut self) -> Option<Out> {
        loop {
            match self.voice.poll()? {
                Output::Send(packet) => return Some(Out::Send(packet)),
                Output::StartOver => return Some(Out::StartOver),
                Output::Settled { ticket, outcome } => self.settled(ticket, outcome),
                Output::Identity(identity) => (self.heard)(Heard::Identity(identity)),
                Output::Token(token) => {
                    (self.heard)(Heard::Token(token.clone()));
                    self.token = Some(token);
                }
                Output::Waits(waiting) => (self.heard)(Heard::Waits(waiting)),
                Output::Reviewed(chat) => (self.heard)(Heard::Reviewed(chat)),
            }
        }
    }

    fn left(&mut self, why: String) {
        let was_joined = self.voice.is_joined();
        self.voice.left();
        let is_news = was_joined || self.absent.as_ref() != Some(&why);
        if is_news && !self.is_done() {
            self.absent = Some(why.clone());
            (self.heard)(Heard::Left { why });
        }
    }

    /// Takes orders without a connection, for a while.
    async fn wait(&mut self, pause: Duration) {
        let mut sleep = pin!(tokio::time::sleep(pause));
        loop {
            let now = self.clock.now();
            self.voice.tick(now);
            while self.next().is_some() {}
            tokio::select! {
                () = &mut sleep => return,
                order = self.orders.recv(), if !self.over => self.order(now, order),
            }
        }
    }
}

enum Out {
    Send(Vec<u8>),
    StartOver,
}

/// One connection.
struct Visit<'a, F> {
    fan: &'a mut Fan<F>,
    answers: Option<RequestId>,
    acts: Option<RequestId>,
    inflow: Inflow,
    outflow: Option<Outflow>,
    shown: [Shown; 3],
    /// When what is missing is asked for again.
    again: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// A track to all fans.
#[derive(Default)]
struct Shown {
    request: Option<RequestId>,
    reading: Vec<(StreamId, Vec<u8>, u64)>,
}

impl<'a, F: FnMut(Heard)> Visit<'a, F> {
    fn new(fan: &'a mut Fan<F>) -> Self {
        Self {
            fan,
            answers: None,
            acts: None,
            inflow: Inflow::new(limits::FRAME),
            outflow: None,
            shown: Default::default(),
            again: None,
            sleep: Box::pin(tokio::time::sleep(AGAIN)),
        }
    }

    /// Asks for what is missing.
    fn ask(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        if self.answers.is_none() {
            self.answers = Some(cx.session.subscribe(self.fan.names.answers.clone(), Params::default())?);
        }
        for (shown, name) in self.shown.iter_mut().zip(&self.fan.names.shown) {
            if shown.request.is_none() {
                let params = Params { rendezvous_timeout: Some(PATIENCE_MS), ..Params::default() };
                shown.request = Some(cx.session.subscribe(name.clone(), params)?);
            }
        }
        Ok(())
    }

    fn lost(&mut self, cx: &mut Cx<'_>, request: RequestId, why: &str) {
        if self.answers == Some(request) || self.acts == Some(request) {
            self.start_over(cx, why);
        }
        for shown in &mut self.shown {
            if shown.request == Some(request) {
                *shown = Shown::default();
            }
        }
        self.again.get_or_insert_with(|| Instant::now() + AGAIN);
    }

    /// Gives back the place in the room; another is taken after a while.
    fn start_over(&mut self, cx: &mut Cx<'_>, why: &str) {
        for request in [self.answers.take(), self.acts.take()].into_iter().flatten() {
            let _ = cx.session.cancel(request);
        }
        self.inflow = Inflow::new(limits::FRAME);
        self.outflow = None;
        self.fan.left(why.to_owned());
        self.again.get_or_insert_with(|| Instant::now() + AGAIN);
    }

    fn data(&mut self, event: &Event) -> Result<(), &'static str> {
        let broken = |_| "what comes cannot be put in order";
        match event {
            Event::Subgroup { stream, request, header } => {
                if self.answers == Some(*request) {
                    self.inflow.begin(*stream, *header).map_err(broken)?;
                }
                let shown = self.shown.iter_mut().find(|shown| shown.request == Some(*request));
                if let Some(shown) = shown {
                    shown.reading.push((*stream, Vec::new(), 0));
                }
            }
            Event::Object { stream, header } => {
                if self.inflow.has(*stream) {
                    self.inflow.object(*stream, header).map_err(broken)?;
                } else if let Some((_, packet, left)) = self.reading(*stream) {
                    packet.clear();
                    *left = header.payload_len;
                }
            }
            Event::Payload { stream, data } => {
                if self.inflow.has(*stream) {
                    self.inflow.payload(*stream, data).map_err(broken)?;
                } else {
                    self.show(*stream, data);
                }
            }
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } => {
                if self.inflow.has(*stream) {
                    return Err("the answers have ended");
                }
                for shown in &mut self.shown {
                    shown.reading.retain(|(of, ..)| of != stream);
                }
            }
            Event::StreamStopped { stream, .. }
                if self.outflow.as_ref().is_some_and(|flow| flow.is(*stream)) =>
            {
                return Err("the edge takes no more");
            }
            _ => {}
        }
        Ok(())
    }

    fn reading(&mut self, stream: StreamId) -> Option<&mut (StreamId, Vec<u8>, u64)> {
        self.shown.iter_mut().flat_map(|shown| &mut shown.reading).find(|(of, ..)| *of == stream)
    }

    fn show(&mut self, stream: StreamId, data: &[u8]) {
        let whole = self.reading(stream).and_then(|(_, packet, left)| {
            packet.extend_from_slice(data);
            *left = left.saturating_sub(data.len() as u64);
            (*left == 0).then(|| std::mem::take(packet))
        });
        let of = |shown: &Shown| shown.reading.iter().any(|(of, ..)| *of == stream);
        if let (Some(packet), Some(at)) = (whole, self.shown.iter().position(of)) {
            (self.fan.heard)(Heard::Shown { track: SHOWN[at], packet });
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>) -> Result<(), &'static str> {
        while let Some(out) = self.fan.next() {
            match (out, &mut self.outflow) {
                (Out::Send(packet), Some(outflow)) => {
                    outflow.send(cx, packet.into()).map_err(|_| "nothing can be sent")?;
                }
                (Out::Send(_), None) => {}
                (Out::StartOver, _) => return Err("the room has forgotten this connection"),
            }
        }
        Ok(())
    }
}

impl<F: FnMut(Heard)> App for Visit<'_, F> {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => self.again = Some(Instant::now()),
            Event::SubscribeOk { request, .. } if self.answers == Some(request) => {
                let name = self.fan.names.acts.clone();
                self.acts = cx.session.publish(name, Params::default(), Properties::NONE).ok();
            }
            Event::RequestOk { request, .. } if self.acts == Some(request) => {
                self.outflow = Some(Outflow::new(request, u64::MAX));
                self.fan.voice.joined(self.fan.clock.now());
                (self.fan.heard)(Heard::Joined);
            }
            Event::RequestError { request, error } => self.lost(cx, request, error.reason_text()),
            Event::Done { request, .. } => self.lost(cx, request, "the track is over"),
            Event::Cancelled { request, .. } => self.lost(cx, request, "the edge has broken it off"),
            Event::GoAway { .. } => cx.session.close(SessionCode::NO_ERROR, "moving on"),
            Event::Publish { request, .. } => {
                let error =
                    moqt::message::RequestError::new(RequestCode::NOT_SUPPORTED, "a fan takes no tracks");
                let _ = cx.session.reject(request, error);
            }
            event => {
                if let Err(why) = self.data(&event) {
                    self.start_over(cx, why);
                }
            }
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if self.again.is_some_and(|at| at <= Instant::now()) {
            self.again = None;
            if self.ask(cx).is_err() {
                return Poll::Ready(());
            }
        }
        while let Some(packet) = self.inflow.take() {
            if self.fan.voice.heard(self.fan.clock.now(), &packet).is_err() {
                self.start_over(cx, "the edge speaks another version");
            }
        }
        while !self.fan.over
            && let Poll::Ready(order) = self.fan.orders.poll_recv(task)
        {
            self.fan.order(self.fan.clock.now(), order);
        }
        self.fan.voice.tick(self.fan.clock.now());
        if let Err(why) = self.send(cx) {
            self.start_over(cx, why);
        }
        if self.fan.is_done() {
            return Poll::Ready(());
        }
        let due = self.fan.voice.timeout().map(|at| Instant::from_std(self.fan.clock.instant(at)));
        if let Some(at) = [due, self.again].into_iter().flatten().min() {
            self.sleep.as_mut().reset(at);
            if self.sleep.as_mut().poll(task).is_ready() {
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
