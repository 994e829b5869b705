//! Our values as those of `moqtap-codec`.

use moqt::{
    Filter, Location, Message, Namespace, Params, Properties, PropertyValue, Token, TrackName,
    message::{FetchKind, JoiningStart, Setup},
};
use moqtap_codec::{
    auth_token::{AuthorizationToken, TokenAliasType},
    draft18::message as theirs,
    kvp::{KeyValuePair, KvpValue},
    subscription_filter::{FilterEnd, SubscriptionFilter},
    types::{FilterType, Location as TheirLocation, TrackNamespace},
    varint::{Moqt18, VarInt},
};

pub(crate) fn int(value: u64) -> VarInt {
    VarInt::from_u64_moqt(value)
}

fn int_pair(key: u64, value: u64) -> KeyValuePair {
    KeyValuePair { key: int(key), value: KvpValue::Varint(int(value)) }
}

fn bytes_pair(key: u64, value: Vec<u8>) -> KeyValuePair {
    KeyValuePair { key: int(key), value: KvpValue::Bytes(value) }
}

pub(crate) fn namespace(namespace: &Namespace) -> TrackNamespace {
    TrackNamespace(namespace.fields().iter().map(|field| field.to_vec()).collect())
}

fn location(location: Location) -> TheirLocation {
    TheirLocation { group: int(location.group), object: int(location.object) }
}

pub(crate) fn token(token: &Token) -> Vec<u8> {
    use TokenAliasType as T;
    let (alias_type, alias, token_type, value) = match token {
        Token::Delete { alias } => (T::Delete, Some(*alias), None, Vec::new()),
        Token::UseAlias { alias } => (T::UseAlias, Some(*alias), None, Vec::new()),
        Token::Register { alias, kind, value } => (T::Register, Some(*alias), Some(*kind), value.to_vec()),
        Token::UseValue { kind, value } => (T::UseValue, None, Some(*kind), value.to_vec()),
    };
    let mut out = Vec::new();
    let token = AuthorizationToken { alias_type, alias, token_type, value };
    token.encode_moqt::<Moqt18>(&mut out);
    out
}

pub(crate) fn filter(filter: Filter) -> Vec<u8> {
    use FilterType as F;
    let (filter_type, start, end) = match filter {
        Filter::NextGroup => (F::NextGroupStart, None, None),
        Filter::LargestObject => (F::LargestObject, None, None),
        Filter::From(start) => (F::AbsoluteStart, Some(start), None),
        Filter::Range { start, end_group } => {
            (F::AbsoluteRange, Some(start), Some(FilterEnd::GroupDelta(end_group - start.group)))
        }
    };
    let mut out = Vec::new();
    let filter = SubscriptionFilter { filter_type, start_location: start.map(location), end_group: end };
    filter.encode_moqt::<Moqt18>(&mut out).expect("a filter");
    out
}

pub(crate) fn location_bytes(at: Location) -> Vec<u8> {
    let mut out = Vec::new();
    location(at).encode_moqt::<Moqt18>(&mut out);
    out
}

pub(crate) fn params(params: &Params) -> Vec<KeyValuePair> {
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
    pairs.extend(ints.into_iter().filter_map(|(key, value)| Some(int_pair(key, value?))));
    pairs.extend(params.tokens.iter().map(|each| bytes_pair(0x03, token(each))));
    pairs.extend(params.largest.map(|at| bytes_pair(0x09, location_bytes(at))));
    pairs.extend(params.filter.map(|each| bytes_pair(0x21, filter(each))));
    pairs.extend(params.namespace_prefix.as_ref().map(|prefix| {
        let mut out = Vec::new();
        namespace(prefix).encode_moqt::<Moqt18>(&mut out);
        bytes_pair(0x34, out)
    }));
    pairs.sort_by_key(|pair| pair.key.into_inner());
    pairs
}

pub(crate) fn properties(properties: &Properties) -> Vec<KeyValuePair> {
    let pair = |property: moqt::Property<'_>| match property.value {
        PropertyValue::Int(value) => int_pair(property.key, value),
        PropertyValue::Bytes(value) => bytes_pair(property.key, value.to_vec()),
    };
    properties.iter().map(pair).collect()
}

fn setup(setup: &Setup) -> Vec<KeyValuePair> {
    let mut pairs = Vec::new();
    let bytes = [(0x01, &setup.path), (0x05, &setup.authority), (0x07, &setup.implementation)];
    pairs
        .extend(bytes.into_iter().filter_map(|(key, value)| Some(bytes_pair(key, value.as_ref()?.to_vec()))));
    pairs.extend(setup.tokens.iter().map(|each| bytes_pair(0x03, token(each))));
    pairs.extend(setup.max_auth_token_cache_size.map(|size| int_pair(0x04, size)));
    pairs.sort_by_key(|pair| pair.key.into_inner());
    pairs
}

fn track(track: &TrackName) -> (TrackNamespace, Vec<u8>) {
    (namespace(track.namespace()), track.name().to_vec())
}

pub(crate) fn message(message: &Message) -> theirs::ControlMessage {
    use theirs::ControlMessage as T;
    match message {
        Message::RequestUpdate(m) => T::RequestUpdate(theirs::RequestUpdate {
            request_id: int(m.request_id),
            parameters: params(&m.params),
        }),
        Message::Subscribe(m) => {
            let (track_namespace, track_name) = track(&m.track);
            let (request_id, parameters) = (int(m.request_id), params(&m.params));
            T::Subscribe(theirs::Subscribe { request_id, track_namespace, track_name, parameters })
        }
        Message::SubscribeOk(m) => T::SubscribeOk(theirs::SubscribeOk {
            track_alias: int(m.track_alias),
            parameters: params(&m.params),
            track_properties: properties(&m.properties),
        }),
        Message::RequestError(m) => T::RequestError(theirs::RequestError {
            error_code: int(m.code.0),
            retry_interval: int(m.retry_interval),
            reason_phrase: m.reason.to_vec(),
            redirect: m.redirect.as_ref().map(|redirect| theirs::Redirect {
                connect_uri: redirect.uri.to_vec(),
                track_namespace: namespace(&redirect.namespace),
                track_name: redirect.name.to_vec(),
            }),
        }),
        Message::PublishNamespace(m) => T::PublishNamespace(theirs::PublishNamespace {
            request_id: int(m.request_id),
            track_namespace: namespace(&m.namespace),
            parameters: params(&m.params),
        }),
        Message::RequestOk(m) => T::RequestOk(theirs::RequestOk {
            parameters: params(&m.params),
            track_properties: properties(&m.properties),
        }),
        Message::Namespace(suffix) => T::Namespace(theirs::Namespace { namespace_suffix: namespace(suffix) }),
        Message::NamespaceDone(suffix) => {
            T::NamespaceDone(theirs::NamespaceDone { namespace_suffix: namespace(suffix) })
        }
        Message::PublishDone(m) => T::PublishDone(theirs::PublishDone {
            status_code: int(m.code.0),
            stream_count: int(m.stream_count),
            reason_phrase: m.reason.to_vec(),
        }),
        Message::TrackStatus(m) => {
            let (track_namespace, track_name) = track(&m.track);
            let (request_id, parameters) = (int(m.request_id), params(&m.params));
            T::TrackStatus(theirs::TrackStatus { request_id, track_namespace, track_name, parameters })
        }
        Message::PublishBlocked(m) => {
            let (namespace_suffix, track_name) = track(&m.track);
            T::PublishBlocked(theirs::PublishBlocked { namespace_suffix, track_name })
        }
        Message::GoAway(m) => T::GoAway(theirs::GoAway {
            new_session_uri: m.uri.to_vec(),
            timeout: int(m.timeout),
            request_id: m.request_id.map(int),
        }),
        Message::Fetch(m) => fetch(m),
        Message::FetchOk(m) => T::FetchOk(theirs::FetchOk {
            end_of_track: m.end_of_track.into(),
            end_group: int(m.end.group),
            end_object: int(m.end.object),
            parameters: params(&m.params),
            track_properties: properties(&m.properties),
        }),
        Message::Publish(m) => {
            let (track_namespace, track_name) = track(&m.track);
            T::Publish(theirs::Publish {
                request_id: int(m.request_id),
                track_namespace,
                track_name,
                track_alias: int(m.track_alias),
                parameters: params(&m.params),
                track_properties: properties(&m.properties),
            })
        }
        Message::SubscribeNamespace(m) => T::SubscribeNamespace(theirs::SubscribeNamespace {
            request_id: int(m.request_id),
            namespace_prefix: namespace(&m.prefix),
            parameters: params(&m.params),
        }),
        Message::SubscribeTracks(m) => T::SubscribeTracks(theirs::SubscribeTracks {
            request_id: int(m.request_id),
            namespace_prefix: namespace(&m.prefix),
            parameters: params(&m.params),
        }),
        Message::Setup(m) => T::Setup(theirs::Setup { options: setup(m) }),
        Message::Unsubscribe(_) => unreachable!("moqtap has no form for it"),
    }
}

fn fetch(m: &moqt::message::Fetch) -> theirs::ControlMessage {
    use theirs::FetchType as F;
    let (fetch_type, fetch_payload) = match &m.kind {
        FetchKind::Standalone { track: name, start, end } => {
            let (track_namespace, track_name) = track(name);
            let payload = theirs::FetchPayload::Standalone {
                track_namespace,
                track_name,
                start_group: int(start.group),
                start_object: int(start.object),
                end_group: int(end.group),
                end_object: int(end.object),
            };
            (F::Standalone, payload)
        }
        FetchKind::Joining { request_id, start } => {
            let (fetch_type, start) = match start {
                JoiningStart::Relative(groups) => (F::RelativeJoining, *groups),
                JoiningStart::Absolute(group) => (F::AbsoluteJoining, *group),
            };
            let payload = theirs::FetchPayload::Joining {
                joining_request_id: int(*request_id),
                joining_start: int(start),
            };
            (fetch_type, payload)
        }
    };
    let (request_id, parameters) = (int(m.request_id), params(&m.params));
    theirs::ControlMessage::Fetch(theirs::Fetch { request_id, fetch_type, fetch_payload, parameters })
}
