//! Packets in order, as the objects of a track.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    Cx, DoneCode, Micros, Misuse, Properties, Session,
    data::{ObjectHeader, Status, SubgroupHeader},
    session::{RequestId, StreamId},
};
use bytes::Bytes;

/// A track's objects cannot be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Longer than what is taken.
    #[error("a packet of more than {0} bytes")]
    TooLong(usize),
    /// Too much waits for what goes before it.
    #[error("more than {0} bytes before those that go before them")]
    TooEarly(usize),
    /// A stream was reset or is unknown: packets are missing.
    #[error("a stream that was broken off, or is not known")]
    Gap,
}

/// A track that comes in: a subgroup for each group, and nothing may be missing.
#[derive(Debug)]
pub struct Inflow {
    /// Bytes of a packet, at most.
    longest: usize,
    /// Incoming groups by number.
    groups: BTreeMap<u64, Incoming>,
    streams: BTreeMap<StreamId, u64>,
    next: u64,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Incoming {
    packets: VecDeque<Vec<u8>>,
    left: u64,
    ended: bool,
}

impl Inflow {
    /// Creates a reader that accepts packets of at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self { longest, groups: BTreeMap::new(), streams: BTreeMap::new(), next: 0, waiting: 0 }
    }

    /// Returns whether a stream belongs to the track.
    pub fn has(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Begins a group, with its stream.
    pub fn begin(&mut self, stream: StreamId, header: SubgroupHeader) -> Result<(), Broken> {
        let group = header.group;
        if group < self.next || self.groups.insert(group, Incoming::default()).is_some() {
            return Err(Broken::Gap);
        }
        self.streams.insert(stream, group);
        Ok(())
    }

    /// Begins an object, with its header.
    pub fn object(&mut self, stream: StreamId, header: &ObjectHeader) -> Result<(), Broken> {
        let longest = self.longest;
        let incoming = self.incoming(stream)?;
        if header.payload_len > longest as u64 {
            return Err(Broken::TooLong(longest));
        }
        if header.status == Status::Normal {
            incoming.left = header.payload_len;
            incoming.packets.push_back(Vec::with_capacity(header.payload_len as usize));
        }
        Ok(())
    }

    /// Adds bytes to the current object.
    pub fn payload(&mut self, stream: StreamId, data: &Bytes) -> Result<(), Broken> {
        let incoming = self.incoming(stream)?;
        let packet = incoming.packets.back_mut().ok_or(Broken::Gap)?;
        incoming.left = incoming.left.checked_sub(data.len() as u64).ok_or(Broken::Gap)?;
        packet.extend_from_slice(data);
        self.waiting += data.len();
        let bound = 16 * self.longest;
        if self.waiting > bound { Err(Broken::TooEarly(bound)) } else { Ok(()) }
    }

    /// Ends a group, which must be complete.
    pub fn end(&mut self, stream: StreamId) -> Result<(), Broken> {
        self.incoming(stream)?.ended = true;
        self.streams.remove(&stream);
        Ok(())
    }

    /// The next packet, if it is here.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let incoming = self.groups.get_mut(&self.next)?;
            if incoming.packets.len() > usize::from(incoming.left > 0) {
                let packet = incoming.packets.pop_front()?;
                self.waiting -= packet.len();
                return Some(packet);
            }
            if !incoming.ended {
                return None;
            }
            self.groups.remove(&self.next);
            self.next += 1;
        }
    }

    fn incoming(&mut self, stream: StreamId) -> Result<&mut Incoming, Broken> {
        self.streams.get(&stream).and_then(|group| self.groups.get_mut(group)).ok_or(Broken::Gap)
    }
}

/// A track that goes out.
#[derive(Debug)]
pub struct Outflow {
    request: RequestId,
    /// Number of packets in the group.
    long: u64,
    stream: Option<StreamId>,
    group: u64,
    object: u64,
}

impl Outflow {
    /// One for a subscription, with so many packets in a group.
    pub fn new(request: RequestId, long: u64) -> Self {
        Self { request, long, stream: None, group: 0, object: 0 }
    }

    /// Bytes that the transport has not taken.
    pub fn backlog(&self, cx: &Cx<'_>) -> usize {
        self.stream.map_or(0, |stream| cx.backlog(stream))
    }

    /// Returns whether this is the stream being written.
    pub fn is(&self, stream: StreamId) -> bool {
        self.stream == Some(stream)
    }

    /// Sends a packet as one object.
    pub fn send(&mut self, cx: &mut Cx<'_>, packet: Bytes) -> Result<(), Misuse> {
        self.send_on(cx.session, cx.now, packet)
    }

    /// Sends a packet like [`send`](Self::send), for an application that has no [`Cx`].
    pub fn send_on(&mut self, session: &mut Session, now: Micros, packet: Bytes) -> Result<(), Misuse> {
        let stream = if let Some(stream) = self.stream {
            stream
        } else {
            let header = SubgroupHeader {
                group: self.group,
                end_of_group: true,
                first_object: true,
                ..SubgroupHeader::default()
            };
            *self.stream.insert(session.open_subgroup(self.request, header)?)
        };
        let header = ObjectHeader {
            id: self.object,
            properties: Properties::NONE,
            payload_len: packet.len() as u64,
            status: Status::Normal,
        };
        // An object that is sent at the time of its birth has not expired.
        let _ = session.object(now, stream, &header, now)?;
        session.payload(stream, packet)?;
        self.object += 1;
        if self.object == self.long {
            session.finish(now, stream)?;
            *self = Self { group: self.group + 1, ..Self::new(self.request, self.long) };
        }
        Ok(())
    }

    /// Ends the current group: the track has no more packets.
    pub fn end(self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        if let Some(stream) = self.stream {
            cx.session.finish(cx.now, stream)?;
        }
        cx.session.done(self.request, DoneCode::TRACK_ENDED, "")
    }
}
