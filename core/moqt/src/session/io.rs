//! What goes into a session and what comes out.

use bytes::Bytes;

use super::SendOrder;
use crate::{
    DoneCode, FetchOk, Location, Micros, Namespace, Params, Properties, ResetCode, SessionCode, TrackName,
    data::{Datagram, FetchObject, ObjectHeader, RangeEnd, SubgroupHeader},
    message::{RequestError, Setup},
};

/// A stream of this session. The session names those of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// A request of this session, of either side: a client's are even, a server's odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Which ways a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dir {
    /// Both.
    Bi,
    /// From who opened it to the other.
    Uni,
}

/// What the transport tells the session.
#[derive(Clone, Debug)]
pub enum Input {
    /// Bytes arrived on a stream, after those before.
    Data {
        /// The stream.
        stream: StreamId,
        /// Any number of bytes.
        data: Bytes,
    },
    /// The peer's side of a stream ended.
    Finished {
        /// The stream.
        stream: StreamId,
    },
    /// The peer broke off its side of a stream.
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// The peer wants no more of our side of a stream.
    Stopped {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// All of our side of a stream, its end included, has arrived.
    Delivered {
        /// The stream.
        stream: StreamId,
    },
    /// A datagram arrived.
    Datagram(Bytes),
    /// The moment that [`Session::timeout`](super::Session::timeout) gave is here.
    Timeout,
    /// The transport is gone.
    Closed {
        /// The peer's code, or that of what went wrong.
        code: SessionCode,
        /// For people.
        reason: Bytes,
    },
}

/// What the session wants done or known. In this order, and all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a stream.
    Open {
        /// What the session calls it from now on.
        stream: StreamId,
        /// Which ways.
        dir: Dir,
        /// How urgent.
        order: SendOrder,
    },
    /// The stream is now that urgent.
    SetOrder {
        /// The stream.
        stream: StreamId,
        /// How urgent.
        order: SendOrder,
    },
    /// Send bytes on a stream.
    Write {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        data: Bytes,
    },
    /// End our side of a stream.
    Finish {
        /// The stream.
        stream: StreamId,
    },
    /// Break off our side of a stream.
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// Ask the peer to stop sending on a stream.
    Stop {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// Send a datagram.
    Datagram(Bytes),
    /// Close the transport. Nothing follows but [`Event::Closed`].
    Close {
        /// The code to close with.
        code: SessionCode,
        /// For people.
        reason: Bytes,
    },
    /// Something the application should know.
    Event(Event),
}

/// What the application should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer's SETUP is here.
    Ready(Box<Setup>),
    /// The session is over.
    Closed {
        /// Why.
        code: SessionCode,
        /// For people.
        reason: Bytes,
        /// Who closed it.
        by: Closer,
    },
    /// The peer asks for a session elsewhere (Section 3.6).
    GoAway {
        /// Where; empty for the same place.
        uri: Bytes,
        /// How long the peer waits, if it says.
        timeout: Option<Micros>,
        /// The first of our requests that it may not have processed.
        unprocessed: RequestId,
    },
    /// The peer asks for one request to be made elsewhere.
    RequestGoAway {
        /// The request.
        request: RequestId,
        /// Where; empty for the same place.
        uri: Bytes,
        /// How long the peer waits, if it says.
        timeout: Option<Micros>,
    },

    /// The peer subscribes. Answer with `accept_subscribe`, `reject` or `hold`.
    Subscribe {
        /// The request.
        request: RequestId,
        /// The track.
        track: TrackName,
        /// How.
        params: Box<Params>,
    },
    /// The peer offers a track. Answer with `accept` or `reject`; objects may
    /// come before.
    Publish {
        /// The request.
        request: RequestId,
        /// The track.
        track: TrackName,
        /// How.
        params: Box<Params>,
        /// Of the track.
        properties: Properties,
    },
    /// The peer has tracks in a namespace. Answer with `accept` or `reject`.
    PublishNamespace {
        /// The request.
        request: RequestId,
        /// The namespace.
        namespace: Namespace,
        /// Tokens.
        params: Box<Params>,
    },
    /// The peer asks for namespaces. Answer with `accept` or `reject`, then
    /// `namespace` and `namespace_done`.
    SubscribeNamespace {
        /// The request.
        request: RequestId,
        /// What they start with.
        prefix: Namespace,
        /// Tokens.
        params: Box<Params>,
    },
    /// The peer asks for tracks. Answer with `accept` or `reject`, then `publish`
    /// or `publish_blocked`.
    SubscribeTracks {
        /// The request.
        request: RequestId,
        /// What their namespaces start with.
        prefix: Namespace,
        /// Whether they are to be forwarded.
        params: Box<Params>,
    },
    /// The peer asks about a track. Answer with `accept` or `reject`.
    TrackStatus {
        /// The request.
        request: RequestId,
        /// The track.
        track: TrackName,
        /// Tokens.
        params: Box<Params>,
    },
    /// The peer asks for objects of the past. Answer with `accept_fetch` and
    /// `open_fetch`, or `reject`.
    Fetch {
        /// The request.
        request: RequestId,
        /// The track.
        track: TrackName,
        /// The first object.
        start: Location,
        /// The last object plus one; with object 0, all of the group.
        end: Location,
        /// How.
        params: Box<Params>,
    },
    /// The peer changes a request. Answer with `accept_update` or `reject_update`.
    Update {
        /// The request.
        request: RequestId,
        /// What changes.
        params: Box<Params>,
    },
    /// The peer took back a request, or ended the one it was answering.
    Cancelled {
        /// The request.
        request: RequestId,
        /// Why.
        code: ResetCode,
    },
    /// No publisher came in time for a subscription on hold; it has been refused.
    RendezvousTimeout {
        /// The request.
        request: RequestId,
    },

    /// A `subscribe` was accepted.
    SubscribeOk {
        /// The request.
        request: RequestId,
        /// The newest object, and when it expires.
        params: Box<Params>,
        /// Of the track.
        properties: Properties,
    },
    /// A `fetch` was accepted.
    FetchOk {
        /// The request.
        request: RequestId,
        /// With what.
        ok: Box<FetchOk>,
    },
    /// Any other request was accepted.
    RequestOk {
        /// The request.
        request: RequestId,
        /// How.
        params: Box<Params>,
        /// Of the track, for `track_status`.
        properties: Properties,
    },
    /// A request was refused. It is over.
    RequestError {
        /// The request.
        request: RequestId,
        /// Why.
        error: RequestError,
    },
    /// An `update` was accepted.
    UpdateOk {
        /// The request.
        request: RequestId,
        /// What the peer adds.
        params: Box<Params>,
    },
    /// An `update` was refused. The request it was for ends too.
    UpdateError {
        /// The request.
        request: RequestId,
        /// Why.
        error: RequestError,
    },
    /// A namespace under the prefix asked for.
    Namespace {
        /// The `subscribe_namespace`.
        request: RequestId,
        /// What follows the prefix.
        suffix: Namespace,
    },
    /// A namespace under the prefix asked for is no more.
    NamespaceDone {
        /// The `subscribe_namespace`.
        request: RequestId,
        /// What follows the prefix.
        suffix: Namespace,
    },
    /// A track under the prefix asked for that cannot be published: subscribe to it.
    PublishBlocked {
        /// The `subscribe_tracks`.
        request: RequestId,
        /// The track, with what follows the prefix as its namespace.
        track: TrackName,
    },
    /// A subscription ended, and all of its streams that came have been given.
    Done {
        /// The request.
        request: RequestId,
        /// Why.
        code: DoneCode,
        /// For people.
        reason: Bytes,
    },

    /// A subgroup of a subscription begins; its objects follow.
    Subgroup {
        /// The stream it is on.
        stream: StreamId,
        /// The subscription.
        request: RequestId,
        /// Which.
        header: SubgroupHeader,
    },
    /// The stream that answers a fetch begins; its objects follow.
    FetchStream {
        /// The stream it is on.
        stream: StreamId,
        /// The fetch.
        request: RequestId,
    },
    /// An object of a subgroup begins.
    Object {
        /// The stream it is on.
        stream: StreamId,
        /// Which.
        header: ObjectHeader,
    },
    /// An object of a fetch begins.
    FetchObject {
        /// The stream it is on.
        stream: StreamId,
        /// Which.
        object: FetchObject,
    },
    /// What is known of the objects that a fetch leaves out.
    RangeEnd {
        /// The stream it is on.
        stream: StreamId,
        /// What.
        end: RangeEnd,
    },
    /// The next piece of the payload of the last object on a stream.
    Payload {
        /// The stream it is on.
        stream: StreamId,
        /// The piece.
        data: Bytes,
    },
    /// A data stream ended: there are no further objects in its subgroup.
    StreamEnded {
        /// The stream.
        stream: StreamId,
    },
    /// A data stream was broken off: there may be further objects.
    StreamReset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// A data stream of ours is over before its end: the peer wants no more of
    /// it, or its time is up.
    StreamStopped {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
    },
    /// An object came in a datagram.
    Datagram {
        /// The subscription.
        request: RequestId,
        /// The object.
        datagram: Datagram,
    },
}

/// Who closed a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The application, or the session for a reason that is not the peer's fault.
    Us,
    /// The session, because the peer broke the protocol.
    Violation,
    /// The peer, or the transport.
    Peer,
}
