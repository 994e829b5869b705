//! The four registries of Section 15.10. A code a peer made up is kept as it
//! came, and means the same as its registry's internal error (Section 14).

macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $code:ident = $value:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            $($(#[$doc])* pub const $code: Self = Self($value);)*

            /// Its name in the draft, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($code)),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }
    };
}

codes! {
    /// Reasons for which a session ends (Section 3.5).
    SessionCode {
        /// The session ended without an error.
        NO_ERROR = 0x0,
        /// An error on this side that has no other code.
        INTERNAL_ERROR = 0x1,
        /// The client may not have a session.
        UNAUTHORIZED = 0x2,
        /// The peer did what the draft does not allow.
        PROTOCOL_VIOLATION = 0x3,
        /// A request ID of the wrong parity, or one used before.
        INVALID_REQUEST_ID = 0x4,
        /// A track alias that stands for another track.
        DUPLICATE_TRACK_ALIAS = 0x5,
        /// A value that is not what its key promises.
        KEY_VALUE_FORMATTING_ERROR = 0x6,
        /// PATH where there must be none, or one that is not served.
        INVALID_PATH = 0x8,
        /// PATH is not a URI's path.
        MALFORMED_PATH = 0x9,
        /// The peer did not leave in time after a GOAWAY.
        GOAWAY_TIMEOUT = 0x10,
        /// The peer did not answer in time.
        CONTROL_MESSAGE_TIMEOUT = 0x11,
        /// The peer did not go on with a data stream in time.
        DATA_STREAM_TIMEOUT = 0x12,
        /// More registered tokens than were allowed.
        AUTH_TOKEN_CACHE_OVERFLOW = 0x13,
        /// A token alias that is in use.
        DUPLICATE_AUTH_TOKEN_ALIAS = 0x14,
        /// The two sides have no version in common.
        VERSION_NEGOTIATION_FAILED = 0x15,
        /// A token that cannot be read.
        MALFORMED_AUTH_TOKEN = 0x16,
        /// A token alias that nobody registered.
        UNKNOWN_AUTH_TOKEN_ALIAS = 0x17,
        /// A token past its time.
        EXPIRED_AUTH_TOKEN = 0x18,
        /// AUTHORITY where there must be none, or one that is not served.
        INVALID_AUTHORITY = 0x19,
        /// AUTHORITY is not a URI's authority.
        MALFORMED_AUTHORITY = 0x1A,
    }
}

codes! {
    /// Reasons for which a request is refused (Section 10.6.2).
    RequestCode {
        /// An error on this side that has no other code.
        INTERNAL_ERROR = 0x0,
        /// The sender is not authorised for it.
        UNAUTHORIZED = 0x1,
        /// The answer took too long.
        TIMEOUT = 0x2,
        /// Requests of this kind are not served.
        NOT_SUPPORTED = 0x3,
        /// A token that cannot be used.
        MALFORMED_AUTH_TOKEN = 0x4,
        /// A token past its time.
        EXPIRED_AUTH_TOKEN = 0x5,
        /// The session is being left.
        GOING_AWAY = 0x6,
        /// The receiver is overloaded, or the request exceeds its limits.
        EXCESSIVE_LOAD = 0x9,
        /// The track or namespace does not exist.
        DOES_NOT_EXIST = 0x10,
        /// Nothing is in that range.
        INVALID_RANGE = 0x11,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
        /// There is a subscription to that track in that role.
        DUPLICATE_SUBSCRIPTION = 0x19,
        /// The receiver does not want it.
        UNINTERESTED = 0x20,
        /// The prefix overlaps another request's prefix.
        PREFIX_OVERLAP = 0x30,
        /// The prefix matches too much.
        NAMESPACE_TOO_LARGE = 0x31,
        /// The subscription to join does not exist.
        INVALID_JOINING_REQUEST_ID = 0x32,
        /// The track has a mandatory property that is not understood.
        UNSUPPORTED_EXTENSION = 0x33,
        /// Another server should be asked.
        REDIRECT = 0x34,
    }
}

codes! {
    /// Reasons for which a subscription ends (Section 10.11).
    DoneCode {
        /// Something went wrong at the publisher.
        INTERNAL_ERROR = 0x0,
        /// The subscriber may no longer.
        UNAUTHORIZED = 0x1,
        /// The track has ended.
        TRACK_ENDED = 0x2,
        /// The filter's end was reached.
        SUBSCRIPTION_ENDED = 0x3,
        /// The session is being left.
        GOING_AWAY = 0x4,
        /// The subscriber was too slow.
        TOO_FAR_BEHIND = 0x5,
        /// The time given in EXPIRES is up.
        EXPIRED = 0x6,
        /// The publisher refused a REQUEST_UPDATE.
        UPDATE_FAILED = 0x8,
        /// The sender is overloaded.
        EXCESSIVE_LOAD = 0x9,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
    }
}

codes! {
    /// Reasons for which a stream is reset or stopped (Section 3.3.3).
    ResetCode {
        /// An error that has no other code.
        INTERNAL_ERROR = 0x0,
        /// Nobody wants it any more.
        CANCELLED = 0x1,
        /// It took longer than its delivery timeout.
        DELIVERY_TIMEOUT = 0x2,
        /// The session ended before the stream.
        SESSION_CLOSED = 0x3,
        /// The session is being left.
        GOING_AWAY = 0x4,
        /// The subscriber was too slow.
        TOO_FAR_BEHIND = 0x5,
        /// The publisher does not know whether the next object of a fetch exists.
        UNKNOWN_OBJECT_STATUS = 0x6,
        /// A token past its time.
        EXPIRED_AUTH_TOKEN = 0x7,
        /// The sender is overloaded.
        EXCESSIVE_LOAD = 0x9,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
    }
}
