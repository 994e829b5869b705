use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use moq_transport::{
    serve::{
        ServeError, Subgroup, SubgroupReader, SubgroupWriter, SubgroupsReader, SubgroupsWriter, Track,
        TrackReader, TrackReaderMode, TrackWriter,
    },
    session::{SessionError, Subscribed},
};
use tokio::sync::watch;

use crate::store::{GroupTooLarge, TrackStore};

/// How long after a track began the store begins to read it, at the latest. The subscriber
/// that was there first must have begun by then: `moq-transport` hands a group that is over
/// to no reader that begins after another has.
const BEGIN_AFTER: Duration = Duration::from_millis(250);
/// The time a group just announced has to be noted in the store, which may be about to begin.
pub(crate) const CATCH_UP: Duration = Duration::from_millis(500);

/// How far a publication's beginning has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Beginning {
    /// Nobody is there to read it.
    Unattended,
    /// A subscriber is, and has not begun.
    Awaited,
    /// It has, or there is none: the store may.
    Attended,
    /// The store reads.
    Kept,
}

/// One publication of a track, read by the store and by every subscriber.
///
/// A subscriber that comes between two groups gets the newest one from the store, so
/// that a catalog sent once reaches those who come later, too.
pub(crate) struct Feed {
    reader: TrackReader,
    store: Arc<TrackStore>,
    /// The newest group before this publication.
    before: Option<u64>,
    /// The store's reader, taken at the track's begin and before any other reads.
    primed: Mutex<Option<TrackReaderMode>>,
    is_primed: AtomicBool,
    beginning: watch::Sender<Beginning>,
}

impl Feed {
    pub(crate) fn new(reader: TrackReader, store: Arc<TrackStore>) -> Arc<Self> {
        Arc::new(Self {
            before: store.stats().newest,
            reader,
            store,
            primed: Mutex::default(),
            is_primed: AtomicBool::new(false),
            beginning: watch::Sender::new(Beginning::Unattended),
        })
    }

    pub(crate) fn reader(&self) -> &TrackReader {
        &self.reader
    }

    /// Takes the store's reader as soon as there is one to take.
    fn prime(&self) {
        if self.is_primed.load(Ordering::Acquire) {
            return;
        }
        let mut primed = self.primed.lock().unwrap_or_else(PoisonError::into_inner);
        if primed.is_none()
            && let Some(Ok(mode)) = self.reader.mode().now_or_never()
        {
            *primed = Some(mode);
            self.is_primed.store(true, Ordering::Release);
        }
    }

    /// Fills the store until the track ends. Fails if a group is too large.
    pub(crate) async fn fill(&self) -> Result<(), GroupTooLarge> {
        let began = self.reader.mode().await.is_ok();
        if began {
            self.prime();
            let mut beginning = self.beginning.subscribe();
            let attended = beginning.wait_for(|beginning| *beginning >= Beginning::Attended);
            let _ = tokio::time::timeout(BEGIN_AFTER, attended).await;
        }
        let mode = self.primed.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.reach(Beginning::Kept);
        match mode {
            Some(mode) => self.store.fill(mode).await,
            None => Ok(()),
        }
    }

    /// The beginning is that far, if it was not farther already.
    fn reach(&self, at: Beginning) -> Beginning {
        self.beginning.send_if_modified(|beginning| {
            let before = *beginning;
            *beginning = before.max(at);
            *beginning > before
        });
        *self.beginning.borrow()
    }

    /// Polls `serving` so that the store never misses the begin of the track over it, nor
    /// begins before it.
    pub(crate) async fn beside<T>(&self, serving: impl Future<Output = T>) -> T {
        self.reach(Beginning::Awaited);
        let mut serving = pin!(serving);
        let (mut accepted, mut reads) = (false, false);
        poll_fn(|cx| {
            self.prime();
            let has_begun = self.is_primed.load(Ordering::Acquire);
            let served = serving.as_mut().poll(cx);
            // Polled for the first time it says that it accepts, and once that has been written it reads.
            if accepted && has_begun && !reads {
                reads = true;
                self.reach(Beginning::Attended);
            }
            accepted = true;
            served
        })
        .await
    }

    /// Somebody fetches what was before: the store need not wait for subscribers if there are none.
    pub(crate) fn fetched(&self) {
        self.beginning.send_if_modified(|beginning| {
            let alone = *beginning == Beginning::Unattended;
            if alone {
                *beginning = Beginning::Attended;
            }
            alone
        });
    }

    /// Serves a subscription until it or the track ends; `first` if nobody else is
    /// subscribed.
    pub(crate) async fn serve(&self, subscribed: Subscribed, first: bool) -> Result<(), SessionError> {
        let beginning = if first { self.reach(Beginning::Awaited) } else { *self.beginning.borrow() };
        let begun = beginning == Beginning::Kept;
        let is_datagrams =
            || matches!(self.reader.mode().now_or_never(), Some(Ok(TrackReaderMode::Datagrams(_))));
        // A copy cannot carry the track's properties.
        let has_properties = !self.reader.track_extensions()?.is_empty();
        let direct = if begun {
            self.store.is_group_open() || is_datagrams()
        } else {
            first && beginning == Beginning::Awaited
        };
        if direct || has_properties {
            return self.beside(subscribed.serve(self.reader.clone())).await;
        }
        let track = Track::clone(&self.reader.info);
        let (writer, reader) = track.produce();
        let largest = self.reader.largest_location();
        let mut serving = pin!(subscribed.serve_with_largest_location(reader, largest));
        tokio::select! {
            biased;
            served = &mut serving => return served,
            () = self.copy(writer, begun) => {}
        }
        serving.await
    }

    /// Copies the track: its newest group if it had `begun` before, or all of it from its
    /// begin, and then all that comes.
    async fn copy(&self, writer: TrackWriter, begun: bool) {
        let _ = self.beginning.subscribe().wait_for(|beginning| *beginning == Beginning::Kept).await;
        match self.reader.mode().await {
            Ok(TrackReaderMode::Subgroups(source)) => {
                if let Ok(copy) = writer.subgroups() {
                    // The subscriber must read before there is more than it is kept.
                    tokio::task::yield_now().await;
                    self.copy_subgroups(source, copy, begun).await;
                }
            }
            Ok(TrackReaderMode::Datagrams(mut source)) => {
                let Ok(mut copy) = writer.datagrams() else {
                    return;
                };
                while let Ok(Some(datagram)) = source.read().await {
                    if copy.write(datagram).is_err() {
                        return;
                    }
                }
            }
            Ok(TrackReaderMode::Stream(_)) | Err(_) => {}
        }
    }

    async fn copy_subgroups(&self, mut source: SubgroupsReader, mut copy: SubgroupsWriter, begun: bool) {
        if let Some(largest) = self.reader.largest_location() {
            let _ = tokio::time::timeout(CATCH_UP, self.store.reached(largest.group_id)).await;
        }
        let newest = self.store.stats().newest;
        let from = match self.before {
            _ if begun => newest,
            Some(before) if newest > Some(before) => Some(before + 1),
            _ => None,
        };
        let mut copying = FuturesUnordered::new();
        for subgroup in self.store.subgroups(from.unwrap_or(0)) {
            if let Ok(to) = copy.create(key(&subgroup)) {
                copying.push(copy_objects(subgroup, to));
            }
        }
        loop {
            tokio::select! {
                next = source.next() => match next {
                    Ok(Some(subgroup)) => match copy.create(key(&subgroup)) {
                        Ok(to) => copying.push(copy_objects(subgroup, to)),
                        // It came out of the store already.
                        Err(ServeError::Duplicate) => {}
                        Err(_) => return,
                    },
                    Ok(None) | Err(_) => break,
                },
                Some(()) = copying.next() => {}
            }
        }
        while copying.next().await.is_some() {}
    }
}

fn key(subgroup: &SubgroupReader) -> Subgroup {
    Subgroup { group_id: subgroup.group_id, subgroup_id: subgroup.subgroup_id, priority: subgroup.priority }
}

async fn copy_objects(mut from: SubgroupReader, mut to: SubgroupWriter) {
    let copied: Result<(), ServeError> = async {
        while let Some(mut object) = from.next().await? {
            let properties = Some(object.extension_headers.clone());
            let (id, size, status) = (object.object_id, object.size, object.status);
            let mut copy = to.create_with_id_and_status(id, size, status, properties)?;
            while let Some(chunk) = object.read().await? {
                copy.write(chunk)?;
            }
        }
        Ok(())
    }
    .await;
    let _ = match copied {
        Ok(()) => to.finish(),
        Err(err) => to.close(err),
    };
}
