//! Objects of a membership's tracks, while they are being received.

use moqt::session::StreamId;
use wire::Track;

/// The track that a stream belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Answers,
    Shown(Track),
}

/// An open stream of the edge.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) stream: StreamId,
    pub(super) source: Source,
    pub(super) group: u64,
    /// The object that is being received; `None` while the stream is between two, or in one that is skipped.
    pub(super) object: Option<Partial>,
}

impl Reader {
    /// Adds the next piece of the payload; returns the object once it is complete.
    pub(super) fn add(&mut self, data: &[u8]) -> Option<Partial> {
        let object = self.object.as_mut()?;
        object.packet.extend_from_slice(data);
        object.left = object.left.saturating_sub(data.len() as u64);
        self.object.take_if(|object| object.left == 0)
    }
}

/// An object, as much of it as has arrived.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) id: u64,
    pub(super) packet: Vec<u8>,
    left: u64,
}

impl Partial {
    pub(super) fn new(id: u64, len: u64) -> Self {
        Self { id, packet: Vec::new(), left: len }
    }
}
