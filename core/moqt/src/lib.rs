//! Media over QUIC Transport (draft-ietf-moq-transport-18) as a state machine
//! without I/O.
//!
//! [`Session`] is one end of one MoQ session, in any role: it takes what the
//! transport and the application hand it, and gives back what the transport is
//! to do and what the application should know. It never reads a clock, opens a
//! socket or rolls a die: time comes in as [`Micros`], bytes as
//! [`Bytes`](bytes::Bytes). The same inputs give the same outputs, natively and
//! in Wasm.
//!
//! The rest of the crate is what the session is made of, and is useful without
//! it: [`Message`] and [`ControlReader`] for control and request streams,
//! [`StreamReader`] and the headers in [`data`] for objects, [`loc`] for what
//! Fanfare puts into them and, with the feature of its name, `msf` for catalogs;
//! [`mux`] is for sessions over a WebSocket.
//!
//! Sections cited in comments are those of draft-ietf-moq-transport-18 unless
//! another draft is named.
#![forbid(unsafe_code)]

mod app;
pub use app::{App, Connected, Cx, Ended, Later, Transit};

mod going_away;
pub use going_away::GoingAway;

mod code;
pub use code::{DoneCode, RequestCode, ResetCode, SessionCode};

mod control;
pub use control::ControlReader;

pub mod data;
pub use data::StreamReader;

mod error;
pub use error::{Misuse, NameError, Violation};

pub mod loc;

pub mod message;
pub use message::{FetchOk, Message};

#[cfg(feature = "msf")]
pub mod msf;

pub mod mux;

mod name;
pub use name::{Namespace, TrackName};

pub mod packet_track;

mod parameter;
pub use parameter::{Filter, Params};

mod property;
pub use property::{Properties, PropertiesBuilder, Property, PropertyValue, TrackProperties};

pub mod session;
pub use session::{Config, Event, Input, Output, Session};

pub use timing::Micros;

mod token;
pub use token::Token;

mod units;
pub use units::{GroupOrder, Location};

pub mod varint;

mod version;
pub use version::Version;

mod websocket;
pub use websocket::WebSocketSession;

mod wire;
