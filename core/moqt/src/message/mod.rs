//! The messages of control and request streams (Section 10).

mod fetch;
mod goaway;
mod namespace;
mod publish;
mod request;
mod setup;
mod subscribe;

pub use fetch::{Fetch, FetchKind, FetchOk, JoiningStart};
pub use goaway::GoAway;
pub use namespace::{PublishNamespace, SubscribeNamespace, SubscribeTracks};
pub use publish::{Publish, PublishBlocked, PublishDone};
pub use request::{Redirect, RequestError, RequestOk, RequestUpdate};
pub use setup::Setup;
pub use subscribe::{Subscribe, SubscribeOk, TrackStatus, Unsubscribe};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Misuse, Namespace, Version, Violation, varint, wire::Reader};

/// Bytes in the payload of a message, at most: its length is 16 bits.
pub const MAX_PAYLOAD_LEN: usize = u16::MAX as usize;
/// Bytes in a reason phrase, at most (Section 1.4.4).
pub const MAX_REASON_LEN: usize = 1024;
/// Bytes in a URI, at most (Section 10.4).
pub const MAX_URI_LEN: usize = 8192;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident($body:ty) = $id:literal,)*) => {
        /// A message of a control or request stream.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $($(#[$doc])* $name($body),)*
        }

        impl Message {
            /// Its type on the wire.
            pub const fn id(&self) -> u64 {
                match self {
                    $(Self::$name(_) => $id,)*
                }
            }

            /// Returns whether a message of this type exists.
            pub(crate) const fn is_known(id: u64) -> bool {
                matches!(id, $($id)|*)
            }

            /// Decodes the payload of a message of type `id`.
            pub fn decode(_version: Version, id: u64, payload: Bytes) -> Result<Self, Violation> {
                let mut reader = Reader::new(payload);
                let message = match id {
                    $($id => Self::$name(<$body>::decode(&mut reader)?),)*
                    _ => return Err(Violation::protocol("an unknown message type")),
                };
                if reader.is_empty() {
                    Ok(message)
                } else {
                    Err(Violation::protocol("a message longer than its fields"))
                }
            }

            /// Appends the message, type and length and all, to `out`; or leaves
            /// `out` as it was.
            pub fn encode(&self, _version: Version, out: &mut BytesMut) -> Result<(), Misuse> {
                let before = out.len();
                varint::put(out, self.id());
                out.put_u16(0);
                let start = out.len();
                match self {
                    $(Self::$name(body) => body.encode(out),)*
                }
                let len = out.len() - start;
                match u16::try_from(len) {
                    Ok(len) => out[start - 2..start].copy_from_slice(&len.to_be_bytes()),
                    Err(_) => {
                        out.truncate(before);
                        return Err(Misuse::TooLong { what: "a message", max: MAX_PAYLOAD_LEN });
                    }
                }
                Ok(())
            }
        }
    };
}

messages! {
    /// Changes parameters of a request.
    RequestUpdate(RequestUpdate) = 0x02,
    /// Asks for a track.
    Subscribe(Subscribe) = 0x03,
    /// Accepts a SUBSCRIBE, with the track's alias.
    SubscribeOk(SubscribeOk) = 0x04,
    /// Refuses a request, with a code.
    RequestError(RequestError) = 0x05,
    /// Says that tracks are to be had in a namespace.
    PublishNamespace(PublishNamespace) = 0x06,
    /// Accepts a request other than SUBSCRIBE and FETCH.
    RequestOk(RequestOk) = 0x07,
    /// A namespace under the prefix asked for, as what follows the prefix.
    Namespace(Namespace) = 0x08,
    /// Not of this draft: see [`Unsubscribe`].
    Unsubscribe(Unsubscribe) = 0x0A,
    /// Ends a subscription, from the publisher's side.
    PublishDone(PublishDone) = 0x0B,
    /// Asks what SUBSCRIBE would answer.
    TrackStatus(TrackStatus) = 0x0D,
    /// A namespace under the prefix asked for that is no more.
    NamespaceDone(Namespace) = 0x0E,
    /// A track that cannot be published for want of streams.
    PublishBlocked(PublishBlocked) = 0x0F,
    /// The session, or the request, is to move elsewhere.
    GoAway(GoAway) = 0x10,
    /// Asks for objects of the past.
    Fetch(Fetch) = 0x16,
    /// Accepts a FETCH, with its end.
    FetchOk(FetchOk) = 0x18,
    /// Offers a track to the peer.
    Publish(Publish) = 0x1D,
    /// Asks which namespaces are under a prefix.
    SubscribeNamespace(SubscribeNamespace) = 0x50,
    /// Asks for a PUBLISH of each track under a prefix.
    SubscribeTracks(SubscribeTracks) = 0x51,
    /// The first message of either side.
    Setup(Setup) = 0x2F00,
}

/// A reason phrase: UTF-8, though a peer's may be anything.
fn decode_reason(reader: &mut Reader) -> Result<Bytes, Violation> {
    reader.prefixed(MAX_REASON_LEN, "a reason over 1024 bytes")
}

fn encode_prefixed(bytes: &[u8], out: &mut BytesMut) {
    varint::put(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// A reason as it may be sent: cut to what fits, between characters.
pub(crate) fn reason(text: &str) -> Bytes {
    let mut end = text.len().min(MAX_REASON_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Bytes::copy_from_slice(&text.as_bytes()[..end])
}
