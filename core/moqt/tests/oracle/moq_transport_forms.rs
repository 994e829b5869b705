//! Our values as those of `moq-transport`.

use moq_transport::{
    coding::{
        Decode, Encode, KeyValuePair, KeyValuePairs, Location as TheirLocation, ReasonPhrase,
        TrackName as TheirName, TrackNamespace, TrackNamespacePrefix, TupleField,
    },
    data::ExtensionHeaders,
    message::{self as theirs, TrackExtensions},
    setup,
};
use moqt::{
    Location, Message, Namespace, Params, Properties, PropertyValue, TrackName,
    message::{FetchKind, JoiningStart},
};

use crate::moqtap_forms;

fn fields(namespace: &Namespace) -> Vec<TupleField> {
    namespace.fields().iter().map(|field| TupleField { value: field.to_vec() }).collect()
}

fn namespace(namespace: &Namespace) -> TrackNamespace {
    TrackNamespace { fields: fields(namespace) }
}

fn prefix(namespace: &Namespace) -> TrackNamespacePrefix {
    TrackNamespacePrefix { fields: fields(namespace) }
}

fn name(track: &TrackName) -> TheirName {
    TheirName::from(track.name().to_vec())
}

pub(crate) fn location(location: Location) -> TheirLocation {
    TheirLocation::new(location.group, location.object)
}

/// All but TRACK_NAMESPACE_PREFIX, which it does not know.
fn params(params: &Params) -> KeyValuePairs {
    let mut pairs = Vec::new();
    let ints = [
        (0x02, params.object_delivery_timeout),
        (0x04, params.rendezvous_timeout),
        (0x06, params.subgroup_delivery_timeout),
        (0x08, params.expires),
        (0x0A, params.fill_timeout),
        (0x10, params.forward.map(u64::from)),
        (0x20, params.priority.map(u64::from)),
        (0x22, params.group_order.map(|order| if order == moqt::GroupOrder::Ascending { 1 } else { 2 })),
        (0x32, params.new_group_request),
    ];
    pairs.extend(ints.into_iter().filter_map(|(key, value)| Some(KeyValuePair::new_int(key, value?))));
    let mut bytes = |key, value| pairs.push(KeyValuePair::new_bytes(key, value));
    params.tokens.iter().for_each(|token| bytes(0x03, moqtap_forms::token(token)));
    params.largest.into_iter().for_each(|at| bytes(0x09, moqtap_forms::location_bytes(at)));
    params.filter.into_iter().for_each(|filter| bytes(0x21, moqtap_forms::filter(filter)));
    pairs.sort_by_key(|pair| pair.key);
    KeyValuePairs(pairs)
}

fn pairs(properties: &Properties) -> Vec<KeyValuePair> {
    let pair = |property: moqt::Property<'_>| match property.value {
        PropertyValue::Int(value) => KeyValuePair::new_int(property.key, value),
        PropertyValue::Bytes(value) => KeyValuePair::new_bytes(property.key, value.to_vec()),
    };
    properties.iter().map(pair).collect()
}

pub(crate) fn properties(properties: &Properties) -> ExtensionHeaders {
    ExtensionHeaders(pairs(properties))
}

fn text(bytes: &[u8]) -> ReasonPhrase {
    ReasonPhrase::new(std::str::from_utf8(bytes).expect("text"))
}

/// Any message but SETUP and GOAWAY.
pub(crate) fn message(message: &Message) -> theirs::Message {
    match message {
        Message::RequestUpdate(m) => theirs::RequestUpdate {
            id: m.request_id,
            existing_request_id: m.request_id,
            params: params(&m.params),
        }
        .into(),
        Message::Subscribe(m) => theirs::Subscribe {
            id: m.request_id,
            track_namespace: namespace(m.track.namespace()),
            track_name: name(&m.track),
            params: params(&m.params),
        }
        .into(),
        Message::SubscribeOk(m) => theirs::SubscribeOk {
            id: 0,
            track_alias: m.track_alias,
            params: params(&m.params),
            track_extensions: TrackExtensions(pairs(&m.properties)),
        }
        .into(),
        Message::RequestError(m) => theirs::RequestError {
            id: 0,
            error_code: m.code.0,
            retry_interval: m.retry_interval,
            reason: text(&m.reason),
        }
        .into(),
        Message::PublishNamespace(m) => theirs::PublishNamespace {
            id: m.request_id,
            track_namespace: namespace(&m.namespace),
            params: params(&m.params),
        }
        .into(),
        Message::RequestOk(m) => theirs::RequestOk { id: 0, params: params(&m.params) }.into(),
        Message::Namespace(suffix) => theirs::Namespace { track_namespace_suffix: prefix(suffix) }.into(),
        Message::NamespaceDone(suffix) => {
            theirs::NamespaceDone { track_namespace_suffix: prefix(suffix) }.into()
        }
        Message::PublishDone(m) => theirs::PublishDone {
            id: 0,
            status_code: m.code.0,
            stream_count: m.stream_count,
            reason: text(&m.reason),
        }
        .into(),
        Message::TrackStatus(m) => theirs::TrackStatus {
            id: m.request_id,
            track_namespace: namespace(m.track.namespace()),
            track_name: name(&m.track),
            params: params(&m.params),
        }
        .into(),
        Message::PublishBlocked(m) => theirs::PublishBlocked {
            track_namespace_suffix: prefix(m.track.namespace()),
            track_name: name(&m.track),
        }
        .into(),
        Message::Fetch(m) => fetch(m).into(),
        Message::FetchOk(m) => theirs::FetchOk {
            id: 0,
            end_of_track: m.end_of_track,
            end_location: location(m.end),
            params: params(&m.params),
            track_extensions: TrackExtensions(pairs(&m.properties)),
        }
        .into(),
        Message::Publish(m) => theirs::Publish {
            id: m.request_id,
            track_namespace: namespace(m.track.namespace()),
            track_name: name(&m.track),
            track_alias: m.track_alias,
            params: params(&m.params),
            track_extensions: TrackExtensions(pairs(&m.properties)),
        }
        .into(),
        Message::SubscribeNamespace(m) => theirs::SubscribeNamespace {
            id: m.request_id,
            track_namespace_prefix: prefix(&m.prefix),
            params: params(&m.params),
        }
        .into(),
        Message::SubscribeTracks(m) => theirs::SubscribeTracks {
            id: m.request_id,
            track_namespace_prefix: prefix(&m.prefix),
            params: params(&m.params),
        }
        .into(),
        Message::Setup(_) | Message::GoAway(_) | Message::Unsubscribe(_) => {
            unreachable!("they have tests of their own")
        }
    }
}

fn fetch(m: &moqt::message::Fetch) -> theirs::Fetch {
    let (fetch_type, standalone_fetch, joining_fetch) = match &m.kind {
        FetchKind::Standalone { track, start, end } => {
            let standalone = theirs::StandaloneFetch {
                track_namespace: namespace(track.namespace()),
                track_name: name(track),
                start_location: location(*start),
                end_location: location(*end),
            };
            (theirs::FetchType::Standalone, Some(standalone), None)
        }
        FetchKind::Joining { request_id, start } => {
            let (fetch_type, joining_start) = match *start {
                JoiningStart::Relative(groups) => (theirs::FetchType::RelativeJoining, groups),
                JoiningStart::Absolute(group) => (theirs::FetchType::AbsoluteJoining, group),
            };
            let joining = theirs::JoiningFetch { joining_request_id: *request_id, joining_start };
            (fetch_type, None, Some(joining))
        }
    };
    theirs::Fetch { id: m.request_id, fetch_type, standalone_fetch, joining_fetch, params: params(&m.params) }
}

/// Returns the options of its SETUP, by key.
pub(crate) fn setup_pairs(bytes: &[u8]) -> Option<Vec<KeyValuePair>> {
    let mut rest = bytes;
    let setup = setup::Setup::decode(&mut rest).ok()?;
    rest.is_empty().then_some(setup.params.0)
}

/// A SETUP as it writes it.
pub(crate) fn setup_bytes(pairs: Vec<KeyValuePair>) -> Vec<u8> {
    let mut out = Vec::new();
    setup::Setup { params: KeyValuePairs(pairs) }.encode(&mut out).expect("a SETUP");
    out
}

/// The one message that `bytes` are, if they are one.
pub(crate) fn read(bytes: &[u8]) -> Option<theirs::Message> {
    let mut rest = bytes;
    let message = theirs::Message::decode(&mut rest).ok()?;
    rest.is_empty().then_some(message)
}

pub(crate) fn written(message: &theirs::Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).expect("a message");
    out
}

/// Returns whether two messages are equal: its messages can be compared, but not in the enum they come in.
pub(crate) fn same(a: &theirs::Message, b: &theirs::Message) -> bool {
    macro_rules! same {
        ($($kind:ident),*) => {
            match (a, b) {
                $((theirs::Message::$kind(a), theirs::Message::$kind(b)) => a == b,)*
                _ => false,
            }
        };
    }
    same!(
        RequestUpdate,
        Subscribe,
        SubscribeOk,
        RequestError,
        PublishNamespace,
        RequestOk,
        Namespace,
        NamespaceDone,
        PublishDone,
        TrackStatus,
        PublishBlocked,
        Fetch,
        FetchOk,
        Publish,
        SubscribeNamespace,
        SubscribeTracks
    )
}
