//! Every message that crosses fan ↔ edge ↔ origin, and nothing else.
//!
//! A **packet** is a version byte and then frames; a **frame** is a length and one
//! message in [postcard](https://postcard.jamesmunns.com/wire-format). Each direction
//! has one enum:
//!
//! | from | to | enum |
//! |---|---|---|
//! | fan | edge | [`FanMessage`] |
//! | edge | one fan | [`EdgeMessage`] |
//! | edge | origin | [`Up`], a delta |
//! | origin | edge | [`Down`] |
//! | origin | all fans, as objects of tracks | [`TrackItem`] |
//! | node | its worker | [`worker::Input`] |
//! | worker | its node | [`worker::Effect`] |
//!
//! # How the format grows
//!
//! A new message is a new variant at the end of its enum; a new field is a new last
//! field of its message. A reader of before the change gives [`Frame::Unknown`] for
//! the one and does not see the other. Anything else is a new [`VERSION`]. The
//! files in `tests/golden` hold it to that.
//!
//! Decoding borrows from the packet: no text is copied, and what a few bytes can
//! make us allocate is bounded by [`limits`].
#![forbid(unsafe_code)]

mod bytes;

mod delta;
pub use delta::{LatencyBucket, Report, Screen, Up, Visit};

mod down;
pub use down::{Down, Settings};

mod edge;
pub use edge::{EdgeMessage, Review, Vote};

mod fan;
pub use fan::{Act, Beat, Danmaku, DanmakuSize, FanMessage, Hello, Lane, Playing, Say};

mod frame;
pub use frame::{Error, Frame, Frames, RawFrames, VERSION, count, decode, packet, put, put_raw, start};

pub mod limits;

mod list;
pub use list::List;

mod moderation;
pub use moderation::{
    Choice, Gift, Links, Moderation, Modes, OnMatch, Pattern, Role, Standing, Subject, Who,
};

pub mod names;

mod reason;
pub use reason::Reason;

mod track;
pub use track::{
    Line, PollResult, PollStrangers, PollView, Pulse, QuestionView, QuestionVotes, Rates, Stage, Top, Track,
    TrackItem,
};

mod units;
pub use timing::Micros;
pub use units::{ChatId, EdgeId, FanId, GiftId, NotAFan, PollId, QuestionId, SessionId, StreamId};

pub mod worker;
