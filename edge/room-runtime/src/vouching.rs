//! Vouching at a root's node: what an edge says of a fan is what the fan's own token says.
//!
//! A link whose token a key with a scope has signed is believed about nobody. Its edge sends the tokens of the fans whom a
//! delta attaches, in packets before it. The node verifies them, and rewrites the delta before the root's worker and its
//! journal get it: role and name are those of the token, and a fan without one is a stranger of that edge.

use std::{collections::HashMap, rc::Rc};

use token::{Keys, Verified, clean_name, role_in, unproven_id};
use wire::{EdgeId, FanId, Frame, Micros, RawFrames, Role, SessionId, StreamId, Up};

/// Tokens that may wait for their delta: as many as fans may be at an edge.
const MAX_PROOFS: usize = 65_536;

/// The state of one edge's fans in one room, for one incarnation of its leaf.
pub(crate) struct Vouching {
    edge: EdgeId,
    room: String,
    /// The fans whose token came for the next delta.
    proven: HashMap<FanId, Rc<Verified>>,
    sessions: HashMap<SessionId, Attached>,
    /// The generation of the keys, and the time, at the last look at all sessions.
    looked: (u64, Micros),
}

/// The fan of a session, as the root knows them.
struct Attached {
    fan: FanId,
    stream: StreamId,
    /// The fan's token; without one, they are a stranger of the edge.
    token: Option<Rc<Verified>>,
}

/// The time between two looks whether the sessions' tokens still stand.
const LOOK_EVERY: Micros = Micros::from_secs(5);

impl Vouching {
    pub(crate) fn new(edge: EdgeId, room: &str) -> Self {
        Self {
            edge,
            room: room.to_owned(),
            proven: HashMap::new(),
            sessions: HashMap::new(),
            looked: (0, Micros(0)),
        }
    }

    /// Takes a packet of the edge. Returns what the worker gets of it: nothing of proofs, and deltas rewritten.
    pub(crate) fn packet(&mut self, packet: Vec<u8>, keys: &Keys, now: Micros) -> Option<Vec<u8>> {
        // A packet that cannot be read is the worker's to refuse: it applies a delta whole or not at all.
        let Ok(frames) = RawFrames::new(&packet) else { return Some(packet) };
        let Ok(frames) = frames.collect::<Result<Vec<_>, _>>() else { return Some(packet) };
        if matches!(frames.first().map(|frame| wire::decode(frame)), Some(Ok(Frame::Known(Up::Proof { .. }))))
        {
            self.prove(&frames, keys, now);
            return None;
        }
        let mut out = Vec::with_capacity(packet.len());
        wire::start(&mut out);
        for (nth, frame) in frames.iter().enumerate() {
            match wire::decode(frame) {
                Ok(Frame::Known(up)) => self.entry(up, frame, &mut out),
                Ok(Frame::Unknown(_)) => wire::put_raw(&mut out, frame),
                Err(_) => return Some(packet),
            }
            if nth == 0 {
                self.look(keys, now, &mut out);
            }
        }
        self.proven.clear();
        Some(out)
    }

    fn prove(&mut self, frames: &[&[u8]], keys: &Keys, now: Micros) {
        for frame in frames {
            let Ok(Frame::Known(Up::Proof { token })) = wire::decode(frame) else { continue };
            if self.proven.len() >= MAX_PROOFS {
                return;
            }
            match keys.examine(token, now) {
                Ok(token) => drop(self.proven.insert(token.fan_id(), Rc::new(token))),
                Err(error) => {
                    tracing::debug!(edge = self.edge.0, room = self.room, %error, "a fan's proof is refused");
                }
            }
        }
    }

    /// Appends a delta's entry to what the worker gets.
    fn entry(&mut self, up: Up<'_>, frame: &[u8], out: &mut Vec<u8>) {
        match up {
            Up::Attach { session, fan, stream, next, .. } => {
                let token = self.proven.get(&fan).cloned();
                let fan = if token.is_some() { fan } else { unproven_id(self.edge, fan) };
                let role = token.as_ref().map_or(Role::Fan, |token| role_in(&token.claims, &self.room));
                self.sessions.insert(session, Attached { fan, stream, token });
                wire::put(out, &Up::Attach { session, fan, stream, next, role });
            }
            Up::Known { session, name, .. } => {
                let token = self.sessions.get(&session).and_then(|attached| attached.token.as_ref());
                let named = token.filter(|token| !token.claims.anonymous);
                let own = named.map(|token| clean_name(&token.claims.name));
                let cleaned = own.unwrap_or_else(|| clean_name(name));
                wire::put(out, &Up::Known { session, name: &cleaned, anonymous: named.is_none() });
            }
            Up::Detach { session } => {
                self.sessions.remove(&session);
                wire::put_raw(out, frame);
            }
            Up::Proof { .. } => {}
            _ => wire::put_raw(out, frame),
        }
    }

    /// Attaches the fans whose token no longer stands as strangers, so that the edge cannot act as them any longer.
    fn look(&mut self, keys: &Keys, now: Micros, out: &mut Vec<u8>) {
        let generation = keys.generation();
        if generation == self.looked.0 && now < self.looked.1 + LOOK_EVERY {
            return;
        }
        self.looked = (generation, now);
        for (session, attached) in &mut self.sessions {
            let Some(token) = &attached.token else { continue };
            if keys.stands(token, now).is_err() {
                attached.token = None;
                attached.fan = unproven_id(self.edge, attached.fan);
                let (session, fan, stream) = (*session, attached.fan, attached.stream);
                wire::put(out, &Up::Attach { session, fan, stream, next: 1, role: Role::Fan });
            }
        }
    }
}
