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
    /// Why a session ended (Section 3.5).
    SessionCode {
        /// No error.
        NO_ERROR = 0x0,
        /// Something went wrong here.
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
        /// No version in common.
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
    /// Why a request was refused (Section 10.6.2).
    RequestCode {
        /// Something went wrong here.
        INTERNAL_ERROR = 0x0,
        /// The asker may not.
        UNAUTHORIZED = 0x1,
        /// It took too long.
        TIMEOUT = 0x2,
        /// Requests of this kind are not served.
        NOT_SUPPORTED = 0x3,
        /// A token that cannot be used.
        MALFORMED_AUTH_TOKEN = 0x4,
        /// A token past its time.
        EXPIRED_AUTH_TOKEN = 0x5,
        /// The session is being left.
        GOING_AWAY = 0x6,
        /// Too much at once.
        EXCESSIVE_LOAD = 0x9,
        /// No such track or namespace.
        DOES_NOT_EXIST = 0x10,
        /// Nothing is in that range.
        INVALID_RANGE = 0x11,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
        /// There is a subscription to that track in that role.
        DUPLICATE_SUBSCRIPTION = 0x19,
        /// Not wanted.
        UNINTERESTED = 0x20,
        /// The prefix overlaps another.
        PREFIX_OVERLAP = 0x30,
        /// The prefix matches too much.
        NAMESPACE_TOO_LARGE = 0x31,
        /// There is no such subscription to join.
        INVALID_JOINING_REQUEST_ID = 0x32,
        /// The track has a mandatory property that is not understood.
        UNSUPPORTED_EXTENSION = 0x33,
        /// Ask elsewhere.
        REDIRECT = 0x34,
    }
}

codes! {
    /// Why a subscription ended (Section 10.11).
    DoneCode {
        /// Something went wrong at the publisher.
        INTERNAL_ERROR = 0x0,
        /// The subscriber may no longer.
        UNAUTHORIZED = 0x1,
        /// The track is over.
        TRACK_ENDED = 0x2,
        /// The filter's end was reached.
        SUBSCRIPTION_ENDED = 0x3,
        /// The session is being left.
        GOING_AWAY = 0x4,
        /// The subscriber was too slow.
        TOO_FAR_BEHIND = 0x5,
        /// The time given in EXPIRES is up.
        EXPIRED = 0x6,
        /// A REQUEST_UPDATE was refused.
        UPDATE_FAILED = 0x8,
        /// Too much at once.
        EXCESSIVE_LOAD = 0x9,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
    }
}

codes! {
    /// Why a stream was reset or stopped (Section 3.3.3).
    ResetCode {
        /// Something went wrong.
        INTERNAL_ERROR = 0x0,
        /// Nobody wants it any more.
        CANCELLED = 0x1,
        /// It took longer than its delivery timeout.
        DELIVERY_TIMEOUT = 0x2,
        /// The session is over.
        SESSION_CLOSED = 0x3,
        /// The session is being left.
        GOING_AWAY = 0x4,
        /// The subscriber was too slow.
        TOO_FAR_BEHIND = 0x5,
        /// Whether the next object of a fetch exists is not known.
        UNKNOWN_OBJECT_STATUS = 0x6,
        /// A token past its time.
        EXPIRED_AUTH_TOKEN = 0x7,
        /// Too much at once.
        EXCESSIVE_LOAD = 0x9,
        /// The track breaks the rules of tracks.
        MALFORMED_TRACK = 0x12,
    }
}
