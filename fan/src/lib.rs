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

use moqt::{App, Cx, Event, Micros, NameError, Namespace, RequestCode, SessionCode, Token};
use outbox::{
    Fact, Failure, HeldLine, Identity, Membership, Outbox, Outcome, Ticket, act_json::ActJson, membership,
};
use quic::{Clock, Endpoint};
use rustls::ClientConfig;
use timing::Backoff;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};
use url::Url;
use wire::{ChatId, Track};

/// Path of an edge's WebSocket endpoint.
const WEBSOCKET_PATH: &str = "/moq";

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
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The room's name cannot be a namespace.
    #[error("invalid room name: {0}")]
    Room(#[from] NameError),
    /// The operating system gives us no socket.
    #[error(transparent)]
    Endpoint(#[from] quic::Error),
}

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
    let endpoint = Endpoint::client(any, options.tls.clone())?;
    take_part_from(&endpoint, options, orders, on_update).await
}

/// Takes part like [`take_part`], but through a socket that the caller already has.
pub async fn take_part_from(
    endpoint: &Endpoint,
    options: Options,
    orders: mpsc::Receiver<Order>,
    on_update: impl FnMut(Update),
) -> Result<(), Error> {
    let token = options.token.clone();
    let outbox = if token.is_some() { Outbox::new(options.seed) } else { Outbox::anonymous(options.seed) };
    let mut fan = Fan {
        membership: Membership::new(&options.room, outbox)?,
        clock: Clock::default(),
        orders,
        on_update,
        token,
        waiting: 0,
        over: false,
        left_why: None,
    };
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
                let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
                let ended = connection.run(&mut RoomSession { fan: &mut fan, sleep }).await;
                fan.membership.end();
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

/// State that outlives a connection.
struct Fan<F> {
    membership: Membership,
    clock: Clock,
    orders: mpsc::Receiver<Order>,
    on_update: F,
    token: Option<String>,
    /// Number of orders that are not settled.
    waiting: usize,
    /// Set once `orders` is closed.
    over: bool,
    /// The last reported reason for having left the room, unless the fan has joined since.
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
            Ok(act) => self.membership.act(now, ticket, act),
            Err(error) => self.settle(ticket, Outcome::Failed(Failure::Invalid(error))),
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        self.waiting = self.waiting.saturating_sub(1);
        (self.on_update)(Update::Settled { ticket, outcome });
    }

    /// Reports the membership's outputs.
    fn report(&mut self) {
        while let Some(output) = self.membership.poll() {
            match output {
                membership::Output::Joined => {
                    self.left_why = None;
                    (self.on_update)(Update::Joined);
                }
                membership::Output::Left(cause) => self.left(cause.to_string()),
                membership::Output::Subscribed(_) => {}
                membership::Output::Shown { track, packet, .. } => {
                    (self.on_update)(Update::Shown { track, packet });
                }
                membership::Output::Fact(fact) => self.report_fact(fact),
            }
        }
    }

    fn report_fact(&mut self, fact: Fact) {
        match fact {
            Fact::Settled { ticket, outcome } => self.settle(ticket, outcome),
            Fact::Identity(identity) => (self.on_update)(Update::Identity(identity)),
            Fact::Token(token) => {
                (self.on_update)(Update::Token(token.clone()));
                self.token = Some(token);
            }
            Fact::Held(line) => (self.on_update)(Update::Held(line)),
            Fact::Reviewed(chat) => (self.on_update)(Update::Reviewed(chat)),
        }
    }

    fn left(&mut self, why: String) {
        if self.left_why.as_ref() != Some(&why) && !self.is_done() {
            self.left_why = Some(why.clone());
            (self.on_update)(Update::Left { why });
        }
    }

    /// Takes orders without a connection until the pause is over.
    async fn wait(&mut self, pause: Duration) {
        let mut sleep = pin!(tokio::time::sleep(pause));
        loop {
            self.membership.tick(self.clock.now());
            self.report();
            tokio::select! {
                () = &mut sleep => return,
                order = self.orders.recv(), if !self.over => self.order(self.clock.now(), order),
            }
        }
    }
}

/// The fan on one connection.
struct RoomSession<'a, F> {
    fan: &'a mut Fan<F>,
    sleep: Pin<Box<Sleep>>,
}

impl<F: FnMut(Update)> App for RoomSession<'_, F> {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let now = self.fan.clock.now();
        match self.fan.membership.event(now, event) {
            Some(Event::Ready(_)) => self.fan.membership.begin(now),
            Some(Event::GoAway { .. }) => cx.session.close(SessionCode::NO_ERROR, "connecting again"),
            Some(Event::Publish { request, .. }) => {
                let error = moqt::message::RequestError::new(
                    RequestCode::NOT_SUPPORTED,
                    "a fan accepts no published tracks",
                );
                let _ = cx.session.reject(request, error);
            }
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        let fan = &mut *self.fan;
        let now = fan.clock.now();
        while !fan.over
            && let Poll::Ready(order) = fan.orders.poll_recv(task)
        {
            fan.order(now, order);
        }
        let driven = fan.membership.drive(cx.session, now);
        fan.report();
        if driven.is_err() || fan.is_done() {
            return Poll::Ready(());
        }
        if let Some(at) = fan.membership.timeout() {
            self.sleep.as_mut().reset(fan.clock.instant(at));
            if self.sleep.as_mut().poll(task).is_ready() {
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
