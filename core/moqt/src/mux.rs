//! MoQ over a WebSocket, for browsers without a reliable WebTransport.
//!
//! One WebSocket carries the data of QUIC's streams and datagrams as frames: one binary message each. The client asks
//! for [`subprotocol`]; a server that does not choose it does not support this. Either side has a [`Mux`] beside its
//! [`Session`], which is configured for [`Transport::WebTransport`](crate::session::Transport).
//!
//! # Format
//!
//! A frame is a kind and its fields, as variable-length integers ([`varint`]); a field in brackets fills the rest
//! of the message.
//!
//! | kind | name | fields |
//! |---|---|---|
//! | 0 | STREAM, both ways | id, \[data\] |
//! | 1 | STREAM, both ways, with its end | id, \[data\] |
//! | 2 | STREAM, one way | id, \[data\] |
//! | 3 | STREAM, one way, with its end | id, \[data\] |
//! | 4 | RESET: the sender sends no more on this stream | id, code |
//! | 5 | STOP: the receiver wants no more of this stream | id, code |
//! | 6 | DATAGRAM | \[data\] |
//! | 7 | CLOSE: the session is over | code, \[reason\] |
//! | 8 | TAKEN: bytes of streams and datagrams received, in total | bytes |
//!
//! Each side numbers the streams it opens, in ascending order: the client's are even, the server's odd. The first frame
//! of a stream opens it. A frame is at most [`MAX_FRAME`] bytes long, and a side has at most [`MAX_STREAMS`] streams
//! open; a session ends if its peer exceeds this, or sends a frame that is not in the table. Frames of ended streams are
//! ignored: they may have crossed with a RESET or a STOP.
//!
//! Data that reached the socket arrives, but at an unknown time: systems and proxies on the way may hold any amount. So
//! a receiver sends TAKEN after every [`TAKEN_EVERY`] bytes of data, and a sender that has to shed rather than queue,
//! such as a relay, has no more than [`WINDOW`] on its way.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Input, Micros, Output, ResetCode, Session, SessionCode, Version, Violation,
    session::{Dir, Side, StreamId},
    varint,
    wire::Reader,
};

/// Bytes of data in one frame, at most.
pub const MAX_DATA: usize = 64 * 1024;
/// Bytes in one frame, at most: data behind a kind and an id.
pub const MAX_FRAME: usize = MAX_DATA + 1 + varint::MAX_LEN;
/// Streams that one side may have open, at most.
pub const MAX_STREAMS: usize = 1024;

/// Bytes of data that may be on their way, by the last TAKEN.
pub const WINDOW: u64 = 512 * 1024;
/// Bytes of data after which the receiver sends TAKEN.
pub const TAKEN_EVERY: u64 = WINDOW / 4;

const STREAM_END: u64 = 1;
const STREAM_ONE_WAY: u64 = 2;
const LAST_STREAM: u64 = STREAM_END | STREAM_ONE_WAY;
const RESET: u64 = 4;
const STOP: u64 = 5;
const DATAGRAM: u64 = 6;
const CLOSE: u64 = 7;
const TAKEN: u64 = 8;

/// The WebSocket subprotocol under which a version of MoQ goes over this.
pub const fn subprotocol(version: Version) -> &'static str {
    match version {
        Version::Draft18 => "moqt-18.fanfare-ws",
    }
}

/// The version that a WebSocket subprotocol stands for, if it is one of ours.
pub fn version(subprotocol: &str) -> Option<Version> {
    Version::SUPPORTED.iter().copied().find(|version| self::subprotocol(*version) == subprotocol)
}

/// One message of the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes of a stream, after those before; the first opens it.
    Stream {
        /// ID of the stream.
        id: u64,
        /// Directions of the stream.
        dir: Dir,
        /// True if the sender's side ends after this data.
        end: bool,
        /// Any number of bytes, up to [`MAX_DATA`].
        data: Bytes,
    },
    /// The sender breaks off its side of a stream.
    Reset {
        /// ID of the stream.
        id: u64,
        /// Application error code.
        code: ResetCode,
    },
    /// The sender wants no more of the other side of a stream.
    Stop {
        /// ID of the stream.
        id: u64,
        /// Application error code.
        code: ResetCode,
    },
    /// Content of a datagram.
    Datagram(Bytes),
    /// The session has ended, with a code and a reason.
    Close {
        /// Code with which the session ends.
        code: SessionCode,
        /// Reason phrase, for human readers.
        reason: Bytes,
    },
    /// The sender has taken so many bytes of data, in all.
    Taken(u64),
}

impl Frame {
    /// Reads a message. Data is not copied.
    pub fn decode(message: Bytes) -> Result<Self, Violation> {
        if message.len() > MAX_FRAME {
            return Err(Violation::protocol("a frame over its greatest length"));
        }
        let mut reader = Reader::new(message);
        let frame = match reader.varint()? {
            kind @ 0..=LAST_STREAM => Self::Stream {
                id: reader.varint()?,
                dir: if kind & STREAM_ONE_WAY == 0 { Dir::Bi } else { Dir::Uni },
                end: kind & STREAM_END != 0,
                data: reader.rest(),
            },
            RESET => Self::Reset { id: reader.varint()?, code: ResetCode(reader.varint()?) },
            STOP => Self::Stop { id: reader.varint()?, code: ResetCode(reader.varint()?) },
            DATAGRAM => Self::Datagram(reader.rest()),
            CLOSE => Self::Close { code: SessionCode(reader.varint()?), reason: reader.rest() },
            TAKEN => Self::Taken(reader.varint()?),
            _ => return Err(Violation::protocol("an unknown kind of frame")),
        };
        if !reader.is_empty() {
            return Err(Violation::protocol("a frame longer than its fields"));
        }
        if frame.payload().len() > MAX_DATA {
            return Err(Violation::protocol("a frame with too much data"));
        }
        Ok(frame)
    }

    /// Appends all fields before [`payload`](Self::payload). A caller that can write two buffers need not
    /// join them to a message.
    pub fn encode_head(&self, out: &mut impl BufMut) {
        match self {
            Self::Stream { id, dir, end, data: _ } => {
                let one_way = if *dir == Dir::Uni { STREAM_ONE_WAY } else { 0 };
                varint::put(out, one_way | u64::from(*end));
                varint::put(out, *id);
            }
            Self::Reset { id, code } => {
                varint::put(out, RESET);
                varint::put(out, *id);
                varint::put(out, code.0);
            }
            Self::Stop { id, code } => {
                varint::put(out, STOP);
                varint::put(out, *id);
                varint::put(out, code.0);
            }
            Self::Datagram(_) => varint::put(out, DATAGRAM),
            Self::Close { code, reason: _ } => {
                varint::put(out, CLOSE);
                varint::put(out, code.0);
            }
            Self::Taken(bytes) => {
                varint::put(out, TAKEN);
                varint::put(out, *bytes);
            }
        }
    }

    /// Returns the field that fills the rest of the message, shared and not copied.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Stream { data, .. } | Self::Datagram(data) => data,
            Self::Close { reason, .. } => reason,
            Self::Reset { .. } | Self::Stop { .. } | Self::Taken(_) => &[],
        }
    }

    /// Bytes of data, which TAKEN counts.
    fn data(&self) -> u64 {
        match self {
            Self::Stream { data, .. } | Self::Datagram(data) => data.len() as u64,
            _ => 0,
        }
    }

    /// Encodes the frame as a message.
    pub fn encode(&self) -> Bytes {
        let payload = self.payload();
        let mut out = BytesMut::with_capacity(1 + 2 * varint::MAX_LEN + payload.len());
        self.encode_head(&mut out);
        out.put_slice(payload);
        out.freeze()
    }
}

/// The streams of one session on one WebSocket.
///
/// The shell calls [`received`](Self::received) for each message, then writes what is [owed](Self::owed); it calls
/// [`send`](Self::send) for each output of the session but its events, and writes the frames that gives in order.
#[derive(Debug)]
pub struct Mux {
    /// The number of the next stream of ours; its parity is ours.
    next: u64,
    /// The first number that the peer may still open.
    next_of_peer: u64,
    /// Streams that the peer opened and that are not over.
    of_peer: usize,
    numbers: BTreeMap<StreamId, u64>,
    streams: BTreeMap<u64, Open>,
    /// Bytes of data that have come, and how many the peer knows of.
    taken: (u64, u64),
    /// Bytes of data that were sent, and how many the peer has taken.
    sent: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Open {
    stream: StreamId,
    dir: Dir,
    sends: bool,
    receives: bool,
}

impl Mux {
    /// The streams of the session of that side, which has none yet.
    pub fn new(side: Side) -> Self {
        let (next, next_of_peer) = match side {
            Side::Client => (0, 1),
            Side::Server => (1, 0),
        };
        let (numbers, streams) = (BTreeMap::new(), BTreeMap::new());
        Self { next, next_of_peer, of_peer: 0, numbers, streams, taken: (0, 0), sent: (0, 0) }
    }

    /// Returns the TAKEN frame that is due, if any.
    pub fn owed(&mut self) -> Option<Frame> {
        let (taken, told) = &mut self.taken;
        if *taken - *told < TAKEN_EVERY {
            return None;
        }
        *told = *taken;
        Some(Frame::Taken(*taken))
    }

    /// Returns whether the window is full: data that can wait should.
    pub fn is_full(&self) -> bool {
        self.sent.0 - self.sent.1 >= WINDOW
    }

    /// Passes the content of a message to the session. An error is the peer's: close the WebSocket, and
    /// report it to the session.
    pub fn received(&mut self, session: &mut Session, now: Micros, message: Bytes) -> Result<(), Violation> {
        let frame = Frame::decode(message)?;
        self.taken.0 += frame.data();
        match frame {
            Frame::Stream { id, dir, end, data } => {
                let Some(open) = self.find_or_open(session, id, dir)? else { return Ok(()) };
                if open.dir != dir {
                    return Err(Violation::protocol("a stream that changes its direction"));
                }
                if !open.receives {
                    return Err(Violation::protocol(
                        "data on a stream after its end, or against its direction",
                    ));
                }
                let stream = open.stream;
                if !data.is_empty() {
                    session.handle(now, Input::Data { stream, data });
                }
                if end {
                    self.receives_no_more(id);
                    session.handle(now, Input::Finished { stream });
                }
            }
            Frame::Reset { id, code } => {
                if let Some(Open { stream, receives: true, .. }) = self.streams.get(&id).copied() {
                    self.receives_no_more(id);
                    session.handle(now, Input::Reset { stream, code });
                }
            }
            Frame::Stop { id, code } => {
                if let Some(Open { stream, sends: true, .. }) = self.streams.get(&id).copied() {
                    session.handle(now, Input::Stopped { stream, code });
                }
            }
            Frame::Datagram(datagram) => session.handle(now, Input::Datagram(datagram)),
            Frame::Close { code, reason } => session.handle(now, Input::Closed { code, reason }),
            Frame::Taken(bytes) if bytes < self.sent.1 || bytes > self.sent.0 => {
                return Err(Violation::protocol("more taken than was sent, or less than before"));
            }
            Frame::Taken(bytes) => self.sent.1 = bytes,
        }
        Ok(())
    }

    /// Writes an output of the session as frames to `frames`, and reports to the session what counts as
    /// delivered.
    pub fn send(
        &mut self,
        session: &mut Session,
        now: Micros,
        output: Output,
        mut frames: impl FnMut(Frame),
    ) {
        match output {
            Output::Open { stream, dir, order: _ } => {
                self.numbers.insert(stream, self.next);
                let open = Open { stream, dir, sends: true, receives: dir == Dir::Bi };
                self.streams.insert(self.next, open);
                self.next += 2;
            }
            Output::Write { stream, mut data } => {
                let Some((id, dir)) = self.sending(stream) else { return };
                self.sent.0 += data.len() as u64;
                while !data.is_empty() {
                    let data = data.split_to(data.len().min(MAX_DATA));
                    frames(Frame::Stream { id, dir, end: false, data });
                }
            }
            Output::Finish { stream } => {
                let Some((id, dir)) = self.sending(stream) else { return };
                frames(Frame::Stream { id, dir, end: true, data: Bytes::new() });
                self.sends_no_more(id);
                session.handle(now, Input::Delivered { stream });
            }
            Output::Reset { stream, code } => {
                let Some((id, _)) = self.sending(stream) else { return };
                frames(Frame::Reset { id, code });
                self.sends_no_more(id);
            }
            Output::Stop { stream, code } => {
                let receiving = self.numbers.get(&stream).copied().filter(|id| self.streams[id].receives);
                if let Some(id) = receiving {
                    frames(Frame::Stop { id, code });
                }
            }
            // A datagram that is too long is dropped, as QUIC does (Section 11.3).
            Output::Datagram(datagram) if datagram.len() > MAX_DATA => {}
            Output::Datagram(datagram) => {
                self.sent.0 += datagram.len() as u64;
                frames(Frame::Datagram(datagram));
            }
            Output::Close { code, reason } => frames(Frame::Close { code, reason }),
            Output::SetOrder { .. } | Output::Event(_) => {}
        }
    }

    /// Returns one message with data of a stream, at most [`MAX_DATA`], and possibly the stream's end: it
    /// joins several outputs of the session.
    pub fn write(
        &mut self,
        session: &mut Session,
        now: Micros,
        stream: StreamId,
        data: &[Bytes],
        end: bool,
    ) -> Option<Bytes> {
        let (id, dir) = self.sending(stream)?;
        let len: usize = data.iter().map(Bytes::len).sum();
        self.sent.0 += len as u64;
        let mut out = BytesMut::with_capacity(1 + varint::MAX_LEN + len);
        Frame::Stream { id, dir, end, data: Bytes::new() }.encode_head(&mut out);
        for data in data {
            out.put_slice(data);
        }
        if end {
            self.sends_no_more(id);
            session.handle(now, Input::Delivered { stream });
        }
        Some(out.freeze())
    }

    /// The stream with that number, opened if the peer opens it with this; `None` if it is over.
    fn find_or_open(&mut self, session: &mut Session, id: u64, dir: Dir) -> Result<Option<Open>, Violation> {
        if let Some(open) = self.streams.get(&id) {
            return Ok(Some(*open));
        }
        if id % 2 == self.next % 2 {
            return if id < self.next {
                Ok(None)
            } else {
                Err(Violation::protocol("a stream with a number of the other side's"))
            };
        }
        if id < self.next_of_peer {
            return Ok(None);
        }
        if self.of_peer == MAX_STREAMS {
            return Err(Violation::protocol("too many streams open"));
        }
        self.next_of_peer = id.saturating_add(2);
        self.of_peer += 1;
        let stream = session.opened(dir);
        let open = Open { stream, dir, sends: dir == Dir::Bi, receives: true };
        self.numbers.insert(stream, id);
        self.streams.insert(id, open);
        Ok(Some(open))
    }

    fn sending(&self, stream: StreamId) -> Option<(u64, Dir)> {
        let id = *self.numbers.get(&stream)?;
        let open = self.streams.get(&id)?;
        open.sends.then_some((id, open.dir))
    }

    fn sends_no_more(&mut self, id: u64) {
        if let Some(open) = self.streams.get_mut(&id) {
            open.sends = false;
        }
        self.forget_if_over(id);
    }

    fn receives_no_more(&mut self, id: u64) {
        if let Some(open) = self.streams.get_mut(&id) {
            open.receives = false;
        }
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: u64) {
        if let Some(Open { stream, sends: false, receives: false, .. }) = self.streams.get(&id).copied() {
            self.streams.remove(&id);
            self.numbers.remove(&stream);
            if id % 2 != self.next % 2 {
                self.of_peer -= 1;
            }
        }
    }
}
