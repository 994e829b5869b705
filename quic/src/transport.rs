//! The transport of a session: raw QUIC or WebTransport, behind one interface.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use moqt::{ResetCode, SessionCode};
use quinn::{ConnectionError, ReadError, StoppedError, VarInt, WriteError};
use web_transport_quinn::{self as wt, proto};

/// The encoding of stream codes on raw QUIC.
///
/// The draft sends them unchanged. The library that most peers are built on
/// (`web-transport-quinn` before 0.13, under `moq-transport`) encodes them in
/// HTTP/3's code space there too, and takes any other code for the end of the
/// session. A peer that expects unchanged codes loses nothing by one it does not
/// know: it means the same as `INTERNAL_ERROR` (Section 14). Codes are therefore
/// encoded for peers that do not name themselves, as that library does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    Plain,
    Http3,
}

/// A connection on which one session runs.
#[derive(Clone, Debug)]
pub enum Transport {
    /// A QUIC connection of its own.
    Quic(quinn::Connection),
    /// A WebTransport session, over HTTP/3.
    WebTransport(Box<wt::Session>),
}

/// A [`Transport`], and the encoding of stream codes that its peer understands.
#[derive(Clone)]
pub(crate) struct Link {
    transport: Transport,
    codes: Rc<Cell<Codes>>,
}

pub(crate) enum SendHalf {
    Quic(quinn::SendStream, Rc<Cell<Codes>>),
    WebTransport(wt::SendStream),
}

pub(crate) enum RecvHalf {
    Quic(quinn::RecvStream, Rc<Cell<Codes>>),
    WebTransport(wt::RecvStream),
}

/// The result of a read.
pub(crate) enum Read {
    Data(Bytes),
    Finished,
    Reset(ResetCode),
}

/// The connection is gone. The reason comes from [`Link::closed`].
#[derive(Debug)]
pub(crate) struct Gone;

/// The reason that a write failed.
pub(crate) enum Refused {
    Stopped(ResetCode),
    Gone,
}

impl Transport {
    /// Returns the QUIC connection underneath.
    pub fn quic(&self) -> &quinn::Connection {
        match self {
            Self::Quic(connection) => connection,
            Self::WebTransport(session) => session,
        }
    }
}

impl Link {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, codes: Rc::new(Cell::new(Codes::Http3)) }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends stream codes unchanged from now on: the peer named itself, unlike the library that encodes them.
    pub(crate) fn use_plain_codes(&self) {
        self.codes.set(Codes::Plain);
    }

    pub(crate) async fn accept_uni(self) -> Result<RecvHalf, Gone> {
        match self.transport {
            Transport::Quic(connection) => {
                connection.accept_uni().await.map(|stream| RecvHalf::Quic(stream, self.codes)).map_err(gone)
            }
            Transport::WebTransport(session) => {
                session.accept_uni().await.map(RecvHalf::WebTransport).map_err(gone)
            }
        }
    }

    pub(crate) async fn accept_bi(self) -> Result<(SendHalf, RecvHalf), Gone> {
        match self.transport {
            Transport::Quic(connection) => {
                let halves = connection.accept_bi().await.map_err(gone)?;
                Ok(quic_halves(halves, self.codes))
            }
            Transport::WebTransport(session) => {
                let (send, recv) = session.accept_bi().await.map_err(gone)?;
                Ok((SendHalf::WebTransport(send), RecvHalf::WebTransport(recv)))
            }
        }
    }

    pub(crate) async fn open_uni(self) -> Result<SendHalf, Gone> {
        match self.transport {
            Transport::Quic(connection) => {
                connection.open_uni().await.map(|stream| SendHalf::Quic(stream, self.codes)).map_err(gone)
            }
            Transport::WebTransport(session) => {
                session.open_uni().await.map(SendHalf::WebTransport).map_err(gone)
            }
        }
    }

    pub(crate) async fn open_bi(self) -> Result<(SendHalf, RecvHalf), Gone> {
        match self.transport {
            Transport::Quic(connection) => {
                let halves = connection.open_bi().await.map_err(gone)?;
                Ok(quic_halves(halves, self.codes))
            }
            Transport::WebTransport(session) => {
                let (send, recv) = session.open_bi().await.map_err(gone)?;
                Ok((SendHalf::WebTransport(send), RecvHalf::WebTransport(recv)))
            }
        }
    }

    pub(crate) async fn read_datagram(self) -> Result<Bytes, Gone> {
        match self.transport {
            Transport::Quic(connection) => connection.read_datagram().await.map_err(gone),
            Transport::WebTransport(session) => session.read_datagram().await.map_err(gone),
        }
    }

    /// Sends a datagram. One that is too large for the path is lost, as any may be (Section 11.3).
    pub(crate) fn send_datagram(&self, datagram: Bytes) {
        match &self.transport {
            Transport::Quic(connection) => drop(connection.send_datagram(datagram)),
            Transport::WebTransport(session) => drop(session.send_datagram(datagram)),
        }
    }

    pub(crate) fn close(&self, code: SessionCode, reason: &[u8]) {
        match &self.transport {
            Transport::Quic(connection) => connection.close(varint(code.0), reason),
            Transport::WebTransport(session) => session.close(code.0 as u32, reason),
        }
    }

    /// Waits for the end of the connection. Returns the close code and reason for the session.
    pub(crate) async fn closed(self) -> (SessionCode, String) {
        let by_quic = |error: &ConnectionError| match error {
            ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                let code = proto::error_from_http3(code).map_or(code, u64::from);
                (SessionCode(code), String::from_utf8_lossy(&close.reason).into_owned())
            }
            other => (SessionCode::INTERNAL_ERROR, other.to_string()),
        };
        match self.transport {
            Transport::Quic(connection) => by_quic(&connection.closed().await),
            Transport::WebTransport(session) => match session.closed().await {
                wt::SessionError::WebTransportError(wt::WebTransportError::Closed(code, reason)) => {
                    (SessionCode(u64::from(code)), reason)
                }
                wt::SessionError::ConnectionError(error) => by_quic(&error),
                other => (SessionCode::INTERNAL_ERROR, other.to_string()),
            },
        }
    }
}

fn quic_halves(
    (send, recv): (quinn::SendStream, quinn::RecvStream),
    codes: Rc<Cell<Codes>>,
) -> (SendHalf, RecvHalf) {
    (SendHalf::Quic(send, Rc::clone(&codes)), RecvHalf::Quic(recv, codes))
}

fn gone<E>(_: E) -> Gone {
    Gone
}

fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn encode(code: ResetCode, codes: Codes) -> VarInt {
    match codes {
        Codes::Plain => varint(code.0),
        Codes::Http3 => varint(proto::error_to_http3(code.0 as u32)),
    }
}

fn decode(code: VarInt) -> ResetCode {
    let code = code.into_inner();
    ResetCode(proto::error_from_http3(code).map_or(code, u64::from))
}

/// Converts a code of WebTransport. One outside of its range (`None`) counts as an internal error.
fn from_wt(code: Option<u32>) -> ResetCode {
    code.map_or(ResetCode::INTERNAL_ERROR, |code| ResetCode(u64::from(code)))
}

impl RecvHalf {
    pub(crate) async fn read(&mut self, max: usize) -> Result<Read, Gone> {
        match self {
            Self::Quic(stream, _) => match stream.read_chunk(max, true).await {
                Ok(Some(chunk)) => Ok(Read::Data(chunk.bytes)),
                Ok(None) => Ok(Read::Finished),
                Err(ReadError::Reset(code)) => Ok(Read::Reset(decode(code))),
                Err(_) => Err(Gone),
            },
            Self::WebTransport(stream) => match stream.read_chunk(max, true).await {
                Ok(Some(chunk)) => Ok(Read::Data(chunk.bytes)),
                Ok(None) => Ok(Read::Finished),
                Err(wt::ReadError::Reset(code)) => Ok(Read::Reset(from_wt(Some(code)))),
                Err(wt::ReadError::InvalidReset(_)) => Ok(Read::Reset(from_wt(None))),
                Err(_) => Err(Gone),
            },
        }
    }

    pub(crate) fn stop(&mut self, code: ResetCode) {
        // An error means that the stream has ended in the meantime.
        match self {
            Self::Quic(stream, codes) => drop(stream.stop(encode(code, codes.get()))),
            Self::WebTransport(stream) => drop(stream.stop(code.0 as u32)),
        }
    }
}

impl SendHalf {
    pub(crate) async fn write(&mut self, chunks: &mut [Bytes]) -> Result<quinn::Written, Refused> {
        match self {
            Self::Quic(stream, _) => stream.write_chunks(chunks).await.map_err(|error| match error {
                WriteError::Stopped(code) => Refused::Stopped(decode(code)),
                _ => Refused::Gone,
            }),
            Self::WebTransport(stream) => stream.write_chunks(chunks).await.map_err(|error| match error {
                wt::WriteError::Stopped(code) => Refused::Stopped(from_wt(Some(code))),
                wt::WriteError::InvalidStopped(_) => Refused::Stopped(from_wt(None)),
                _ => Refused::Gone,
            }),
        }
    }

    /// Waits until the peer stops the stream, or (`None`) all of it has arrived.
    pub(crate) async fn stopped(&self) -> Result<Option<ResetCode>, Gone> {
        match self {
            Self::Quic(stream, _) => match stream.stopped().await {
                Ok(code) => Ok(code.map(decode)),
                Err(StoppedError::ConnectionLost(_) | StoppedError::ZeroRttRejected) => Err(Gone),
            },
            Self::WebTransport(stream) => {
                stream.stopped().await.map(|code| code.map(|code| from_wt(Some(code)))).map_err(gone)
            }
        }
    }

    pub(crate) fn set_order(&self, order: i32) {
        match self {
            Self::Quic(stream, _) => drop(stream.set_priority(order)),
            Self::WebTransport(stream) => drop(stream.set_priority(order)),
        }
    }

    pub(crate) fn finish(&mut self) {
        match self {
            Self::Quic(stream, _) => drop(stream.finish()),
            Self::WebTransport(stream) => drop(stream.finish()),
        }
    }

    pub(crate) fn reset(&mut self, code: ResetCode) {
        match self {
            Self::Quic(stream, codes) => drop(stream.reset(encode(code, codes.get()))),
            Self::WebTransport(stream) => drop(stream.reset(code.0 as u32)),
        }
    }
}
