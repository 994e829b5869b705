use std::{
    future::Future,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, Ipv6Addr},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use moqt::{App, Cx, Ended};
use moqt::{Event, NameError, Namespace, RequestCode, SessionCode, Token, session::Closer};
use quic::{Clock, Connection, Endpoint, drive};
use rustls::ClientConfig;
use timing::Backoff;
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use url::Url;

use crate::{
    Broadcast, Config, Counts, Outlet, Refusal, Source, SourceError,
    source::{Epoch, Samples},
};

/// How often it is reported how it goes.
const REPORT: Duration = Duration::from_secs(1);
/// How long what is on its way may take to arrive after the end.
const LINGER: Duration = Duration::from_secs(2);
/// What we call ourselves.
const IMPLEMENTATION: &str = concat!("fanfare/", env!("CARGO_PKG_VERSION"));

/// Where to publish, and as what.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The server: `moqt://…` or `https://…`.
    pub url: Url,
    /// Whom to trust as that server.
    pub tls: ClientConfig,
    /// The room.
    pub room: Namespace,
    /// The right to publish there, a JWT.
    pub token: Option<String>,
    /// Whether to take the room from another creator.
    pub takeover: bool,
}

/// Why nothing is published any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The room's name cannot be a namespace.
    #[error("the room cannot be called that: {0}")]
    Room(#[from] NameError),
    /// The input gave up.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No connection came about.
    #[error("{0}")]
    Connect(String),
    /// The server does not take the broadcast.
    #[error("{server} refused to take the room: {reason}")]
    Refused {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server ended the session, and not to have us back.
    #[error("{server} closed the session: {reason}")]
    Closed {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The session cannot be had with these settings.
    #[error("the session cannot be: {0}")]
    Session(#[from] moqt::Misuse),
}

/// How it goes.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is going on.
    pub state: State,
    /// What went through the broadcast.
    pub counts: Counts,
    /// Groups broken off because the server was too slow to take them.
    pub drops: u64,
    /// Tracks that the server takes.
    pub subscriptions: usize,
    /// To the server and back.
    pub rtt: Option<Duration>,
}

/// What is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The server has taken the broadcast.
    Live,
    /// There is no connection, and another attempt is to come.
    Reconnecting {
        /// Why.
        reason: String,
        /// When, from now.
        pause: Duration,
    },
    /// All is sent.
    Ended,
}

/// Publishes a source until it ends, `shutdown` resolves or the server refuses.
///
/// A first connection that fails is an error. One that is lost is replaced, as
/// often as it takes; the groups go on with their numbers.
pub async fn publish(
    options: Publish,
    source: Source,
    mut report: impl FnMut(&Report),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut shutdown = pin!(shutdown);
    let broadcast = Broadcast::new(
        Config {
            namespace: options.room.clone(),
            packaging: source.packaging(),
            now: moqt::Micros(Epoch::new().now().0),
        },
        source.tracks(),
    )?;
    let mut server = Server::new(options);
    let endpoint = endpoint(&server.options.tls)?;
    let mut connection = tokio::select! {
        connection = server.connect(&endpoint) => connection?,
        () = &mut shutdown => return Ok(()),
    };
    let clock = Clock::default();
    let mut show = Show {
        broadcast,
        samples: source.start()?,
        clock,
        failure: None,
        drops: 0,
        report: &mut report,
        shutdown,
        stop: Stop::No,
    };
    let mut backoff = Backoff::default();
    let mut accepted_once = false;
    let outcome = loop {
        let mut service = Service::new(&mut show);
        let Connection { transport, config, .. } = connection;
        let ended = Box::pin(drive(transport, config, clock, &mut service)).await?;
        let Service { outlet, refusal, moved, leaving, .. } = service;
        show.drops += outlet.drops();
        if leaving.is_some() {
            break Ok(());
        }
        accepted_once |= outlet.is_accepted();
        if outlet.is_accepted() {
            backoff.reset();
        }
        let mut reason = match moved {
            Some(uri) => server.go_to(&uri),
            None => match server.verdict(ended, refusal, accepted_once) {
                Ok(reason) => reason,
                Err(error) => break Err(error),
            },
        };
        connection = loop {
            let random = RandomState::new().hash_one(0);
            let pause = backoff.pause(random).into();
            show.tell(State::Reconnecting { reason, pause }, &Outlet::default(), None);
            if show.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                return show.end(&endpoint, Ok(())).await;
            }
            match show.meanwhile(server.connect(&endpoint)).await {
                None => return show.end(&endpoint, Ok(())).await,
                Some(Ok(connection)) => break connection,
                Some(Err(error)) => reason = error.to_string(),
            }
        };
    };
    show.end(&endpoint, outcome).await
}

fn endpoint(tls: &ClientConfig) -> Result<Endpoint, Error> {
    // Both families through one socket, where there are both.
    let any = (Ipv6Addr::UNSPECIFIED, 0).into();
    let only_v4 = (Ipv4Addr::UNSPECIFIED, 0).into();
    Endpoint::client(any, tls.clone())
        .or_else(|_| Endpoint::client(only_v4, tls.clone()))
        .map_err(|error| Error::Connect(error.to_string()))
}

/// The server, as it is addressed.
struct Server {
    options: Publish,
    /// With what only the server is to see.
    url: Url,
}

impl Server {
    fn new(options: Publish) -> Self {
        let url = Self::addressed(&options, options.url.clone());
        Self { options, url }
    }

    /// The address with what the server is told in it.
    fn addressed(options: &Publish, mut url: Url) -> Url {
        if let Some(token) = &options.token {
            url.query_pairs_mut().append_pair("jwt", token);
        }
        if options.takeover {
            url.query_pairs_mut().append_pair("takeover", "1");
        }
        url
    }

    /// The server wants us elsewhere, or back later.
    fn go_to(&mut self, uri: &[u8]) -> String {
        let url = std::str::from_utf8(uri).ok().and_then(|uri| Url::parse(uri).ok());
        if let Some(url) = url {
            self.options.url = url.clone();
            self.url = Self::addressed(&self.options, url);
        }
        format!("the server is going away, on to {}", self.options.url)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Error> {
        let mut connection = endpoint.connect(&self.url).await.map_err(|error| {
            // The address we were given, and not the token in it.
            let shown = error.to_string().replace(self.url.as_str(), self.options.url.as_str());
            Error::Connect(shown)
        })?;
        let setup = &mut connection.config.setup;
        setup.tokens.extend(self.options.token.clone().map(Token::value));
        setup.implementation = Some(IMPLEMENTATION.into());
        Ok(connection)
    }

    /// Why to connect again; or why not.
    fn verdict(&self, ended: Ended, refusal: Option<Refusal>, accepted_once: bool) -> Result<String, Error> {
        let server = self.options.url.to_string();
        if let Some(Refusal { code, reason }) = refusal {
            let reason = if reason.is_empty() { code.to_string() } else { reason };
            // One who was live before may find the room held by its own lost connection.
            let for_good = [
                RequestCode::UNAUTHORIZED,
                RequestCode::MALFORMED_AUTH_TOKEN,
                RequestCode::EXPIRED_AUTH_TOKEN,
                RequestCode::NOT_SUPPORTED,
            ];
            if !accepted_once || for_good.contains(&code) {
                return Err(Error::Refused { server, reason });
            }
            return Ok(reason);
        }
        let Ended { code, reason, by } = ended;
        let reason = if reason.is_empty() { code.to_string() } else { reason };
        let for_good = [
            SessionCode::UNAUTHORIZED,
            SessionCode::MALFORMED_AUTH_TOKEN,
            SessionCode::EXPIRED_AUTH_TOKEN,
            SessionCode::INVALID_PATH,
        ];
        if !accepted_once || by == Closer::Peer && for_good.contains(&code) {
            return Err(Error::Closed { server, reason });
        }
        Ok(reason)
    }
}

/// What outlives connections.
struct Show<'a, R, S> {
    broadcast: Broadcast,
    samples: Samples,
    clock: Clock,
    failure: Option<SourceError>,
    drops: u64,
    report: &'a mut R,
    shutdown: Pin<&'a mut S>,
    stop: Stop,
}

/// Whether to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// The source is over, or we were told to.
    Yes,
}

impl<R: FnMut(&Report), S: Future<Output = ()>> Show<'_, R, S> {
    /// Takes in what the source has.
    fn poll(&mut self, task: &mut Context<'_>) {
        while self.stop == Stop::No {
            match self.samples.poll_recv(task) {
                Poll::Ready(Some(Ok(sample))) => self.broadcast.push(self.clock.now(), sample),
                Poll::Ready(Some(Err(error))) => {
                    self.failure = Some(error);
                    self.stop = Stop::Yes;
                }
                Poll::Ready(None) => self.stop = Stop::Yes,
                Poll::Pending => break,
            }
        }
        if self.stop == Stop::No && self.shutdown.as_mut().poll(task).is_ready() {
            self.stop = Stop::Yes;
        }
    }

    /// Goes on without a connection until `work` is done; `None` at the end.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        std::future::poll_fn(|task| {
            self.poll(task);
            if self.stop == Stop::Yes {
                return Poll::Ready(None);
            }
            work.as_mut().poll(task).map(Some)
        })
        .await
    }

    fn tell(&mut self, state: State, outlet: &Outlet, rtt: Option<Duration>) {
        (self.report)(&Report {
            state,
            counts: self.broadcast.counts(),
            drops: self.drops + outlet.drops(),
            subscriptions: outlet.subscriptions(),
            rtt,
        });
    }

    async fn end(mut self, endpoint: &Endpoint, outcome: Result<(), Error>) -> Result<(), Error> {
        // Who asked us to end does not wait for a server that is gone.
        let _ = tokio::time::timeout(LINGER, endpoint.close()).await;
        outcome?;
        self.tell(State::Ended, &Outlet::default(), None);
        self.failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The broadcast on one connection.
struct Service<'a, 'b, R, S> {
    show: &'a mut Show<'b, R, S>,
    outlet: Outlet,
    tick: Interval,
    refusal: Option<Refusal>,
    /// Where the server sends us, if it does.
    moved: Option<bytes::Bytes>,
    /// Until when the end is waited for.
    leaving: Option<Pin<Box<Sleep>>>,
}

impl<'a, 'b, R, S> Service<'a, 'b, R, S> {
    fn new(show: &'a mut Show<'b, R, S>) -> Self {
        let mut tick = tokio::time::interval(REPORT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { show, outlet: Outlet::default(), tick, refusal: None, moved: None, leaving: None }
    }
}

impl<R: FnMut(&Report), S: Future<Output = ()>> App for Service<'_, '_, R, S> {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        if let Event::GoAway { uri, .. } = &event {
            self.moved = Some(uri.clone());
        }
        let accepted = self.outlet.is_accepted();
        if let Err(refusal) = self.outlet.event(cx, &self.show.broadcast, &event) {
            self.refusal = Some(refusal);
        }
        if !accepted && self.outlet.is_accepted() {
            self.tick.reset_immediately();
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if self.refusal.is_some() || self.moved.is_some() {
            return Poll::Ready(());
        }
        self.show.poll(task);
        if self.show.stop == Stop::Yes && self.leaving.is_none() {
            self.show.broadcast.finish(cx.now);
            self.leaving = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        self.outlet.flush(cx, &self.show.broadcast);
        while self.tick.poll_tick(task).is_ready() {
            if self.outlet.is_accepted() {
                self.show.tell(State::Live, &self.outlet, cx.rtt());
            }
        }
        match &mut self.leaving {
            None => Poll::Pending,
            Some(_) if cx.session.undelivered() == 0 => Poll::Ready(()),
            Some(patience) => patience.as_mut().poll(task),
        }
    }
}
