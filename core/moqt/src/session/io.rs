//! Inputs, outputs and events of a session.

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

/// Directions of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dir {
    /// Both directions.
    Bi,
    /// From the opener to the other side.
    Uni,
}

/// Input of a session: an event of the transport, or of time.
#[derive(Clone, Debug)]
pub enum Input {
    /// Bytes arrived on a stream, after those before.
    Data {
        /// The session's name for the stream.
        stream: StreamId,
        /// Bytes in order, any number of them.
        data: Bytes,
    },
    /// The peer's side of a stream ended.
    Finished {
        /// The session's name for the stream.
        stream: StreamId,
    },
    /// The peer broke off its side of a stream.
    Reset {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// The peer wants no more of our side of a stream.
    Stopped {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// All of our side of a stream, its end included, has arrived.
    Delivered {
        /// The session's name for the stream.
        stream: StreamId,
    },
    /// A datagram has arrived, with this content.
    Datagram(Bytes),
    /// The moment that [`Session::timeout`](super::Session::timeout) gave is here.
    Timeout,
    /// The transport's connection has ended.
    Closed {
        /// The peer's code, or that of what went wrong.
        code: SessionCode,
        /// Reason phrase, for human readers.
        reason: Bytes,
    },
}

/// Output of a session: an action for the transport, or an event for the application. The shell carries out
/// all of them, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a stream to the peer.
    Open {
        /// Name that the session uses for it from now on.
        stream: StreamId,
        /// Directions of the stream.
        dir: Dir,
        /// Urgency of the stream.
        order: SendOrder,
    },
    /// The stream is now that urgent.
    SetOrder {
        /// The session's name for the stream.
        stream: StreamId,
        /// Urgency of the stream from now on.
        order: SendOrder,
    },
    /// Send bytes on a stream.
    Write {
        /// The session's name for the stream.
        stream: StreamId,
        /// The bytes to send, in order.
        data: Bytes,
    },
    /// End our side of a stream.
    Finish {
        /// The session's name for the stream.
        stream: StreamId,
    },
    /// Break off our side of a stream.
    Reset {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// Ask the peer to stop sending on a stream.
    Stop {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// Send a datagram with this content.
    Datagram(Bytes),
    /// Close the transport. Nothing follows but [`Event::Closed`].
    Close {
        /// The code to close with.
        code: SessionCode,
        /// Reason phrase, for human readers.
        reason: Bytes,
    },
    /// Something the application should know.
    Event(Event),
}

/// Event for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer's SETUP is here.
    Ready(Box<Setup>),
    /// The session has ended, by either side.
    Closed {
        /// Code with which it ended.
        code: SessionCode,
        /// Reason phrase, for human readers.
        reason: Bytes,
        /// Side that closed it.
        by: Closer,
    },
    /// The peer asks for a session elsewhere (Section 3.6).
    GoAway {
        /// URI to move to; empty for the same server.
        uri: Bytes,
        /// Time for which the peer waits, if it declares one.
        timeout: Option<Micros>,
        /// The first of our requests that it may not have processed.
        unprocessed: RequestId,
    },
    /// The peer asks for one request to be made elsewhere.
    RequestGoAway {
        /// The session's name for the request.
        request: RequestId,
        /// URI to move to; empty for the same server.
        uri: Bytes,
        /// Time for which the peer waits, if it declares one.
        timeout: Option<Micros>,
    },

    /// The peer subscribes. Answer with `accept_subscribe`, `reject` or `hold`.
    Subscribe {
        /// The session's name for the request.
        request: RequestId,
        /// Full name of the track.
        track: TrackName,
        /// Parameters of the SUBSCRIBE.
        params: Box<Params>,
    },
    /// The peer offers a track. Answer with `accept` or `reject`; objects may
    /// come before.
    Publish {
        /// The session's name for the request.
        request: RequestId,
        /// Full name of the track.
        track: TrackName,
        /// Parameters of the PUBLISH.
        params: Box<Params>,
        /// Properties of the track.
        properties: Properties,
    },
    /// The peer has tracks in a namespace. Answer with `accept` or `reject`.
    PublishNamespace {
        /// The session's name for the request.
        request: RequestId,
        /// Namespace whose tracks the peer can supply.
        namespace: Namespace,
        /// Tokens that authorise the request.
        params: Box<Params>,
    },
    /// The peer asks for namespaces. Answer with `accept` or `reject`, then
    /// `namespace` and `namespace_done`.
    SubscribeNamespace {
        /// The session's name for the request.
        request: RequestId,
        /// Prefix of the namespaces asked for.
        prefix: Namespace,
        /// Tokens that authorise the request.
        params: Box<Params>,
    },
    /// The peer asks for tracks. Answer with `accept` or `reject`, then `publish`
    /// or `publish_blocked`.
    SubscribeTracks {
        /// The session's name for the request.
        request: RequestId,
        /// Prefix of the tracks' namespaces.
        prefix: Namespace,
        /// Parameters; they include whether tracks are to be forwarded.
        params: Box<Params>,
    },
    /// The peer asks about a track. Answer with `accept` or `reject`.
    TrackStatus {
        /// The session's name for the request.
        request: RequestId,
        /// Full name of the track.
        track: TrackName,
        /// Tokens that authorise the request.
        params: Box<Params>,
    },
    /// The peer asks for objects of the past. Answer with `accept_fetch` and
    /// `open_fetch`, or `reject`.
    Fetch {
        /// The session's name for the request.
        request: RequestId,
        /// Full name of the track.
        track: TrackName,
        /// Location of the first object.
        start: Location,
        /// The last object plus one; with object 0, all of the group.
        end: Location,
        /// Order, priority and tokens of the FETCH.
        params: Box<Params>,
    },
    /// The peer changes a request. Answer with `accept_update` or `reject_update`.
    Update {
        /// The session's name for the request.
        request: RequestId,
        /// Parameters that change.
        params: Box<Params>,
    },
    /// The peer took back a request, or ended the one it was answering.
    Cancelled {
        /// The session's name for the request.
        request: RequestId,
        /// Code of the STOP_SENDING or RESET_STREAM.
        code: ResetCode,
    },
    /// No publisher came in time for a subscription on hold; it has been refused.
    RendezvousTimeout {
        /// The session's name for the request.
        request: RequestId,
    },

    /// The peer accepted a `subscribe`.
    SubscribeOk {
        /// The session's name for the request.
        request: RequestId,
        /// The newest object, and when it expires.
        params: Box<Params>,
        /// Properties of the track.
        properties: Properties,
    },
    /// The peer accepted a `fetch`.
    FetchOk {
        /// The session's name for the request.
        request: RequestId,
        /// Contents of the FETCH_OK.
        ok: Box<FetchOk>,
    },
    /// Any other request was accepted.
    RequestOk {
        /// The session's name for the request.
        request: RequestId,
        /// Parameters of the answer.
        params: Box<Params>,
        /// Properties of the track, for `track_status`.
        properties: Properties,
    },
    /// A request was refused. It is over.
    RequestError {
        /// The session's name for the request.
        request: RequestId,
        /// Contents of the REQUEST_ERROR.
        error: RequestError,
    },
    /// The peer accepted an `update`.
    UpdateOk {
        /// The session's name for the request.
        request: RequestId,
        /// Parameters that the peer adds.
        params: Box<Params>,
    },
    /// An `update` was refused. The request it was for ends too.
    UpdateError {
        /// The session's name for the request.
        request: RequestId,
        /// Contents of the REQUEST_ERROR.
        error: RequestError,
    },
    /// A namespace under the prefix asked for.
    Namespace {
        /// Request that the `subscribe_namespace` made.
        request: RequestId,
        /// Fields after the prefix.
        suffix: Namespace,
    },
    /// A namespace under the prefix asked for is no more.
    NamespaceDone {
        /// Request that the `subscribe_namespace` made.
        request: RequestId,
        /// Fields after the prefix.
        suffix: Namespace,
    },
    /// A track under the prefix asked for that cannot be published: subscribe to it.
    PublishBlocked {
        /// Request that the `subscribe_tracks` made.
        request: RequestId,
        /// The track, with what follows the prefix as its namespace.
        track: TrackName,
    },
    /// A subscription ended, and all of its streams that came have been given.
    Done {
        /// The session's name for the request.
        request: RequestId,
        /// Reason for the end.
        code: DoneCode,
        /// Reason phrase, for human readers.
        reason: Bytes,
    },

    /// A subgroup of a subscription begins; its objects follow.
    Subgroup {
        /// The stream it is on.
        stream: StreamId,
        /// Request of the subscription.
        request: RequestId,
        /// Header of the subgroup.
        header: SubgroupHeader,
    },
    /// The stream that answers a fetch begins; its objects follow.
    FetchStream {
        /// The stream it is on.
        stream: StreamId,
        /// Request of the fetch.
        request: RequestId,
    },
    /// An object of a subgroup begins.
    Object {
        /// The stream it is on.
        stream: StreamId,
        /// Header of the object.
        header: ObjectHeader,
    },
    /// An object of a fetch begins.
    FetchObject {
        /// The stream it is on.
        stream: StreamId,
        /// Header of the object.
        object: FetchObject,
    },
    /// Existence of objects that the fetch leaves out.
    RangeEnd {
        /// The stream it is on.
        stream: StreamId,
        /// The range, and whether its objects exist.
        end: RangeEnd,
    },
    /// The next piece of the payload of the last object on a stream.
    Payload {
        /// The stream it is on.
        stream: StreamId,
        /// The next bytes of the payload.
        data: Bytes,
    },
    /// A data stream ended: there are no further objects in its subgroup.
    StreamEnded {
        /// The session's name for the stream.
        stream: StreamId,
    },
    /// A data stream was broken off: there may be further objects.
    StreamReset {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// A data stream of ours is over before its end: the peer wants no more of
    /// it, or its time is up.
    StreamStopped {
        /// The session's name for the stream.
        stream: StreamId,
        /// Code of the reset or stop.
        code: ResetCode,
    },
    /// An object came in a datagram.
    Datagram {
        /// Request of the subscription.
        request: RequestId,
        /// The object, with its payload or status.
        datagram: Datagram,
    },
}

/// Side that closed a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The application, or the session for a reason that is not the peer's fault.
    Us,
    /// The session, because the peer broke the protocol.
    Violation,
    /// The peer, or the transport.
    Peer,
}
