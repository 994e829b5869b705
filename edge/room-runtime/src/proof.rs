//! Proofs at an edge: the fans' own tokens, which go up before the delta that attaches them.
//!
//! An edge whose key has a scope is believed about nobody. The origin verifies the token of each fan whom it attaches; see
//! [`vouching`](crate::vouching).

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use bytes::Bytes;
use wire::{FanId, Frame, Micros, RawFrames, Up, limits};

/// The time for which the token of a fan who has left is kept: the uplink may send the fan's delta again.
const KEPT: Micros = Micros::from_secs(120);
/// The time between two sweeps of the tokens of fans who have left.
const SWEEP_EVERY: Micros = Micros::from_secs(10);

/// The tokens of a leaf's fans.
#[derive(Default)]
pub(crate) struct Proofs {
    tokens: BTreeMap<FanId, Shown>,
    /// Packets of the next delta, in order: its proofs and at last the delta.
    ready: VecDeque<Bytes>,
    swept_at: Micros,
}

struct Shown {
    token: Rc<str>,
    /// Memberships of the fan at this leaf.
    here: usize,
    left_at: Micros,
}

impl Proofs {
    /// Keeps the token of a fan who has joined.
    pub(crate) fn joined(&mut self, fan: FanId, token: Rc<str>) {
        let shown =
            self.tokens.entry(fan).or_insert(Shown { token: Rc::clone(&token), here: 0, left_at: Micros(0) });
        shown.token = token;
        shown.here += 1;
    }

    /// Keeps the token of a fan who has left for a while.
    pub(crate) fn left(&mut self, fan: FanId, now: Micros) {
        if let Some(shown) = self.tokens.get_mut(&fan) {
            shown.here = shown.here.saturating_sub(1);
            shown.left_at = now;
        }
    }

    /// Forgets the tokens of fans who left long ago.
    pub(crate) fn sweep(&mut self, now: Micros) {
        if now < self.swept_at + SWEEP_EVERY {
            return;
        }
        self.swept_at = now;
        self.tokens.retain(|_, shown| shown.here > 0 || now - shown.left_at < KEPT);
    }

    /// Drops the packets that wait: the worker sends the delta again.
    pub(crate) fn clear(&mut self) {
        self.ready.clear();
    }

    /// Returns the next packet: one that waits, or the first of those for the delta that `next` has.
    pub(crate) fn packet(&mut self, next: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
        if self.ready.is_empty() {
            let delta = next()?;
            self.ready = self.of(&delta);
            self.ready.push_back(delta);
        }
        self.ready.pop_front()
    }

    /// Returns packets with the tokens of all fans whom a delta attaches.
    fn of(&self, delta: &[u8]) -> VecDeque<Bytes> {
        let mut packets = VecDeque::new();
        let mut packet = Vec::new();
        let frames = RawFrames::new(delta).into_iter().flatten().flatten();
        for frame in frames {
            let Ok(Frame::Known(Up::Attach { fan, .. })) = wire::decode(frame) else { continue };
            let Some(shown) = self.tokens.get(&fan) else { continue };
            if packet.is_empty() {
                wire::start(&mut packet);
            }
            wire::put(&mut packet, &Up::Proof { token: &shown.token });
            if packet.len() > limits::DELTA / 2 {
                packets.push_back(std::mem::take(&mut packet).into());
            }
        }
        if !packet.is_empty() {
            packets.push_back(packet.into());
        }
        packets
    }
}
