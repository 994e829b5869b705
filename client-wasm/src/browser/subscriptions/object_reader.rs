//! Objects while they are being received.

use bytes::{Bytes, BytesMut};
use moqt::{Location, Micros, Properties, session::RequestId};

/// A data stream of the peer, and the object that it is in.
pub(super) struct ObjectReader {
    pub(super) request: RequestId,
    pub(super) group: u64,
    pub(super) object: Option<PartialObject>,
}

/// An object of which some is there.
pub(super) struct PartialObject {
    pub(super) location: Location,
    pub(super) properties: Properties,
    pub(super) begun: Micros,
    /// Bytes that were there at once.
    pub(super) first: u64,
    left: u64,
    data: Data,
}

/// A payload, in one piece as long as it comes in one.
enum Data {
    None,
    Whole(Bytes),
    Pieces(BytesMut),
}

impl PartialObject {
    pub(super) fn new(location: Location, properties: Properties, len: u64, begun: Micros) -> Self {
        Self { location, properties, begun, first: 0, left: len, data: Data::None }
    }

    /// Returns whether all of it is here.
    pub(super) fn is_whole(&self) -> bool {
        self.left == 0
    }

    pub(super) fn add(&mut self, data: Bytes) {
        self.left = self.left.saturating_sub(data.len() as u64);
        if self.first == 0 {
            self.first = data.len() as u64;
        }
        self.data = match std::mem::replace(&mut self.data, Data::None) {
            Data::None if self.left == 0 => Data::Whole(data),
            Data::None => {
                let mut pieces = BytesMut::with_capacity(data.len() + self.left as usize);
                pieces.extend_from_slice(&data);
                Data::Pieces(pieces)
            }
            Data::Whole(whole) => Data::Whole(whole),
            Data::Pieces(mut pieces) => {
                pieces.extend_from_slice(&data);
                Data::Pieces(pieces)
            }
        };
    }

    pub(super) fn into_payload(self) -> Bytes {
        match self.data {
            Data::None => Bytes::new(),
            Data::Whole(whole) => whole,
            Data::Pieces(pieces) => pieces.freeze(),
        }
    }
}
