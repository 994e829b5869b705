//! The batch of effects that a call writes.

use wire::worker::{Effect, Group, Level, Row};
use wire::{EdgeId, EdgeMessage, SessionId, Track};

/// Appends effects to a batch.
pub(crate) struct Effects<'a> {
    out: &'a mut Vec<u8>,
    /// Scratch memory for a packet of one message.
    packet: &'a mut Vec<u8>,
}

impl<'a> Effects<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, packet: &'a mut Vec<u8>) -> Self {
        Self { out, packet }
    }

    pub(crate) fn put(&mut self, effect: &Effect<'_>) {
        wire::put(self.out, effect);
    }

    /// Sends one message to a fan.
    pub(crate) fn fan(&mut self, session: SessionId, message: EdgeMessage<'_>) {
        self.packet.clear();
        wire::start(self.packet);
        wire::put(self.packet, &message);
        wire::put(self.out, &Effect::ToFan { session, packet: self.packet });
    }

    pub(crate) fn edge(&mut self, edge: EdgeId, packet: &[u8]) {
        self.put(&Effect::ToEdge { edge, packet });
    }

    pub(crate) fn publish(&mut self, track: Track, group: Group, object: &[u8]) {
        self.put(&Effect::Publish { track, group, object });
    }

    pub(crate) fn archive(&mut self, row: Row<'_>) {
        self.put(&Effect::Archive(row));
    }

    pub(crate) fn warn(&mut self, text: &str) {
        self.put(&Effect::Log { level: Level::Warn, text });
    }
}
