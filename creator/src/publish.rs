//! Publishing a source to a server over QUIC, with reconnection.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, Ipv6Addr},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    App, Cx, Ended, Event, GoingAway, NameError, Namespace, RequestCode, SessionCode, Token, session::Closer,
};
use quic::{Clock, Connection, Endpoint, drive};
use rustls::ClientConfig;
use timing::Backoff;
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use url::Url;

use crate::{
    Broadcast, Config, Counts, Publisher, Refusal, Source, SourceError,
    source::{Epoch, Samples},
};

/// Interval between reports.
const REPORT: Duration = Duration::from_secs(1);
/// Time that sent data has to arrive after the end.
const LINGER: Duration = Duration::from_secs(2);
/// Implementation name in our SETUP.
const IMPLEMENTATION: &str = concat!("fanfare/", env!("CARGO_PKG_VERSION"));

/// Parameters of publishing: the server, the room and the right to it.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Address of the server: `moqt://…` or `https://…`.
    pub url: Url,
    /// TLS settings: the certificates that the server may present.
    pub tls: ClientConfig,
    /// The name of the room.
    pub room: Namespace,
    /// The creator's token, a JWT.
    pub token: Option<String>,
    /// Set to take the room from another creator.
    pub takeover: bool,
}

/// A reason why publishing has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The room's name cannot be a namespace.
    #[error("invalid room name: {0}")]
    Room(#[from] NameError),
    /// The input failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The first connection could not be made.
    #[error("{0}")]
    Connect(String),
    /// The server refused the broadcast.
    #[error("{server} refused to take the room: {reason}")]
    Refused {
        /// Address of the server.
        server: String,
        /// The reason that the server gave.
        reason: String,
    },
    /// The server closed the session with a code that forbids another attempt.
    #[error("{server} closed the session: {reason}")]
    Closed {
        /// Address of the server.
        server: String,
        /// The reason that the server gave.
        reason: String,
    },
    /// These settings are not valid for a session.
    #[error("invalid session settings: {0}")]
    Session(#[from] moqt::Misuse),
}

/// A report on the progress of publishing.
#[derive(Clone, Debug)]
pub struct Report {
    /// The present state.
    pub state: State,
    /// Counts of what has passed through the broadcast.
    pub counts: Counts,
    /// Groups reset because the server was too slow to take them.
    pub drops: u64,
    /// Tracks that the server is subscribed to.
    pub subscriptions: usize,
    /// Round-trip time to the server, while connected.
    pub rtt: Option<Duration>,
}

/// A state of publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The server has accepted the broadcast.
    Live,
    /// The connection is lost, and another attempt is to come.
    Reconnecting {
        /// The reason for the loss.
        reason: String,
        /// Time until the next attempt.
        pause: Duration,
    },
    /// Everything is sent.
    Ended,
}

/// Publishes a source until it ends, `shutdown` resolves or the server refuses.
///
/// A first connection that fails is an error. A lost connection is replaced, as often as it takes; the groups go on
/// with their numbers.
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
    let mut publication = Publication {
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
        let mut session = PublishSession::new(&mut publication);
        let moving = session.moving.clone();
        let Connection { transport, config, .. } = connection;
        let (ended, next) = {
            let mut running = Box::pin(drive(transport, config, clock, &mut session));
            tokio::select! {
                ended = &mut running => (ended?, None),
                next = server.move_on(&endpoint, &moving) => {
                    moving.going_away.leave();
                    (running.await?, Some(next))
                }
            }
        };
        let PublishSession { publisher, refusal, leaving, .. } = session;
        publication.drops += publisher.drops();
        if leaving.is_some() {
            break Ok(());
        }
        accepted_once |= publisher.is_accepted();
        if publisher.is_accepted() {
            backoff.reset();
        }
        if let Some(next) = next {
            connection = next;
            continue;
        }
        let mut reason = if moving.going_away.is_set() {
            format!("the server has gone away; connecting to {}", server.options.url)
        } else {
            match server.retry_reason(ended, refusal, accepted_once) {
                Ok(reason) => reason,
                Err(error) => break Err(error),
            }
        };
        connection = loop {
            let random = RandomState::new().hash_one(0);
            let pause = backoff.pause(random).into();
            publication.report_state(State::Reconnecting { reason, pause }, &Publisher::default(), None);
            if publication.take_samples_during(tokio::time::sleep(pause)).await.is_none() {
                return publication.end(&endpoint, Ok(())).await;
            }
            match publication.take_samples_during(server.connect(&endpoint)).await {
                None => return publication.end(&endpoint, Ok(())).await,
                Some(Ok(connection)) => break connection,
                Some(Err(error)) => reason = error.to_string(),
            }
        };
    };
    publication.end(&endpoint, outcome).await
}

fn endpoint(tls: &ClientConfig) -> Result<Endpoint, Error> {
    // One socket serves both address families, where both exist.
    let any = (Ipv6Addr::UNSPECIFIED, 0).into();
    let only_v4 = (Ipv4Addr::UNSPECIFIED, 0).into();
    Endpoint::client(any, tls.clone())
        .or_else(|_| Endpoint::client(only_v4, tls.clone()))
        .map_err(|error| Error::Connect(error.to_string()))
}

/// The server, and the address under which it is dialled.
struct Server {
    options: Publish,
    /// The address with the takeover flag in its query.
    url: Url,
}

impl Server {
    fn new(options: Publish) -> Self {
        let url = Self::with_query(&options, options.url.clone());
        Self { options, url }
    }

    /// Adds the takeover flag to an address. The token is in SETUP, which nobody on the way writes down.
    fn with_query(options: &Publish, mut url: Url) -> Url {
        if options.takeover {
            url.query_pairs_mut().append_pair("takeover", "1");
        }
        url
    }

    /// Opens the next connection once the server has sent GOAWAY: to the address that it names, if any. Tries again
    /// after pauses for as long as the session goes on.
    async fn move_on(&mut self, endpoint: &Endpoint, moving: &Moving) -> Connection {
        poll_fn(|task| moving.going_away.poll_received(task)).await;
        let url = std::str::from_utf8(&moving.uri.borrow()).ok().and_then(|uri| Url::parse(uri).ok());
        if let Some(url) = url {
            self.options.url = url.clone();
            self.url = Self::with_query(&self.options, url);
        }
        let mut backoff = Backoff::default();
        loop {
            match self.connect(endpoint).await {
                Ok(connection) => return connection,
                Err(error) => tracing::debug!(%error, "nothing to move to yet"),
            }
            tokio::time::sleep(backoff.pause(RandomState::new().hash_one(0)).into()).await;
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Error> {
        let mut connection =
            endpoint.connect(&self.url).await.map_err(|error| Error::Connect(error.to_string()))?;
        let setup = &mut connection.config.setup;
        setup.tokens.extend(self.options.token.clone().map(Token::value));
        setup.implementation = Some(IMPLEMENTATION.into());
        Ok(connection)
    }

    /// Decides after a connection has ended: returns the reason to report before connecting again, or the error to end
    /// with.
    fn retry_reason(
        &self,
        ended: Ended,
        refusal: Option<Refusal>,
        accepted_once: bool,
    ) -> Result<String, Error> {
        let server = self.options.url.to_string();
        if let Some(Refusal { code, reason }) = refusal {
            let reason = if reason.is_empty() { code.to_string() } else { reason };
            // A creator that was live before may find the room held by its own lost connection.
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

/// The broadcast's state that outlives connections.
struct Publication<'a, R, S> {
    broadcast: Broadcast,
    samples: Samples,
    clock: Clock,
    failure: Option<SourceError>,
    drops: u64,
    report: &'a mut R,
    shutdown: Pin<&'a mut S>,
    stop: Stop,
}

/// Decision whether to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// The source has ended, or a shutdown was requested.
    Yes,
}

impl<R: FnMut(&Report), S: Future<Output = ()>> Publication<'_, R, S> {
    /// Moves the source's samples into the broadcast.
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

    /// Keeps taking samples without a connection until `work` is done; returns `None` at the end of the source.
    async fn take_samples_during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|task| {
            self.poll(task);
            if self.stop == Stop::Yes {
                return Poll::Ready(None);
            }
            work.as_mut().poll(task).map(Some)
        })
        .await
    }

    fn report_state(&mut self, state: State, publisher: &Publisher, rtt: Option<Duration>) {
        (self.report)(&Report {
            state,
            counts: self.broadcast.counts(),
            drops: self.drops + publisher.drops(),
            subscriptions: publisher.subscriptions(),
            rtt,
        });
    }

    async fn end(mut self, endpoint: &Endpoint, outcome: Result<(), Error>) -> Result<(), Error> {
        // A shutdown does not wait for a server that is gone.
        let _ = tokio::time::timeout(LINGER, endpoint.close()).await;
        outcome?;
        self.report_state(State::Ended, &Publisher::default(), None);
        self.failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The server's GOAWAY.
#[derive(Clone, Default)]
struct Moving {
    going_away: GoingAway,
    /// The address that it names. Empty if there is none.
    uri: Rc<RefCell<bytes::Bytes>>,
}

/// The broadcast on one connection.
struct PublishSession<'a, 'b, R, S> {
    publication: &'a mut Publication<'b, R, S>,
    publisher: Publisher,
    tick: Interval,
    refusal: Option<Refusal>,
    moving: Moving,
    /// Timer that bounds the wait for the last data to arrive.
    leaving: Option<Pin<Box<Sleep>>>,
}

impl<'a, 'b, R, S> PublishSession<'a, 'b, R, S> {
    fn new(publication: &'a mut Publication<'b, R, S>) -> Self {
        let mut tick = tokio::time::interval(REPORT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            publication,
            publisher: Publisher::default(),
            tick,
            refusal: None,
            moving: Moving::default(),
            leaving: None,
        }
    }
}

impl<R: FnMut(&Report), S: Future<Output = ()>> App for PublishSession<'_, '_, R, S> {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        if let Event::GoAway { uri, .. } = &event {
            self.moving.uri.replace(uri.clone());
            self.moving.going_away.set();
        }
        let accepted = self.publisher.is_accepted();
        if let Err(refusal) = self.publisher.event(cx, &self.publication.broadcast, &event) {
            self.refusal = Some(refusal);
        }
        if !accepted && self.publisher.is_accepted() {
            self.tick.reset_immediately();
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if self.refusal.is_some() || self.moving.going_away.poll_leave(task).is_ready() {
            return Poll::Ready(());
        }
        self.publication.poll(task);
        if self.publication.stop == Stop::Yes && self.leaving.is_none() {
            self.publication.broadcast.finish(cx.now);
            self.leaving = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        self.publisher.flush(cx, &self.publication.broadcast);
        while self.tick.poll_tick(task).is_ready() {
            if self.publisher.is_accepted() {
                self.publication.report_state(State::Live, &self.publisher, cx.rtt());
            }
        }
        match &mut self.leaving {
            None => Poll::Pending,
            Some(_) if cx.session.undelivered() == 0 => Poll::Ready(()),
            Some(patience) => patience.as_mut().poll(task),
        }
    }
}
