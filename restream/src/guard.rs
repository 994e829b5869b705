//! A transport that bounds what `moq-transport` keeps in memory, and counts what it sends.
//!
//! `moq-transport` reads a stream as fast as it comes and keeps all of it until each of its subscribers has taken it. A
//! [`Guarded`] session limits that from both sides: the streams of an older group are reset when a newer group has
//! begun and the peer has still not taken them ([`MAX_LAG`]), and a stream that grows beyond [`MAX_GROUP_BYTES`] is not
//! read any more.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use moq_transport::{
    coding::{Decode, DecodeError},
    data::{DataStreamResetCode, StreamHeader, StreamHeaderType, SubgroupObject, SubgroupObjectExt},
    reexports::web_transport_trait as contract,
    session::transport::quinn as web_transport,
};
use tokio::{sync::watch, time::Instant};
use web_transport::{ReadError, SessionError, WriteError};

/// The time that the peer may take for an older group once a newer one of its track has begun. After that, the rest of
/// the older group is skipped.
pub const MAX_LAG: Duration = Duration::from_secs(1);
/// Bytes of one subgroup that are read, at most: all of them are in memory until the subgroup ends.
pub const MAX_GROUP_BYTES: u64 = 64 << 20;

const TOO_FAR_BEHIND: u32 = DataStreamResetCode::TooFarBehind as u32;
const EXCESSIVE_LOAD: u32 = DataStreamResetCode::ExcessiveLoad as u32;

/// Counters of what has been handed to QUIC.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

/// A WebTransport session, or raw QUIC in the form of one, with bounds.
#[derive(Clone)]
pub(crate) struct Guarded {
    inner: web_transport::Session,
    shared: Arc<Shared>,
}

struct Shared {
    meter: Arc<Meter>,
    /// The tracks that have streams, by their aliases.
    lanes: Mutex<HashMap<u64, Weak<Lane>>>,
}

/// The state that the streams of one track share.
struct Lane {
    /// The newest group that a stream has been begun for.
    newest: watch::Sender<u64>,
    /// The newest group that was skipped, to count each once.
    skipped: Mutex<Option<u64>>,
}

impl Guarded {
    pub(crate) fn new(inner: web_transport::Session, meter: Arc<Meter>) -> Self {
        Self { inner, shared: Arc::new(Shared { meter, lanes: Mutex::default() }) }
    }

    fn outgoing(&self, inner: web_transport::SendStream, position: Position) -> Outgoing {
        Outgoing { inner, shared: Arc::clone(&self.shared), position }
    }
}

impl Shared {
    /// The lane of a track, of which a stream of this group begins.
    fn enter(&self, alias: u64, group: u64) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lanes.get(&alias).and_then(Weak::upgrade);
        let lane = known.unwrap_or_else(|| {
            lanes.retain(|_, lane| lane.strong_count() > 0);
            let lane = Arc::new(Lane { newest: watch::Sender::new(group), skipped: Mutex::default() });
            lanes.insert(alias, Arc::downgrade(&lane));
            lane
        });
        lane.newest.send_if_modified(|newest| {
            let newer = group > *newest;
            *newest = group.max(*newest);
            newer
        });
        lane
    }

    fn skip(&self, lane: &Lane, group: u64) {
        let mut skipped = lane.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        if skipped.replace(group) != Some(group) {
            self.meter.skipped.fetch_add(1, Relaxed);
        }
    }
}

impl contract::Session for Guarded {
    type SendStream = Outgoing;
    type RecvStream = Incoming;
    type Error = SessionError;

    async fn accept_uni(&self) -> Result<Incoming, SessionError> {
        Ok(Incoming { inner: self.inner.accept_uni().await?, left: Some(MAX_GROUP_BYTES) })
    }

    async fn accept_bi(&self) -> Result<(Outgoing, Incoming), SessionError> {
        let (send, recv) = self.inner.accept_bi().await?;
        Ok((self.outgoing(send, Position::Opaque), Incoming { inner: recv, left: None }))
    }

    async fn open_bi(&self) -> Result<(Outgoing, Incoming), SessionError> {
        let (send, recv) = self.inner.open_bi().await?;
        Ok((self.outgoing(send, Position::Opaque), Incoming { inner: recv, left: None }))
    }

    async fn open_uni(&self) -> Result<Outgoing, SessionError> {
        Ok(self.outgoing(self.inner.open_uni().await?, Position::Begin))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), SessionError> {
        let len = payload.len() as u64;
        self.inner.send_datagram(payload)?;
        self.shared.meter.frames.fetch_add(1, Relaxed);
        self.shared.meter.bytes.fetch_add(len, Relaxed);
        Ok(())
    }

    async fn recv_datagram(&self) -> Result<Bytes, SessionError> {
        self.inner.read_datagram().await
    }

    fn max_datagram_size(&self) -> usize {
        self.inner.max_datagram_size()
    }

    fn protocol(&self) -> Option<&str> {
        contract::Session::protocol(&self.inner)
    }

    fn close(&self, code: u32, reason: &str) {
        self.inner.close(code, reason.as_bytes());
    }

    async fn closed(&self) -> SessionError {
        self.inner.closed().await
    }
}

/// The position of the next byte in a stream. `moq-transport` writes each header in one piece, so that a header is whole where
/// it begins.
enum Position {
    /// At the header of the stream.
    Begin,
    /// Between the objects of a subgroup, or within one.
    Subgroup(Subgroup),
    /// A stream of another kind, which is not looked at.
    Opaque,
}

struct Subgroup {
    lane: Arc<Lane>,
    group: u64,
    kind: StreamHeaderType,
    /// Bytes until the header of the next object.
    left: usize,
    /// The time when a newer group was first seen.
    superseded: Option<Instant>,
}

impl Position {
    /// Recognises a stream by its first bytes.
    fn of(buf: &[u8], shared: &Shared) -> Self {
        let mut rest = buf;
        match StreamHeader::decode(&mut rest) {
            Ok(StreamHeader { header_type: kind, subgroup_header: Some(header), .. }) => {
                let lane = shared.enter(header.track_alias, header.group_id);
                let left = buf.len() - rest.len();
                Self::Subgroup(Subgroup { lane, group: header.group_id, kind, left, superseded: None })
            }
            _ => Self::Opaque,
        }
    }
}

impl Subgroup {
    /// The length of the object that begins with these bytes, its header included.
    fn object(&self, buf: &[u8]) -> Result<usize, DecodeError> {
        let mut rest = buf;
        let payload = if self.kind.has_properties() {
            SubgroupObjectExt::decode(&mut rest)?.payload_length
        } else {
            SubgroupObject::decode(&mut rest)?.payload_length
        };
        Ok(buf.len() - rest.len() + payload)
    }
}

/// Resolves when a group has been superseded for [`MAX_LAG`].
async fn overdue(lane: &Lane, group: u64, superseded: &mut Option<Instant>) {
    let since = if let Some(since) = *superseded {
        since
    } else {
        // The sender is in the lane, which is there as long as this.
        let _ = lane.newest.subscribe().wait_for(|newest| *newest > group).await;
        *superseded.insert(Instant::now())
    };
    tokio::time::sleep_until(since + MAX_LAG).await;
}

/// A stream that is sent.
pub(crate) struct Outgoing {
    inner: web_transport::SendStream,
    shared: Arc<Shared>,
    position: Position,
}

impl contract::SendStream for Outgoing {
    type Error = WriteError;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, WriteError> {
        if matches!(self.position, Position::Begin) {
            self.position = Position::of(buf, &self.shared);
        }
        let Position::Subgroup(subgroup) = &mut self.position else {
            return self.inner.write(buf).await.map_err(plain_stop);
        };
        if subgroup.left == 0 {
            match subgroup.object(buf) {
                Ok(len) => subgroup.left = len,
                Err(error) => {
                    tracing::debug!(%error, "the objects of a stream cannot be counted");
                    self.position = Position::Opaque;
                    return self.inner.write(buf).await.map_err(plain_stop);
                }
            }
            self.shared.meter.frames.fetch_add(1, Relaxed);
        }
        let Subgroup { lane, group, left, superseded, .. } = subgroup;
        let written = tokio::select! {
            biased;
            written = self.inner.write(buf) => written.map_err(plain_stop)?,
            () = overdue(lane, *group, superseded) => {
                self.shared.skip(lane, *group);
                let _ = self.inner.reset(TOO_FAR_BEHIND);
                return Err(WriteError::Stopped(TOO_FAR_BEHIND));
            }
        };
        *left = left.saturating_sub(written);
        self.shared.meter.bytes.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn set_priority(&mut self, order: u8) {
        let _ = self.inner.set_priority(order.into());
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.inner.finish().map_err(|_| WriteError::ClosedStream)
    }

    fn reset(&mut self, code: u32) {
        let _ = self.inner.reset(code);
    }

    async fn closed(&mut self) -> Result<(), WriteError> {
        contract::SendStream::closed(&mut self.inner).await.map_err(plain_stop)
    }
}

/// A stream that is received.
pub(crate) struct Incoming {
    inner: web_transport::RecvStream,
    /// Bytes that may still be read, if they are bounded.
    left: Option<u64>,
}

impl Incoming {
    fn take(&mut self, len: usize) -> Result<(), ReadError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        if let Some(rest) = left.checked_sub(len as u64) {
            *left = rest;
            return Ok(());
        }
        tracing::warn!("a subgroup of more than {} MiB is cut off", MAX_GROUP_BYTES >> 20);
        let _ = self.inner.stop(EXCESSIVE_LOAD);
        Err(ReadError::Reset(EXCESSIVE_LOAD))
    }
}

impl contract::RecvStream for Incoming {
    type Error = ReadError;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, ReadError> {
        let read = self.inner.read(dst).await.map_err(plain_reset)?;
        self.take(read.unwrap_or_default())?;
        Ok(read)
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        let chunk = self.inner.read_chunk(max, true).await.map_err(plain_reset)?.map(|chunk| chunk.bytes);
        self.take(chunk.as_ref().map_or(0, Bytes::len))?;
        Ok(chunk)
    }

    fn stop(&mut self, code: u32) {
        let _ = self.inner.stop(code);
    }

    async fn closed(&mut self) -> Result<(), ReadError> {
        contract::RecvStream::closed(&mut self.inner).await.map_err(plain_reset)
    }
}

/// The code of a stream as the draft has it on raw QUIC. The library expects all codes in the code space of HTTP/3, and
/// takes any other for the end of the session.
fn plain_stop(error: WriteError) -> WriteError {
    match error {
        WriteError::InvalidStopped(code) => WriteError::Stopped(code_of(code)),
        error => error,
    }
}

fn plain_reset(error: ReadError) -> ReadError {
    match error {
        ReadError::InvalidReset(code) => ReadError::Reset(code_of(code)),
        error => error,
    }
}

fn code_of(code: quinn::VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}
