//! A fan without a browser: [`take_part`] in a room over QUIC, from a terminal or a script.
//!
//! Acts go through the same [`Outbox`] as in a browser: numbered, sent again over every new connection, and settled
//! once.
#![forbid(unsafe_code)]

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, Ipv6Addr},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    App, Cx, Event, Micros, Misuse, NameError, Namespace, Params, Properties, RequestCode, SessionCode,
    Token, TrackName,
    packet_track::{Inflow, Outflow},
    session::{RequestId, StreamId},
};
use outbox::{Fact, Failure, HeldLine, Identity, Outbox, Outcome, Output, Ticket, act_json::ActJson};
use quic::{Clock, Endpoint};
use rustls::ClientConfig;
use timing::Backoff;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};
use url::Url;
use wire::{ChatId, Track, limits, names};

/// Path of an edge's WebSocket endpoint.
const WEBSOCKET_PATH: &str = "/moq";
/// Pause before a request that the edge refused or ended is sent again.
const RETRY: Duration = Duration::from_millis(500);
/// Time that an edge may hold a subscription until the room exists, in milliseconds.
const RENDEZVOUS_MS: u64 = 5000;
/// The tracks that every fan of a room subscribes to.
const SHOWN: [Track; 3] = [Track::Chat, Track::Pulse, Track::Stage];

/// Parameters of taking part: the edges, the room and the fan.
#[derive(Clone, Debug)]
pub struct Options {
    /// The edge to connect to first: `moqt://…` or `https://…`.
    pub url: Url,
    /// Further edges, tried in turn when the connection to the one before has ended.
    pub others: Vec<Url>,
    /// TLS settings: the certificates that an edge may present.
    pub tls: ClientConfig,
    /// The name of the room.
    pub room: Namespace,
    /// The fan's token, a JWT; without one the fan is anonymous.
    pub token: Option<String>,
    /// A random number, different for each call, because two clients with one seed would take each other's numbers.
    pub seed: u64,
}

/// An act to be sent, with the caller's own number for it.
#[derive(Debug)]
pub struct Order {
    /// The number that [`Update::Settled`] will repeat.
    pub ticket: Ticket,
    /// The act, in the JSON form of pages.
    pub act: ActJson,
}

/// A change that the caller of [`take_part`] is notified of.
#[derive(Clone, Debug)]
pub enum Update {
    /// The edge takes this fan's acts from now on.
    Joined,
    /// The edge takes none at present. Reported again only if the reason changes.
    Left {
        /// The reason, in words.
        why: String,
    },
    /// An order is settled.
    Settled {
        /// The order's number.
        ticket: Ticket,
        /// The result: counted, held or failed.
        outcome: Outcome,
    },
    /// The fan's identity, role, standing or vote is now this.
    Identity(Identity),
    /// Use this token the next time.
    Token(String),
    /// An object of a track that all fans see: a packet of [`wire::TrackItem`]s.
    Shown {
        /// The track of the object.
        track: Track,
        /// The object's payload.
        packet: Vec<u8>,
    },
    /// A chat line is held for a moderator; only moderators receive this.
    Held(HeldLine),
    /// A moderator has approved or refused the held line.
    Reviewed(ChatId),
}

/// A reason why taking part cannot begin.
#[derive(Debug)]
pub enum Error {
    /// The room's name cannot be a namespace.
    Room(NameError),
    /// The operating system gives us no socket.
    Endpoint(quic::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Room(error) => write!(f, "invalid room name: {error}"),
            Self::Endpoint(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Takes part until `orders` is closed and every order is settled. Run it in a [`LocalSet`](tokio::task::LocalSet).
pub async fn take_part(
    options: Options,
    orders: mpsc::Receiver<Order>,
    on_update: impl FnMut(Update),
) -> Result<(), Error> {
    let any = match options.url.host() {
        Some(url::Host::Ipv6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(any, options.tls.clone()).map_err(Error::Endpoint)?;
    take_part_from(&endpoint, options, orders, on_update).await
}

/// Takes part like [`take_part`], but through a socket that the caller already has.
pub async fn take_part_from(
    endpoint: &Endpoint,
    options: Options,
    orders: mpsc::Receiver<Order>,
    on_update: impl FnMut(Update),
) -> Result<(), Error> {
    let names = Names::new(&options.room).map_err(Error::Room)?;
    let clock = Clock::default();
    let token = options.token.clone();
    let outbox = if token.is_some() { Outbox::new(options.seed) } else { Outbox::anonymous(options.seed) };
    let mut fan =
        Fan { names, clock, outbox, orders, on_update, token, waiting: 0, over: false, left_why: None };
    let mut backoff = Backoff::default();
    let room = options.room.path().unwrap_or_default();
    let urls = std::iter::once(&options.url).chain(&options.others);
    let urls: Vec<_> = urls.map(|url| room_url(url, &room, options.token.as_deref())).collect();
    for url in urls.iter().cycle() {
        if fan.is_done() {
            break;
        }
        let begun = Instant::now();
        let why = match endpoint.dial(url).await {
            Ok(mut connection) => {
                connection.config().setup.tokens.extend(fan.token.clone().map(Token::value));
                let mut session = RoomSession::new(&mut fan);
                let ended = connection.run(&mut session).await;
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

/// Returns the address of a room. A Durable Object serves one room over WebSocket, so it must know the room and check
/// the token before the session begins; the address carries both. A node serves all its rooms and ignores them.
fn room_url(url: &Url, room: &str, token: Option<&str>) -> Url {
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

/// The names of a room's tracks.
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

/// State that outlives a connection.
struct Fan<F> {
    names: Names,
    clock: Clock,
    outbox: Outbox,
    orders: mpsc::Receiver<Order>,
    on_update: F,
    token: Option<String>,
    /// Number of orders that are not settled.
    waiting: usize,
    /// Set once `orders` is closed.
    over: bool,
    /// The last reported reason for having left the room.
    left_why: Option<String>,
}

impl<F: FnMut(Update)> Fan<F> {
    fn is_done(&self) -> bool {
        self.over && self.waiting == 0
    }

    fn order(&mut self, now: Micros, order: Option<Order>) {
        let Some(Order { ticket, act }) = order else {
            self.over = true;
            return;
        };
        self.waiting += 1;
        match act.act() {
            Ok(act) => self.outbox.act(now, ticket, act),
            Err(error) => self.settle(ticket, Outcome::Failed(Failure::Invalid(error))),
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.waiting = self.waiting.saturating_sub(1);
        (self.on_update)(Update::Settled { ticket, outcome });
    }

    /// Reports the outbox's facts and returns its next step for the connection.
    fn next(&mut self) -> Option<Out> {
        loop {
            match self.outbox.poll()? {
                Output::Send(packet) => return Some(Out::Send(packet)),
                Output::StartOver => return Some(Out::StartOver),
                Output::Fact(Fact::Settled { ticket, outcome }) => self.settle(ticket, outcome),
                Output::Fact(Fact::Identity(identity)) => (self.on_update)(Update::Identity(identity)),
                Output::Fact(Fact::Token(token)) => {
                    (self.on_update)(Update::Token(token.clone()));
                    self.token = Some(token);
                }
                Output::Fact(Fact::Held(waiting)) => (self.on_update)(Update::Held(waiting)),
                Output::Fact(Fact::Reviewed(chat)) => (self.on_update)(Update::Reviewed(chat)),
            }
        }
    }

    fn left(&mut self, why: String) {
        let was_joined = self.outbox.is_joined();
        self.outbox.left();
        let is_new = was_joined || self.left_why.as_ref() != Some(&why);
        if is_new && !self.is_done() {
            self.left_why = Some(why.clone());
            (self.on_update)(Update::Left { why });
        }
    }

    /// Takes orders without a connection until the pause is over.
    async fn wait(&mut self, pause: Duration) {
        let mut sleep = pin!(tokio::time::sleep(pause));
        loop {
            let now = self.clock.now();
            self.outbox.tick(now);
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

/// The fan's part in a room on one connection.
struct RoomSession<'a, F> {
    fan: &'a mut Fan<F>,
    answers: Option<RequestId>,
    acts: Option<RequestId>,
    inflow: Inflow,
    outflow: Option<Outflow>,
    shown: [Shown; 3],
    /// The time at which missing requests are sent again.
    retry_at: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// The state of a track that all fans see.
#[derive(Default)]
struct Shown {
    request: Option<RequestId>,
    reading: Vec<(StreamId, Vec<u8>, u64)>,
}

impl<'a, F: FnMut(Update)> RoomSession<'a, F> {
    fn new(fan: &'a mut Fan<F>) -> Self {
        Self {
            fan,
            answers: None,
            acts: None,
            inflow: Inflow::new(limits::FRAME),
            outflow: None,
            shown: Default::default(),
            retry_at: None,
            sleep: Box::pin(tokio::time::sleep(RETRY)),
        }
    }

    /// Sends the requests that are missing.
    fn ask(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        if self.answers.is_none() {
            self.answers = Some(cx.session.subscribe(self.fan.names.answers.clone(), Params::default())?);
        }
        for (shown, name) in self.shown.iter_mut().zip(&self.fan.names.shown) {
            if shown.request.is_none() {
                let params = Params { rendezvous_timeout: Some(RENDEZVOUS_MS), ..Params::default() };
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
        self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
    }

    /// Ends the fan's own two tracks; they are requested again after a pause.
    fn start_over(&mut self, cx: &mut Cx<'_>, why: &str) {
        for request in [self.answers.take(), self.acts.take()].into_iter().flatten() {
            let _ = cx.session.cancel(request);
        }
        self.inflow = Inflow::new(limits::FRAME);
        self.outflow = None;
        self.fan.left(why.to_owned());
        self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
    }

    fn data(&mut self, event: &Event) -> Result<(), &'static str> {
        let broken = |_| "the answers cannot be put in order";
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
                return Err("the edge stopped the stream of acts");
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
            (self.fan.on_update)(Update::Shown { track: SHOWN[at], packet });
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>) -> Result<(), &'static str> {
        while let Some(out) = self.fan.next() {
            match (out, &mut self.outflow) {
                (Out::Send(packet), Some(outflow)) => {
                    outflow.send(cx, packet.into()).map_err(|_| "the acts cannot be sent")?;
                }
                (Out::Send(_), None) => {}
                (Out::StartOver, _) => return Err("the room has forgotten this connection"),
            }
        }
        Ok(())
    }
}

impl<F: FnMut(Update)> App for RoomSession<'_, F> {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => self.retry_at = Some(Instant::now()),
            Event::SubscribeOk { request, .. } if self.answers == Some(request) => {
                let name = self.fan.names.acts.clone();
                self.acts = cx.session.publish(name, Params::default(), Properties::NONE).ok();
            }
            Event::RequestOk { request, .. } if self.acts == Some(request) => {
                self.outflow = Some(Outflow::new(request, u64::MAX));
                self.fan.outbox.joined(self.fan.clock.now());
                (self.fan.on_update)(Update::Joined);
            }
            Event::RequestError { request, error } => self.lost(cx, request, error.reason_text()),
            Event::Done { request, .. } => self.lost(cx, request, "the track has ended"),
            Event::Cancelled { request, .. } => self.lost(cx, request, "the edge cancelled the track"),
            Event::GoAway { .. } => cx.session.close(SessionCode::NO_ERROR, "connecting again"),
            Event::Publish { request, .. } => {
                let error = moqt::message::RequestError::new(
                    RequestCode::NOT_SUPPORTED,
                    "a fan accepts no published tracks",
                );
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
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
            if self.ask(cx).is_err() {
                return Poll::Ready(());
            }
        }
        while let Some(packet) = self.inflow.take() {
            if self.fan.outbox.receive(self.fan.clock.now(), &packet).is_err() {
                self.start_over(cx, "the edge speaks another version");
            }
        }
        while !self.fan.over
            && let Poll::Ready(order) = self.fan.orders.poll_recv(task)
        {
            self.fan.order(self.fan.clock.now(), order);
        }
        self.fan.outbox.tick(self.fan.clock.now());
        if let Err(why) = self.send(cx) {
            self.start_over(cx, why);
        }
        if self.fan.is_done() {
            return Poll::Ready(());
        }
        let due = self.fan.outbox.timeout().map(|at| Instant::from_std(self.fan.clock.instant(at)));
        if let Some(at) = [due, self.retry_at].into_iter().flatten().min() {
            self.sleep.as_mut().reset(at);
            if self.sleep.as_mut().poll(task).is_ready() {
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
