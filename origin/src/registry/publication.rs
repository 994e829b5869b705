use std::{sync::Arc, time::Instant};

use moq_transport::coding::TrackNamespace;

use super::{LiveKey, Registry};
use crate::room::{SessionKey, Withdrawal};

pub(super) enum Published {
    Namespace(TrackNamespace),
    Track(LiveKey),
}

/// Something a creator publishes, until this is withdrawn or dropped.
pub(crate) struct Publication {
    registry: Arc<Registry>,
    room: String,
    session: SessionKey,
    what: Option<Published>,
    how: Withdrawal,
}

impl Publication {
    pub(super) fn new(registry: Arc<Registry>, room: &str, session: SessionKey) -> Self {
        let (room, what, how) = (room.to_owned(), None, Withdrawal::Broken);
        Self { registry, room, session, what, how }
    }

    pub(super) fn of(mut self, what: Published) -> Self {
        self.what = Some(what);
        self
    }

    pub(crate) fn withdraw(mut self, how: Withdrawal) {
        self.how = how;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut inner = self.registry.inner();
        if inner.rooms.owns(&self.room, self.session)
            && let Some(Published::Namespace(namespace)) = &self.what
            && inner.namespaces.get(namespace).is_some_and(|(_, by)| by.session == self.session)
        {
            inner.namespaces.remove(namespace);
        }
        if let Some(Published::Track(live)) = &self.what {
            inner.remove_live(live);
        }
        inner.rooms.withdraw(Instant::now(), &self.room, self.session, self.how);
        drop(inner);
        self.registry.due.notify_one();
        self.registry.bump();
    }
}
