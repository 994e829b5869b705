//! The state that the two ends of a restream share, and the loop that keeps a session with each.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed},
};

use moq_transport::{
    coding::{TrackNamespace, TupleField},
    message::RequestErrorCode,
    serve::ServeError,
    session::{Publisher, Subscriber},
};
use moqt::Namespace;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Address, Counts, End, Error, Link, Options, Report, Room,
    catalog::{Catalogs, Kind},
    connect::{Connected, Failure, connect},
    guard::Meter,
    pauses::Pauses,
};

/// The state that the two ends of a restream share.
pub(crate) struct Hub {
    options: Options,
    /// The room as the source has it.
    pub(crate) from: TrackNamespace,
    /// The room as the destination gets it.
    pub(crate) to: TrackNamespace,
    extra: BTreeSet<Vec<u8>>,
    /// The session with the source, while there is one.
    pub(crate) source: watch::Sender<Option<Subscriber>>,
    pub(crate) catalogs: watch::Sender<Catalogs>,
    status: watch::Sender<Status>,
    stopping: watch::Sender<bool>,
    meter: Arc<Meter>,
    tracks: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Status {
    source: Link,
    destination: Link,
    announced: bool,
}

impl Hub {
    pub(crate) fn new(options: Options) -> Self {
        let namespace = |room: &Namespace| TrackNamespace {
            fields: room.fields().iter().map(|field| TupleField { value: field.to_vec() }).collect(),
        };
        Self {
            from: namespace(options.from.room()),
            to: namespace(options.to.room()),
            extra: options.tracks.iter().map(|name| name.clone().into_bytes()).collect(),
            options,
            source: watch::Sender::default(),
            catalogs: watch::Sender::default(),
            status: watch::Sender::default(),
            stopping: watch::Sender::default(),
            meter: Arc::default(),
            tracks: AtomicU64::default(),
        }
    }

    fn address(&self, end: End) -> &Address {
        match end {
            End::Source => &self.options.from,
            End::Destination => &self.options.to,
        }
    }

    /// Ends both sessions in good order.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves once [`stop`](Self::stop) was called.
    pub(crate) async fn stopped(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Tells if a track is carried: a catalog, one that a catalog names, or one of [`Options::tracks`].
    pub(crate) fn carries(&self, catalogs: &Catalogs, name: &[u8]) -> bool {
        Kind::of(name).is_some() || self.extra.contains(name) || catalogs.names(name)
    }

    fn room(&self) -> Room {
        let catalogs = self.catalogs.borrow();
        let named = !self.extra.is_empty() && self.source.borrow().is_some();
        if catalogs.is_present() || named {
            Room::Present
        } else if catalogs.is_absent() {
            Room::Absent
        } else {
            Room::Unknown
        }
    }

    /// Resolves when the source has the room, or when it has it no more. A lost connection changes neither.
    pub(crate) async fn room_is(&self, there: bool) {
        let (mut catalogs, mut source) = (self.catalogs.subscribe(), self.source.subscribe());
        loop {
            catalogs.mark_unchanged();
            source.mark_unchanged();
            let gone = || self.source.borrow().is_some() && self.room() != Room::Present;
            if if there { self.room() == Room::Present } else { gone() } {
                return;
            }
            tokio::select! {
                _ = catalogs.changed() => {}
                _ = source.changed() => {}
            }
        }
    }

    pub(crate) fn set_announced(&self, announced: bool) {
        self.status.send_modify(|status| status.announced = announced);
    }

    fn set_link(&self, end: End, link: Link) {
        self.status.send_modify(|status| match end {
            End::Source => status.source = link,
            End::Destination => status.destination = link,
        });
    }

    /// Tells when there is something new to report.
    pub(crate) fn changes(&self) -> Changes {
        Changes { status: self.status.subscribe(), catalogs: self.catalogs.subscribe() }
    }

    pub(crate) fn report(&self) -> Report {
        let Status { source, destination, announced } = self.status.borrow().clone();
        Report {
            source,
            destination,
            room: if announced { Room::Announced } else { self.room() },
            counts: Counts {
                tracks: self.tracks.load(Relaxed),
                frames: self.meter.frames.load(Relaxed),
                bytes: self.meter.bytes.load(Relaxed),
                skipped: self.meter.skipped.load(Relaxed),
            },
        }
    }

    /// Counts a track for as long as the guard lives.
    pub(crate) fn count_track(&self) -> impl Drop + '_ {
        struct Counted<'a>(&'a AtomicU64);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        self.tracks.fetch_add(1, Relaxed);
        Counted(&self.tracks)
    }

    /// Keeps a session with the relay of an end, which `serve` uses until it is over. Returns once the restream is
    /// [stopped](Self::stop).
    pub(crate) async fn keep<F, S>(self: &Arc<Self>, end: End, serve: F) -> Result<(), Error>
    where
        F: Fn(Arc<Self>, Connected) -> S,
        S: Future<Output = Failure>,
    {
        let address = self.address(end);
        let (mut pauses, mut known) = (Pauses::default(), false);
        loop {
            self.set_link(end, Link::Connecting);
            let connected = tokio::select! {
                connected = connect(address, &self.options.tls, &self.meter) => connected,
                () = self.stopped() => return Ok(()),
            };
            let failure = match connected {
                Ok(connected) => {
                    known = true;
                    let since = Instant::now();
                    self.set_link(end, Link::Up { since });
                    let failure = Box::pin(serve(Arc::clone(self), connected)).await;
                    pauses.worked_for(since.elapsed());
                    failure
                }
                Err(Failure::Lost(reason)) if !known => {
                    return Err(Error::Connect { end, address: address.to_string(), reason });
                }
                Err(failure) => failure,
            };
            if *self.stopping.borrow() {
                return Ok(());
            }
            let reason = match failure {
                Failure::Lost(reason) => reason,
                Failure::Unauthorized(reason) => {
                    return Err(Error::Unauthorized { end, address: address.to_string(), reason });
                }
            };
            tracing::info!(%end, reason, "a session is over");
            let pause = pauses.next();
            self.set_link(end, Link::Down { reason, pause });
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stopped() => return Ok(()),
            }
        }
    }
}

/// Tells when there is something new to report.
pub(crate) struct Changes {
    status: watch::Receiver<Status>,
    catalogs: watch::Receiver<Catalogs>,
}

impl Changes {
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.status.changed() => {}
            _ = self.catalogs.changed() => {}
        }
    }
}

/// Answers what a relay asks of us or offers to us that a restream has no use for.
pub(crate) async fn decline(mut publisher: Publisher, mut subscriber: Subscriber) {
    let mut offers = subscriber.clone();
    let [mut namespaces, mut tracks, mut statuses] = std::array::from_fn(|_| publisher.clone());
    // A relay that looks for rooms here has found all there are: the room is announced without being asked for.
    let mut watching = JoinSet::new();
    loop {
        tokio::select! {
            Some(subscribed) = publisher.subscribed() => drop(subscribed.close(ServeError::NotFound)),
            Some(mut request) = namespaces.subscribed_namespace() => {
                if request.ok().is_ok() {
                    watching.spawn(async move { drop(request.closed().await) });
                }
            }
            Some(request) = tracks.subscribed_tracks() => drop(request),
            Some(mut request) = statuses.track_status_requested() => {
                let _ = request.respond_error(RequestErrorCode::DoesNotExist as u64, "there is no such track");
            }
            Some(offer) = subscriber.published_namespace() => drop(offer),
            Some(offer) = offers.publish_received() => drop(offer),
            Some(_) = watching.join_next() => {}
            else => return std::future::pending().await,
        }
    }
}
