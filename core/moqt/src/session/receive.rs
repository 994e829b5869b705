//! Objects from the peer.

use bytes::Bytes;

use super::{
    Claim, Event, FetchStream, Kind, Micros, Misuse, Output, Phase, Piece, RequestId, Role, Session, Stream,
    StreamId, Timer,
};
use crate::{
    DoneCode, ResetCode, Violation,
    data::{Datagram, FetchHeader, Item, SubgroupHeader},
    message::PublishDone,
};

impl Session {
    /// Asks the peer to stop sending a data stream.
    pub fn stop(&mut self, stream: StreamId, code: ResetCode) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        match self.streams.get(&stream) {
            Some(Stream::Incoming(incoming)) if let Claim::Of(request) = incoming.state => {
                self.close_data(stream, code);
                self.data_stream_over(request, stream);
                Ok(())
            }
            _ => Err(Misuse::UnknownStream(stream)),
        }
    }

    /// Takes bytes of a stream of the peer's. Whether all were taken; if not, the
    /// stream turned out to be of another kind.
    pub(super) fn on_uni(&mut self, now: Micros, id: StreamId, data: &mut Bytes) -> Result<bool, Violation> {
        loop {
            let Some(Stream::Incoming(incoming)) = self.streams.get_mut(&id) else { return Ok(false) };
            match &mut incoming.state {
                Claim::Of(_) => {
                    while let Some(item) = incoming.reader.read(data)? {
                        self.outputs.push_back(Output::Event(event(id, item)));
                    }
                    return Ok(true);
                }
                Claim::Waiting { pieces, .. } => {
                    if data.is_empty() {
                        return Ok(true);
                    }
                    let data = data.split_to(data.len());
                    if self.held.take(data.len(), self.config.limits.held_bytes) {
                        pieces.push(Piece::Data(data));
                    } else {
                        self.unclaimed(id, ResetCode::EXCESSIVE_LOAD);
                    }
                    return Ok(true);
                }
                Claim::Unknown => {
                    let Some(item) = incoming.reader.read(data)? else { return Ok(true) };
                    match item {
                        Item::Control => {
                            self.on_control_stream(id)?;
                            return Ok(false);
                        }
                        Item::Subgroup(header) => self.on_subgroup(now, id, header),
                        Item::Fetch(header) => self.on_fetch_stream(id, header)?,
                        // Padding, the only other: nothing else comes before a header.
                        _ => {
                            self.streams.insert(id, Stream::Over);
                            return Ok(true);
                        }
                    }
                }
            }
        }
    }

    fn on_subgroup(&mut self, now: Micros, id: StreamId, header: SubgroupHeader) {
        if let Some(request) = self.aliases.get(&header.track_alias).copied() {
            self.claim_subgroup(id, request, header);
        } else if self.retired.contains(&header.track_alias) {
            self.unclaimed(id, ResetCode::CANCELLED);
        } else if let Some(Stream::Incoming(incoming)) = self.streams.get_mut(&id) {
            // SUBSCRIBE_OK may be on its way (Section 11.4.2).
            incoming.state = Claim::Waiting { header, pieces: Vec::new() };
            self.timers.set(now + self.config.limits.held_for, Timer::Held(id));
        }
    }

    fn claim_subgroup(&mut self, id: StreamId, request: RequestId, header: SubgroupHeader) {
        if let Some(Stream::Incoming(incoming)) = self.streams.get_mut(&id) {
            incoming.state = Claim::Of(request);
        }
        if let Some(subscription) =
            self.requests.get_mut(&request).and_then(|request| request.subscription_mut())
        {
            subscription.streams += 1;
            subscription.open.insert(id);
        }
        self.event(Event::Subgroup { stream: id, request, header });
    }

    /// An alias stands for a subscription now: gives it what waited for it.
    pub(super) fn claim_alias(
        &mut self,
        now: Micros,
        alias: u64,
        request: RequestId,
    ) -> Result<(), Violation> {
        self.aliases.insert(alias, request);
        self.retired.retain(|retired| *retired != alias);
        let mut waiting = Vec::new();
        for (id, stream) in &mut self.streams {
            let Stream::Incoming(incoming) = stream else { continue };
            if let Claim::Waiting { header, pieces } = &mut incoming.state
                && header.track_alias == alias
            {
                waiting.push((*id, *header, std::mem::take(pieces)));
            }
        }
        for (id, header, pieces) in waiting {
            self.held.give_back(&pieces);
            self.claim_subgroup(id, request, header);
            for piece in pieces {
                match piece {
                    Piece::Data(mut data) => {
                        self.on_uni(now, id, &mut data)?;
                    }
                    Piece::Finished => self.on_uni_finished(now, id)?,
                }
            }
        }
        let (mine, others) = std::mem::take(&mut self.held.datagrams)
            .into_iter()
            .partition::<Vec<_>, _>(|datagram| datagram.track_alias == alias);
        self.held.datagrams = others.into();
        for datagram in mine {
            self.event(Event::Datagram { request, datagram });
        }
        Ok(())
    }

    fn on_fetch_stream(&mut self, id: StreamId, header: FetchHeader) -> Result<(), Violation> {
        let request = RequestId(header.request_id);
        let ours = header.request_id % 2 == self.next_request % 2 && header.request_id < self.next_request;
        if !ours {
            return Err(Violation::protocol("a fetch stream for a request that was not made"));
        }
        match self.requests.get_mut(&request).map(|request| &mut request.kind) {
            Some(Kind::Fetch(fetch)) if fetch.role == Role::Subscriber => {
                if fetch.stream != FetchStream::None {
                    return Err(Violation::protocol("a second stream for one fetch"));
                }
                fetch.stream = FetchStream::Open(id);
                if let Some(Stream::Incoming(incoming)) = self.streams.get_mut(&id) {
                    incoming.reader.set_group_order(fetch.order);
                    incoming.state = Claim::Of(request);
                }
                self.event(Event::FetchStream { stream: id, request });
            }
            Some(_) => return Err(Violation::protocol("a fetch stream for another request")),
            // We took it back in the meantime.
            None => self.unclaimed(id, ResetCode::CANCELLED),
        }
        Ok(())
    }

    pub(super) fn on_uni_finished(&mut self, _now: Micros, id: StreamId) -> Result<(), Violation> {
        let Some(Stream::Incoming(incoming)) = self.streams.get_mut(&id) else { return Ok(()) };
        match &mut incoming.state {
            Claim::Of(request) => {
                let request = *request;
                incoming.reader.finish()?;
                self.streams.remove(&id);
                self.event(Event::StreamEnded { stream: id });
                self.data_stream_over(request, id);
            }
            Claim::Waiting { pieces, .. } => pieces.push(Piece::Finished),
            Claim::Unknown => {
                incoming.reader.finish()?;
                self.streams.remove(&id);
            }
        }
        Ok(())
    }

    pub(super) fn on_uni_reset(&mut self, id: StreamId, code: ResetCode) {
        let Some(Stream::Incoming(incoming)) = self.streams.remove(&id) else { return };
        match incoming.state {
            Claim::Of(request) => {
                self.event(Event::StreamReset { stream: id, code });
                self.data_stream_over(request, id);
            }
            Claim::Waiting { pieces, .. } => self.held.give_back(&pieces),
            Claim::Unknown => {}
        }
    }

    /// A data stream of a request is over, whichever way.
    fn data_stream_over(&mut self, id: RequestId, stream: StreamId) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        match &mut request.kind {
            Kind::Subscription(subscription) => {
                subscription.open.remove(&stream);
                self.finish_done_if_complete(id);
            }
            Kind::Fetch(fetch) => {
                fetch.stream = FetchStream::Over;
                if request.phase == Phase::Established {
                    self.end_in_order(id);
                }
            }
            _ => {}
        }
    }

    /// Handles a PUBLISH_DONE: awaits the remaining streams.
    pub(super) fn on_done(&mut self, now: Micros, id: RequestId, done: PublishDone) -> Result<(), Violation> {
        let linger = self.config.limits.done_linger;
        let Some(subscription) = self.requests.get_mut(&id).and_then(|request| request.subscription_mut())
        else {
            return Err(Violation::protocol("PUBLISH_DONE for what is no subscription"));
        };
        if subscription.role == Role::Publisher {
            return Err(Violation::protocol("PUBLISH_DONE from a subscriber"));
        }
        if subscription.done.is_some() {
            return Err(Violation::protocol("a second PUBLISH_DONE"));
        }
        let linger = [subscription.object_timeout(), subscription.subgroup_timeout()]
            .into_iter()
            .flatten()
            .fold(linger, Micros::max);
        subscription.done = Some(done);
        self.timers.set(now + linger, Timer::DoneLinger(id));
        self.finish_done_if_complete(id);
        Ok(())
    }

    /// Ends a subscription that PUBLISH_DONE ended, once all of its streams are
    /// over; and if the peer offered it, once it has been answered.
    pub(super) fn finish_done_if_complete(&mut self, id: RequestId) {
        let complete = self.requests.get(&id).is_some_and(|request| {
            let answered = request.phase == Phase::Established;
            request.subscription().is_some_and(|subscription| {
                let counted =
                    subscription.done.as_ref().is_some_and(|done| subscription.streams >= done.stream_count);
                answered && counted && subscription.open.is_empty()
            })
        });
        if complete {
            self.finish_done(id);
        }
    }

    /// Streams that have not begun by now will not come. Those that have are read
    /// to their end (Section 10.11).
    pub(super) fn on_done_linger(&mut self, id: RequestId) {
        if let Some(subscription) = self.requests.get_mut(&id).and_then(|request| request.subscription_mut())
        {
            let streams = subscription.streams;
            if let Some(done) = &mut subscription.done {
                done.stream_count = streams;
                self.finish_done_if_complete(id);
            }
        }
    }

    /// Ends a subscription that PUBLISH_DONE ended.
    fn finish_done(&mut self, id: RequestId) {
        let Some(request) = self.forget(id, ResetCode::CANCELLED) else { return };
        self.finish_stream(request.stream);
        let done = match request.kind {
            Kind::Subscription(subscription) => subscription.done,
            _ => None,
        };
        let (code, reason) =
            done.map_or((DoneCode::INTERNAL_ERROR, Bytes::new()), |done| (done.code, done.reason));
        self.event(Event::Done { request: id, code, reason });
    }

    /// Ends a request whose two sides are both finished.
    pub(super) fn end_in_order(&mut self, id: RequestId) {
        if let Some(request) = self.forget(id, ResetCode::CANCELLED) {
            self.finish_stream(request.stream);
        }
    }

    pub(super) fn on_held_too_long(&mut self, id: StreamId) {
        if let Some(Stream::Incoming(incoming)) = self.streams.get(&id)
            && matches!(incoming.state, Claim::Waiting { .. })
        {
            self.unclaimed(id, ResetCode::CANCELLED);
        }
    }

    /// Stops a stream that belongs to no request.
    fn unclaimed(&mut self, id: StreamId, code: ResetCode) {
        let Some(entry) = self.streams.get_mut(&id) else { return };
        let before = std::mem::replace(entry, Stream::Over);
        if let Stream::Incoming(incoming) = before
            && let Claim::Waiting { pieces, .. } = incoming.state
        {
            self.held.give_back(&pieces);
            if matches!(pieces.last(), Some(Piece::Finished)) {
                self.streams.remove(&id);
                return;
            }
        }
        self.outputs.push_back(Output::Stop { stream: id, code });
    }

    pub(super) fn on_datagram(&mut self, now: Micros, datagram: Bytes) -> Result<(), Violation> {
        let Some(datagram) = Datagram::decode(datagram)? else { return Ok(()) };
        if let Some(request) = self.aliases.get(&datagram.track_alias).copied() {
            self.event(Event::Datagram { request, datagram });
        } else if !self.retired.contains(&datagram.track_alias) {
            if self.held.datagrams.is_empty() {
                self.timers.set(now + self.config.limits.held_for, Timer::HeldDatagrams);
            }
            if self.held.datagrams.len() == self.config.limits.held_datagrams {
                self.held.datagrams.pop_front();
            }
            self.held.datagrams.push_back(datagram);
        }
        Ok(())
    }
}

fn event(stream: StreamId, item: Item) -> Event {
    match item {
        Item::Object(header) => Event::Object { stream, header },
        Item::FetchObject(object) => Event::FetchObject { stream, object },
        Item::RangeEnd(end) => Event::RangeEnd { stream, end },
        Item::Payload(data) => Event::Payload { stream, data },
        // Headers come once, before a stream is claimed.
        Item::Control | Item::Padding | Item::Subgroup(_) | Item::Fetch(_) => {
            unreachable!("a header within a data stream")
        }
    }
}
