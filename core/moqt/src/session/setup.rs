//! The control streams: SETUP and GOAWAY.

use bytes::Bytes;

use super::{
    Claim, Dir, Event, Half, Message, Micros, Misuse, Output, Piece, RequestId, SendOrder, Session, Side,
    State, Stream, Timer, Transport,
};
use crate::{
    SessionCode, Violation,
    message::{GoAway, MAX_URI_LEN, Setup},
};

const IMPLEMENTATION: &str = concat!("fanfare/", env!("CARGO_PKG_VERSION"));

impl Session {
    /// Opens our control stream with SETUP.
    pub(super) fn start(&mut self, now: Micros) -> Result<(), Misuse> {
        let mut setup = std::mem::take(&mut self.config.setup);
        if (setup.path.is_some() || setup.authority.is_some())
            && (self.config.side, self.config.transport) != (Side::Client, Transport::Quic)
        {
            return Err(Misuse::BadField("PATH and AUTHORITY are for clients on raw QUIC"));
        }
        setup.implementation.get_or_insert(Bytes::from_static(IMPLEMENTATION.as_bytes()));
        setup.max_auth_token_cache_size = Some(self.config.limits.token_cache);
        let data = self.encoded(&Message::Setup(setup))?;
        let stream = self.new_stream();
        self.control = stream;
        self.streams.insert(stream, Stream::Control);
        self.outputs.push_back(Output::Open { stream, dir: Dir::Uni, order: SendOrder::CONTROL });
        self.write(stream, data);
        self.timers.set(now + self.config.limits.setup, Timer::Setup);
        Ok(())
    }

    pub(super) fn on_control(&mut self, now: Micros, message: Message) -> Result<(), Violation> {
        match message {
            Message::Setup(setup) if self.state == State::Waiting => self.on_setup(now, setup),
            Message::Setup(_) => Err(Violation::protocol("a second SETUP")),
            _ if self.state == State::Waiting => {
                Err(Violation::protocol("a control stream that does not start with SETUP"))
            }
            Message::GoAway(goaway) => self.on_goaway(goaway),
            _ => Err(Violation::protocol("a request on the control stream")),
        }
    }

    fn on_setup(&mut self, now: Micros, mut setup: Setup) -> Result<(), Violation> {
        let from_client = self.config.side == Side::Server && self.config.transport == Transport::Quic;
        if let Some(path) = &setup.path {
            if !from_client {
                return Err(Violation::new(SessionCode::INVALID_PATH, "PATH where there must be none"));
            }
            // path-abempty, then perhaps a query; RFC 3986 has neither spaces nor controls in them.
            let starts = matches!(path.first(), None | Some(b'/' | b'?'));
            if !starts || !path.iter().all(u8::is_ascii_graphic) {
                return Err(Violation::new(SessionCode::MALFORMED_PATH, "PATH is not a path"));
            }
        }
        if let Some(authority) = &setup.authority {
            if !from_client {
                let code = SessionCode::INVALID_AUTHORITY;
                return Err(Violation::new(code, "AUTHORITY where there must be none"));
            }
            let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#');
            if authority.is_empty() || !authority.iter().all(plain) {
                let code = SessionCode::MALFORMED_AUTHORITY;
                return Err(Violation::new(code, "AUTHORITY is not an authority"));
            }
        }
        if setup.tokens.len() > self.config.limits.setup_tokens {
            let code = SessionCode::MALFORMED_AUTH_TOKEN;
            return Err(Violation::new(code, "more tokens in SETUP than are looked at"));
        }
        self.tokens.resolve_setup(&mut setup.tokens)?;
        self.state = State::Ready;
        self.event(Event::Ready(Box::new(setup)));
        self.replay_early(now)
    }

    /// Takes in the requests that came before SETUP, in the order of their streams.
    fn replay_early(&mut self, now: Micros) -> Result<(), Violation> {
        let mut early = Vec::new();
        for (id, stream) in &mut self.streams {
            if let Stream::Request(stream) = stream
                && !stream.early.is_empty()
            {
                early.push((*id, std::mem::take(&mut stream.early)));
            }
        }
        for (id, pieces) in early {
            self.held.give_back(&pieces);
            for piece in pieces {
                match piece {
                    Piece::Data(data) => self.on_data(now, id, data)?,
                    Piece::Finished => self.on_finished(now, id)?,
                }
            }
        }
        Ok(())
    }

    fn on_goaway(&mut self, goaway: GoAway) -> Result<(), Violation> {
        if std::mem::replace(&mut self.goaway_received, true) {
            return Err(Violation::protocol("a second GOAWAY"));
        }
        self.check_goaway_uri(&goaway)?;
        let Some(unprocessed) = goaway.request_id else {
            return Err(Violation::protocol("a GOAWAY without a request ID on the control stream"));
        };
        if unprocessed % 2 != self.next_request % 2 {
            let code = SessionCode::INVALID_REQUEST_ID;
            return Err(Violation::new(code, "a GOAWAY with a request ID of the wrong parity"));
        }
        self.event(Event::GoAway {
            uri: goaway.uri,
            timeout: timeout(goaway.timeout),
            unprocessed: RequestId(unprocessed),
        });
        Ok(())
    }

    pub(super) fn check_goaway_uri(&self, goaway: &GoAway) -> Result<(), Violation> {
        if self.config.side == Side::Server && !goaway.uri.is_empty() {
            return Err(Violation::protocol("a client that sends its server elsewhere"));
        }
        Ok(())
    }

    pub(super) fn on_request_goaway(&mut self, id: RequestId, goaway: GoAway) -> Result<(), Violation> {
        self.check_goaway_uri(&goaway)?;
        if goaway.request_id.is_some() {
            return Err(Violation::protocol("a GOAWAY with a request ID on a request stream"));
        }
        let Some(request) = self.requests.get_mut(&id) else { return Ok(()) };
        if std::mem::replace(&mut request.goaway_received, true) {
            return Err(Violation::protocol("a second GOAWAY on a request stream"));
        }
        let timeout = timeout(goaway.timeout);
        self.event(Event::RequestGoAway { request: id, uri: goaway.uri, timeout });
        Ok(())
    }

    /// Asks the peer to leave. New requests of the peer's are refused from now
    /// on; after `timeout`, if there is one, the session closes.
    pub fn goaway(&mut self, now: Micros, uri: &str, timeout: Option<Micros>) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        if self.goaway_sent {
            return Err(Misuse::BadField("GOAWAY has been sent"));
        }
        let goaway = GoAway { request_id: Some(self.peer_ids.unused()), ..self.goaway_to(uri, timeout)? };
        let data = self.encoded(&Message::GoAway(goaway))?;
        self.goaway_sent = true;
        self.write(self.control, data);
        if let Some(timeout) = timeout {
            self.timers.set(now + timeout, Timer::GoAway);
        }
        Ok(())
    }

    /// Asks the peer to make one request elsewhere. After `timeout`, if there is
    /// one, the request is broken off.
    pub fn goaway_request(
        &mut self,
        now: Micros,
        request: RequestId,
        uri: &str,
        timeout: Option<Micros>,
    ) -> Result<(), Misuse> {
        self.ready_for_calls()?;
        let stream = self.requests.get(&request).ok_or(Misuse::UnknownRequest(request))?.stream;
        if !matches!(self.streams.get(&stream), Some(Stream::Request(stream)) if stream.send == Half::Open) {
            return Err(Misuse::WrongState { id: request, what: "be moved: its stream has ended" });
        }
        let goaway = self.goaway_to(uri, timeout)?;
        let data = self.encoded(&Message::GoAway(goaway))?;
        self.write(stream, data);
        if let Some(timeout) = timeout {
            self.timers.set(now + timeout, Timer::RequestGoAway(request));
        }
        Ok(())
    }

    fn goaway_to(&self, uri: &str, timeout: Option<Micros>) -> Result<GoAway, Misuse> {
        if uri.len() > MAX_URI_LEN {
            return Err(Misuse::TooLong { what: "the URI", max: MAX_URI_LEN });
        }
        if self.config.side == Side::Client && !uri.is_empty() {
            return Err(Misuse::BadField("a client cannot send its server elsewhere"));
        }
        Ok(GoAway {
            uri: Bytes::copy_from_slice(uri.as_bytes()),
            timeout: timeout.map_or(0, Micros::as_millis),
            request_id: None,
        })
    }

    /// A stream turned out to be the peer's control stream.
    pub(super) fn on_control_stream(&mut self, id: super::StreamId) -> Result<(), Violation> {
        if self.peer_control.replace(id).is_some() {
            return Err(Violation::protocol("a second control stream"));
        }
        let mut reader = crate::ControlReader::new(self.config.version);
        // The stream's type is the first field of SETUP, and has been read.
        let mut kind = bytes::BytesMut::new();
        crate::varint::put(&mut kind, crate::data::SETUP_STREAM);
        reader.read(&mut kind.freeze())?;
        if let Some(entry) = self.streams.get_mut(&id) {
            debug_assert!(
                matches!(entry, Stream::Incoming(incoming) if matches!(incoming.state, Claim::Unknown))
            );
            *entry = Stream::PeerControl(reader);
        }
        Ok(())
    }
}

fn timeout(ms: u64) -> Option<Micros> {
    (ms > 0).then(|| Micros::from_millis(ms))
}
