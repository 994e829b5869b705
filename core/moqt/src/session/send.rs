//! Objects to the peer.

use bytes::{Bytes, BytesMut};

use super::{
    Dir, Event, FetchStream, HEAD, Kind, Micros, Misuse, Output, Phase, RequestId, ResetCode, Role,
    SendOrder, Session, Stream, StreamId, Timer,
    order::{GROUP_SPAN, group_rank},
    request::Via,
};
use crate::{
    data::{
        Datagram, FetchHeader, FetchObject, FetchWriter, ObjectHeader, RangeEnd, SubgroupHeader, SubgroupId,
        SubgroupWriter,
    },
    message::PublishDone,
};

/// Outcome of sending an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an expired object has ended its stream"]
pub enum Delivery {
    /// It is on its way.
    Sent,
    /// It is older than its delivery timeout, and its stream has been reset.
    Expired,
}

/// A data stream of ours.
#[derive(Debug)]
pub(super) struct Outgoing {
    request: RequestId,
    writer: Writer,
    /// Bytes left of the last object's payload.
    left: u64,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Writing,
    /// All is written; not all has arrived.
    Finished,
}

#[derive(Debug)]
enum Writer {
    Subgroup { writer: SubgroupWriter, group: u64, subgroup: u64, priority: u8 },
    Fetch(FetchWriter),
}

impl Session {
    /// Opens the stream of a subgroup of a subscription of the peer's. The alias
    /// in `header` is filled in.
    pub fn open_subgroup(
        &mut self,
        request: RequestId,
        mut header: SubgroupHeader,
    ) -> Result<StreamId, Misuse> {
        self.ready_for_calls()?;
        let stream = StreamId(self.next_stream);
        let subscription = self.sending(request)?;
        if subscription.base.is_none_or(|base| header.group.abs_diff(base) >= GROUP_SPAN as u64 / 2) {
            let rebased = subscription.base.replace(header.group).is_some();
            if rebased {
                self.reorder(request);
            }
        }
        let subscription = self.sending(request)?;
        header.track_alias = subscription.alias.unwrap_or_default();
        let subgroup = match header.subgroup {
            SubgroupId::Id(id) => id,
            SubgroupId::Zero | SubgroupId::FirstObject => 0,
        };
        let priority = subscription.publisher_priority(header.priority);
        let rank =
            group_rank(subscription.group_order(), subscription.base.unwrap_or_default(), header.group);
        let order = SendOrder::object(subscription.priority, priority, rank, subgroup);
        subscription.streams += 1;
        subscription.open.insert(stream);
        let writer = Writer::Subgroup {
            writer: SubgroupWriter::new(&header),
            group: header.group,
            subgroup,
            priority,
        };
        self.new_stream();
        self.streams.insert(stream, Stream::Outgoing(Outgoing::new(request, writer)));
        self.outputs.push_back(Output::Open { stream, dir: Dir::Uni, order });
        let head = self.written(|out| header.encode(out));
        self.write(stream, head);
        Ok(stream)
    }

    /// Starts an object on a subgroup's stream; its payload is to follow. `born`
    /// is when its first byte was there, which delivery timeouts count from.
    pub fn object(
        &mut self,
        now: Micros,
        stream: StreamId,
        header: &ObjectHeader,
        born: Micros,
    ) -> Result<Delivery, Misuse> {
        let request = self.outgoing(stream)?.request;
        let timeout = self
            .requests
            .get(&request)
            .and_then(|request| request.subscription())
            .and_then(super::request::Subscription::object_timeout);
        if timeout.is_some_and(|timeout| now - born > timeout) {
            self.reset(stream, ResetCode::DELIVERY_TIMEOUT)?;
            return Ok(Delivery::Expired);
        }
        self.scratch.reserve(HEAD + header.properties.as_wire().len());
        let Some(Stream::Outgoing(outgoing)) = self.streams.get_mut(&stream) else {
            return Err(Misuse::UnknownStream(stream));
        };
        outgoing.between_objects()?;
        match &mut outgoing.writer {
            Writer::Subgroup { writer, .. } => writer.encode(header, &mut self.scratch)?,
            Writer::Fetch(_) => return Err(Misuse::UnknownStream(stream)),
        }
        outgoing.left = header.payload_len;
        let data = self.scratch.split().freeze();
        self.write(stream, data);
        Ok(Delivery::Sent)
    }

    /// The next piece of the payload of the last object on a stream.
    pub fn payload(&mut self, stream: StreamId, data: Bytes) -> Result<(), Misuse> {
        let outgoing = self.outgoing(stream)?;
        let got = data.len() as u64;
        outgoing.left =
            outgoing.left.checked_sub(got).ok_or(Misuse::PayloadLength { declared: outgoing.left, got })?;
        if !data.is_empty() {
            self.write(stream, data);
        }
        Ok(())
    }

    /// Ends a data stream, with all of its objects in it.
    pub fn finish(&mut self, now: Micros, stream: StreamId) -> Result<(), Misuse> {
        let outgoing = self.outgoing(stream)?;
        outgoing.between_objects()?;
        outgoing.progress = Progress::Finished;
        let request = outgoing.request;
        self.outputs.push_back(Output::Finish { stream });
        let Some(entry) = self.requests.get_mut(&request) else { return Ok(()) };
        match &mut entry.kind {
            Kind::Subscription(subscription) => {
                if let Some(timeout) = subscription.subgroup_timeout() {
                    self.timers.set(now + timeout, Timer::SubgroupDelivery(stream));
                }
            }
            Kind::Fetch(_) => {
                self.streams.insert(stream, Stream::Finished);
                self.sent_stream_over(request, stream);
            }
            _ => {}
        }
        Ok(())
    }

    /// Breaks off a data stream: there may be objects that it does not have. A subgroup's may be broken off after its
    /// end, too, until all of it has arrived.
    pub fn reset(&mut self, stream: StreamId, code: ResetCode) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        let Some(Stream::Outgoing(outgoing)) = self.streams.get(&stream) else {
            return Err(Misuse::UnknownStream(stream));
        };
        let request = outgoing.request;
        self.streams.remove(&stream);
        self.outputs.push_back(Output::Reset { stream, code });
        self.sent_stream_over(request, stream);
        Ok(())
    }

    /// Sends an object of a subscription of the peer's in a datagram. The alias
    /// is filled in.
    pub fn datagram(&mut self, request: RequestId, mut datagram: Datagram) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        datagram.track_alias = self.sending(request)?.alias.unwrap_or_default();
        let mut data = BytesMut::new();
        datagram.encode(&mut data)?;
        self.outputs.push_back(Output::Datagram(data.freeze()));
        Ok(())
    }

    /// Opens the stream that answers a fetch of the peer's.
    pub fn open_fetch(&mut self, request: RequestId) -> Result<StreamId, Misuse> {
        self.ready_for_calls()?;
        let stream = StreamId(self.next_stream);
        let wrong =
            Misuse::WrongState { id: request, what: "open another stream, or is no fetch of the peer's" };
        let entry = self.requests.get_mut(&request).ok_or(Misuse::UnknownRequest(request))?;
        let Kind::Fetch(fetch) = &mut entry.kind else { return Err(wrong) };
        if fetch.role != Role::Publisher || fetch.stream != FetchStream::None || fetch.waiting.is_some() {
            return Err(wrong);
        }
        fetch.stream = FetchStream::Open(stream);
        let order = SendOrder::object(fetch.priority, 128, 0, 0);
        let writer = Writer::Fetch(FetchWriter::new(fetch.order));
        self.new_stream();
        self.streams.insert(stream, Stream::Outgoing(Outgoing::new(request, writer)));
        self.outputs.push_back(Output::Open { stream, dir: Dir::Uni, order });
        let head = self.written(|out| FetchHeader { request_id: request.0 }.encode(out));
        self.write(stream, head);
        Ok(stream)
    }

    /// Starts an object on a fetch stream; its payload is to follow.
    pub fn fetch_object(&mut self, stream: StreamId, object: &FetchObject) -> Result<(), Misuse> {
        self.fetch_write(stream, |writer, out| writer.encode(object, out), object.payload_len)
    }

    /// Says on a fetch stream what is known of objects that are left out.
    pub fn range_end(&mut self, stream: StreamId, end: RangeEnd) -> Result<(), Misuse> {
        let write = |writer: &mut FetchWriter, out: &mut BytesMut| {
            writer.encode_range_end(end, out);
            Ok(())
        };
        self.fetch_write(stream, write, 0)
    }

    fn fetch_write(
        &mut self,
        stream: StreamId,
        write: impl FnOnce(&mut FetchWriter, &mut BytesMut) -> Result<(), Misuse>,
        left: u64,
    ) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        self.scratch.reserve(HEAD);
        let Some(Stream::Outgoing(outgoing)) = self.streams.get_mut(&stream) else {
            return Err(Misuse::UnknownStream(stream));
        };
        outgoing.between_objects()?;
        let Writer::Fetch(writer) = &mut outgoing.writer else { return Err(Misuse::UnknownStream(stream)) };
        write(writer, &mut self.scratch)?;
        outgoing.left = left;
        let data = self.scratch.split().freeze();
        self.write(stream, data);
        Ok(())
    }

    /// Ends a subscription of the peer's. Streams that are open are broken off:
    /// PUBLISH_DONE comes after all of them (Section 10.11).
    pub fn done(&mut self, request: RequestId, code: crate::DoneCode, reason: &str) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        let entry = self.requests.get(&request).ok_or(Misuse::UnknownRequest(request))?;
        let subscription = entry.subscription().filter(|subscription| {
            subscription.role == Role::Publisher
                && (entry.phase == Phase::Established || subscription.via == Via::Publish)
        });
        let Some(subscription) = subscription else {
            return Err(Misuse::WrongState { id: request, what: "be done: we do not publish on it" });
        };
        let stream_count = subscription.streams;
        let done = PublishDone { code, stream_count, reason: crate::message::reason(reason) };
        let streams = subscription.open.clone();
        let data = self.encoded(&crate::Message::PublishDone(done))?;
        for stream in streams {
            // All is written: wait for its delivery.
            if matches!(self.streams.get(&stream), Some(Stream::Outgoing(outgoing)) if outgoing.is_finished())
            {
                self.streams.insert(stream, Stream::Finished);
            }
        }
        if let Some(entry) = self.forget(request, ResetCode::CANCELLED) {
            self.reply(entry.stream, data);
            self.finish_stream(entry.stream);
        }
        Ok(())
    }

    /// A subscription of the peer's that objects may be sent on.
    fn sending(&mut self, id: RequestId) -> Result<&mut super::request::Subscription, Misuse> {
        let entry = self.requests.get_mut(&id).ok_or(Misuse::UnknownRequest(id))?;
        let established = entry.phase == Phase::Established;
        let Some(subscription) = entry.subscription_mut() else {
            return Err(Misuse::WrongState { id, what: "carry objects: it is no subscription" });
        };
        if subscription.role != Role::Publisher {
            return Err(Misuse::WrongState { id, what: "carry our objects: the peer publishes on it" });
        }
        // Objects may go ahead of PUBLISH_OK (Section 5.1).
        if !established && subscription.via == Via::Subscribe {
            return Err(Misuse::WrongState { id, what: "carry objects: it has not been accepted" });
        }
        if !subscription.forward {
            return Err(Misuse::WrongState { id, what: "carry objects: its forward state is 0" });
        }
        Ok(subscription)
    }

    fn outgoing(&mut self, stream: StreamId) -> Result<&mut Outgoing, Misuse> {
        self.ready_for_calls()?;
        match self.streams.get_mut(&stream) {
            Some(Stream::Outgoing(outgoing)) if !outgoing.is_finished() => Ok(outgoing),
            _ => Err(Misuse::UnknownStream(stream)),
        }
    }

    /// All of a data stream has arrived.
    pub(super) fn on_delivered(&mut self, stream: StreamId) {
        match self.streams.get(&stream) {
            Some(Stream::Finished) => {
                self.streams.remove(&stream);
            }
            Some(Stream::Outgoing(outgoing)) if outgoing.is_finished() => {
                let request = outgoing.request;
                self.streams.remove(&stream);
                self.sent_stream_over(request, stream);
            }
            _ => {}
        }
    }

    fn written(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        self.scratch.reserve(HEAD);
        write(&mut self.scratch);
        self.scratch.split().freeze()
    }

    /// Tells the transport anew how urgent the open streams of a subscription are.
    pub(super) fn reorder(&mut self, id: RequestId) {
        let Some(subscription) = self.requests.get(&id).and_then(|request| request.subscription()) else {
            return;
        };
        let base = subscription.base.unwrap_or_default();
        for stream in &subscription.open {
            let Some(Stream::Outgoing(Outgoing { writer, .. })) = self.streams.get(stream) else { continue };
            if let Writer::Subgroup { group, subgroup, priority, .. } = writer {
                let rank = group_rank(subscription.group_order(), base, *group);
                let order = SendOrder::object(subscription.priority, *priority, rank, *subgroup);
                self.outputs.push_back(Output::SetOrder { stream: *stream, order });
            }
        }
    }

    fn sent_stream_over(&mut self, id: RequestId, stream: StreamId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let established = request.phase == Phase::Established;
        match &mut request.kind {
            Kind::Subscription(subscription) => {
                subscription.open.remove(&stream);
            }
            Kind::Fetch(fetch) => {
                fetch.stream = FetchStream::Over;
                if established {
                    self.end_in_order(id);
                }
            }
            _ => {}
        }
    }

    /// The peer wants no more of a data stream, or its time is up.
    pub(super) fn cut_off(&mut self, stream: StreamId, code: ResetCode, answer: ResetCode) {
        let request = match self.streams.get(&stream) {
            Some(Stream::Outgoing(outgoing)) => Some(outgoing.request),
            Some(Stream::Finished) => None,
            _ => return,
        };
        self.streams.remove(&stream);
        self.outputs.push_back(Output::Reset { stream, code: answer });
        if let Some(request) = request {
            self.sent_stream_over(request, stream);
            self.event(Event::StreamStopped { stream, code });
        }
    }
}

impl Outgoing {
    fn new(request: RequestId, writer: Writer) -> Self {
        Self { request, writer, left: 0, progress: Progress::Writing }
    }

    fn is_finished(&self) -> bool {
        self.progress == Progress::Finished
    }

    fn between_objects(&self) -> Result<(), Misuse> {
        match self.left {
            0 => Ok(()),
            declared => Err(Misuse::PayloadLength { declared, got: 0 }),
        }
    }
}
