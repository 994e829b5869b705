//! The TCP side of a node: HTTP and HTTPS on one port.
//!
//! A [`Server`] serves an axum router. TLS and plain HTTP share the port: the first byte tells them apart. Plain HTTP is for
//! this machine, for [`Proxies`] and for probes; everybody else is sent to `https:`. A peer has a limited time for each
//! step, and [`Places`] bound the connections of an address, of its network and of the node. Handlers find out about the
//! peer from the request's [`Client`].
#![forbid(unsafe_code)]

mod client;
pub use client::{Client, Seat};

mod files;
pub use files::raise_file_limit;

mod places;
pub use places::{Limits, Place, Places, Refused};

mod proxies;
pub use proxies::{NotANetwork, Proxies};

mod options;
pub use options::Options;

mod server;
pub use server::{Config, Server};
