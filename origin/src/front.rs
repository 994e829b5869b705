//! The state that HTTP shares with the origin's thread, and the calls that it sends there.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
};

use ::front::Seat;
use axum::extract::ws::WebSocket;
use moqt::Version;
use quic::Certificate;
use relay::Figures;
use tokio::sync::{mpsc, oneshot};
use wire::FanId;

use crate::{Error, metrics::RoomFigures, rooms::Rooms};

/// The state that HTTP shares with the origin's thread.
pub(crate) struct Front {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) figures: Figures,
    pub(crate) room_figures: RoomFigures,
    pub(crate) calls: mpsc::Sender<Call>,
    pub(crate) draining: Arc<AtomicBool>,
}

/// A call of another thread.
pub(crate) enum Call {
    /// Serves an edge on a WebSocket.
    Socket(Box<EdgeSocket>),
    /// Erases a person from all rooms, and answers once it is done.
    Forget(FanId, oneshot::Sender<Result<(), Error>>),
}

/// A WebSocket of an edge, and the token that it presented.
pub(crate) struct EdgeSocket {
    pub(crate) socket: WebSocket,
    pub(crate) version: Version,
    pub(crate) jwt: String,
    pub(crate) address: IpAddr,
    /// The connection's place, which the session keeps.
    pub(crate) _seat: Seat,
}
