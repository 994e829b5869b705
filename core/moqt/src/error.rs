//! Errors: misuse by the caller, and violations by the peer.

use crate::{
    SessionCode,
    session::{RequestId, StreamId},
};

/// The peer broke the protocol. The session closes with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Violation {
    /// The code the session closes with.
    pub code: SessionCode,
    /// The rule that the peer broke, in brief.
    pub reason: &'static str,
}

impl Violation {
    pub(crate) const fn new(code: SessionCode, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// The rule broken is one the draft answers with `PROTOCOL_VIOLATION`.
    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self::new(SessionCode::PROTOCOL_VIOLATION, reason)
    }

    /// A value that is not what its key promises (Section 1.4.3).
    pub(crate) const fn formatting(reason: &'static str) -> Self {
        Self::new(SessionCode::KEY_VALUE_FORMATTING_ERROR, reason)
    }
}

/// The caller asked for what cannot be done. The session is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The session has ended: nothing can be sent.
    #[error("the session is closed")]
    Closed,
    /// The peer sent GOAWAY: new requests go to another session.
    #[error("the peer is going away: make this request on a new session")]
    GoingAway,
    /// The request does not exist or has ended; perhaps just now, and its last event is still to be polled.
    #[error("there is no request {0:?} in this session")]
    UnknownRequest(RequestId),
    /// The stream does not exist or has ended.
    #[error("there is no open stream {0:?} in this session")]
    UnknownStream(StreamId),
    /// The operation does not apply to a request of this kind, or in this state.
    #[error("request {id:?} cannot {what}")]
    WrongState {
        /// The session's name for the request.
        id: RequestId,
        /// The operation that was attempted.
        what: &'static str,
    },
    /// There is a subscription to that track in that role (Section 5.1).
    #[error("there is a subscription to {0} in this role: update it or cancel it first")]
    DuplicateSubscription(Box<crate::TrackName>),
    /// Objects of a stream must have ascending IDs (Section 11.4.2).
    #[error("object {id} after object {previous} on one stream: IDs must ascend")]
    ObjectOrder {
        /// ID of the object.
        id: u64,
        /// ID of the object before it.
        previous: u64,
    },
    /// A payload longer or shorter than was declared.
    #[error("payload of {got} bytes where {declared} are left")]
    PayloadLength {
        /// Bytes left of the declared length.
        declared: u64,
        /// Bytes given by the caller.
        got: u64,
    },
    /// A property, status or payload that may not be together.
    #[error("an object may not have {0}")]
    BadObject(&'static str),
    /// Too long for its message.
    #[error("{what} is longer than {max}")]
    TooLong {
        /// The part that is too long.
        what: &'static str,
        /// Its limit, in bytes or items.
        max: usize,
    },
    /// A field has a value that the message must not carry.
    #[error("{0}")]
    BadField(&'static str),
}

/// Not a name that a track or namespace can have (Section 2.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More fields than a namespace may have.
    #[error("a namespace of {0} fields: at most 32 are allowed")]
    TooManyFields(usize),
    /// A field must have at least one byte.
    #[error("a namespace field is empty: each needs at least one byte")]
    EmptyField,
    /// The whole name is too long.
    #[error("a name of {0} bytes: at most 4096 are allowed")]
    TooLong(usize),
    /// Not the written form of a name (Section 1.5.1).
    #[error("not a serialized track name at byte {0}")]
    NotSerialized(usize),
}
