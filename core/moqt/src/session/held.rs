//! Data of the peer that is held until its request is known.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::data::Datagram;

/// A piece of a stream that waits.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Finished,
}

/// Amount of held data.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: usize,
    pub(super) datagrams: VecDeque<Datagram>,
}

/// Bytes counted for a piece besides its content, so that empty pieces are not free.
const PIECE_OVERHEAD: usize = 64;

impl Held {
    /// Makes room for a piece, if there is room.
    pub(super) fn take(&mut self, len: usize, max: usize) -> bool {
        let cost = len + PIECE_OVERHEAD;
        let fits = self.bytes + cost <= max;
        if fits {
            self.bytes += cost;
        }
        fits
    }

    /// The pieces wait no more.
    pub(super) fn give_back(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            if let Piece::Data(data) = piece {
                self.bytes -= data.len() + PIECE_OVERHEAD;
            }
        }
    }
}
