//! An admission like an origin's: everything is allowed, and a publisher that has left is expected back.

use std::sync::Arc;

use moqt::{Namespace, TrackName, message::RequestError};
use relay::{Admission, Credentials, PeerId, Published, Replaced, TrackStats};

pub(crate) struct ExpectsAll;

impl Admission for ExpectsAll {
    fn enter(&self, _: PeerId, _: &Credentials, _: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }

    fn leave(&self, _: PeerId) {}

    fn publish(&self, _: PeerId, _: Published<'_>) -> Result<Option<Replaced>, RequestError> {
        Ok(None)
    }

    fn withdraw(&self, _: PeerId, _: Published<'_>) {}

    fn watch(&self, _: PeerId, _: &Namespace) -> Result<(), RequestError> {
        Ok(())
    }

    fn subscribed(&self, _: PeerId, _: &TrackName) {}

    fn unsubscribed(&self, _: PeerId, _: &TrackName) {}

    fn dropped(&self, _: &TrackName) {}

    fn expects(&self, _: &TrackName) -> bool {
        true
    }

    fn stats(&self, _: &TrackName) -> Result<Arc<TrackStats>, RequestError> {
        Ok(Arc::default())
    }
}
