//! Rooms survive any input from fans, edges and roots, and always restore from their own snapshots.
//!
//! The input is a series of pieces: a byte for the receiver, one for the length, and the piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use room::{Config, Room};
use wire::worker::{Effect, Identity, Input, Seat};
use wire::{Down, EdgeId, FanId, Frame, Frames, Micros, Role, SessionId, Up};

const EDGE: EdgeId = EdgeId(1);
const LEAF: Seat = Seat::Leaf { edge: EDGE, incarnation: 1 };

fuzz_target!(|input: &[u8]| {
    let mut pair = Pair {
        leaf: Room::new(Config::new(LEAF)),
        root: Room::new(Config::new(Seat::Root)),
        now: 1_700_000_000_000_000,
    };
    pair.root(&Input::EdgeJoined { edge: EDGE, incarnation: 1 });
    for session in 0..4 {
        let role = [Role::Fan, Role::Fan, Role::Moderator, Role::Creator][session as usize];
        let fan =
            Identity { id: FanId(session.into()), role, anonymous: session == 1, ..Identity::default() };
        pair.leaf(&Input::FanJoined { session: SessionId(session), fan });
    }
    let mut rest = input;
    while let [whom, len, after @ ..] = rest {
        let (piece, after) = after.split_at(after.len().min(usize::from(*len)));
        rest = after;
        pair.piece(*whom, piece);
    }
    pair.tick();
    for (room, seat) in [(&pair.leaf, LEAF), (&pair.root, Seat::Root)] {
        let snapshot = room.snapshot();
        let restored = Room::restore(Config::new(seat), &snapshot).expect("our own snapshot");
        assert_eq!(restored.snapshot(), snapshot);
    }
    let _ = Room::restore(Config::new(Seat::Root), input);
    let _ = Room::restore(Config::new(LEAF), input);
});

struct Pair {
    leaf: Room,
    root: Room,
    now: u64,
}

impl Pair {
    fn piece(&mut self, whom: u8, piece: &[u8]) {
        let mut packet = vec![wire::VERSION];
        match whom {
            0..=7 => {
                packet.extend(piece);
                self.leaf(&Input::FanPacket { session: SessionId(u32::from(whom % 4)), packet: &packet });
            }
            8 => {
                let mut packet = wire::packet(&Down::Head { incarnation: 1 });
                packet.extend(piece);
                self.leaf(&Input::FromRoot { packet: &packet });
            }
            9 => {
                let sequence = u64::from(piece.first().copied().unwrap_or(1)).max(1);
                let at = Micros(self.now);
                let head = Up::Head { edge: EDGE, incarnation: 1, sequence, oldest: 1, at };
                let mut packet = wire::packet(&head);
                packet.extend(piece.get(1..).unwrap_or_default());
                self.root(&Input::Delta { edge: EDGE, packet: &packet });
            }
            10 => {
                packet.extend(piece);
                let _ = self.root.handle(Micros(self.now), &packet, &mut Vec::new());
            }
            11 => {
                packet.extend(piece);
                let _ = self.leaf.handle(Micros(self.now), &packet, &mut Vec::new());
            }
            _ => {
                self.now += u64::from(whom) * 10_000;
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.leaf(&Input::Tick);
        self.root(&Input::Tick);
    }

    /// Passes an input to the leaf, and its deltas to the root.
    fn leaf(&mut self, input: &Input<'_>) {
        let mut effects = Vec::new();
        self.leaf.handle(Micros(self.now), &wire::packet(input), &mut effects).expect("a batch of ours");
        for effect in Frames::<Effect<'_>>::new(&effects).expect("effects") {
            if let Frame::Known(Effect::ToRoot { packet }) = effect.expect("an effect") {
                self.root(&Input::Delta { edge: EDGE, packet });
            }
        }
    }

    /// Passes an input to the root, and its answers to the leaf; drops the leaf's reaction to them.
    fn root(&mut self, input: &Input<'_>) {
        let mut effects = Vec::new();
        self.root.handle(Micros(self.now), &wire::packet(input), &mut effects).expect("a batch of ours");
        for effect in Frames::<Effect<'_>>::new(&effects).expect("effects") {
            if let Frame::Known(Effect::ToEdge { packet, .. }) = effect.expect("an effect") {
                let answer = wire::packet(&Input::FromRoot { packet });
                self.leaf.handle(Micros(self.now), &answer, &mut Vec::new()).expect("a batch of ours");
            }
        }
    }
}
