//! Generators of messages, names, parameters and objects.

use bytes::Bytes;
use moqt::{
    DoneCode, FetchOk, Filter, GroupOrder, Location, Message, Namespace, Params, Properties, RequestCode,
    Token, TrackName,
    message::{
        Fetch, FetchKind, GoAway, JoiningStart, Publish, PublishBlocked, PublishDone, PublishNamespace,
        Redirect, RequestError, RequestOk, RequestUpdate, Setup, Subscribe, SubscribeNamespace, SubscribeOk,
        SubscribeTracks, TrackStatus,
    },
};
use proptest::{collection::vec, option, prelude::*};

/// Integers of every length on the wire.
pub(crate) fn int() -> impl Strategy<Value = u64> {
    (0u32..=64, any::<u64>()).prop_map(|(bits, value)| match bits {
        0 => 0,
        bits => value >> (64 - bits),
    })
}

pub(crate) fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn text(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<char>(), 0..=max / 4).prop_map(|chars| chars.into_iter().collect::<String>().into())
}

/// A namespace of at least `min` fields.
pub(crate) fn namespace(min: usize) -> impl Strategy<Value = Namespace> {
    let fields = prop_oneof![
        8 => vec(vec(any::<u8>(), 1..12), min..5),
        1 => vec(vec(any::<u8>(), 1..4), 28..=32),
        1 => vec(vec(any::<u8>(), 120..130), min..5),
    ];
    fields.prop_map(|fields| Namespace::new(fields).expect("a namespace"))
}

pub(crate) fn track(min: usize) -> impl Strategy<Value = TrackName> {
    (namespace(min), bytes(20))
        .prop_map(|(namespace, name)| TrackName::new(namespace, name).expect("a track"))
}

pub(crate) fn location() -> impl Strategy<Value = Location> {
    (int(), int()).prop_map(|(group, object)| Location { group, object })
}

fn group_order() -> impl Strategy<Value = GroupOrder> {
    prop_oneof![Just(GroupOrder::Ascending), Just(GroupOrder::Descending)]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        int().prop_map(|alias| Token::Delete { alias }),
        int().prop_map(|alias| Token::UseAlias { alias }),
        (int(), bytes(40)).prop_map(|(kind, value)| Token::UseValue { kind, value }),
        (int(), int(), bytes(40)).prop_map(|(alias, kind, value)| Token::Register { alias, kind, value }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        Just(Filter::NextGroup),
        Just(Filter::LargestObject),
        location().prop_map(Filter::From),
        (location(), int()).prop_map(|(start, groups)| Filter::Range {
            start,
            end_group: start.group.saturating_add(groups)
        }),
    ]
}

/// Fields that a message may carry besides its own.
#[derive(Clone, Copy)]
enum Carries {
    Subscribe,
    SubscribeOk,
    Publish,
    RequestOk,
    Fetch,
    Update,
    Tracks,
    Tokens,
}

fn params(carries: Carries) -> impl Strategy<Value = Params> {
    let ints = vec(option::of(int()), 6);
    let small = (option::of(any::<bool>()), option::of(any::<u8>()), option::of(group_order()));
    let rest = (vec(token(), 0..3), option::of(location()), option::of(filter()), option::of(namespace(0)));
    (ints, small, rest).prop_map(
        move |(ints, (forward, priority, group_order), (tokens, largest, filter, prefix))| {
            use Carries as C;
            let subscriber = matches!(carries, C::Subscribe | C::RequestOk | C::Update);
            let when = |allowed: bool, value: Option<u64>| value.filter(|_| allowed);
            Params {
                object_delivery_timeout: when(subscriber, ints[0]),
                tokens: if matches!(carries, C::SubscribeOk | C::RequestOk) { Vec::new() } else { tokens },
                rendezvous_timeout: when(matches!(carries, C::Subscribe), ints[1]),
                subgroup_delivery_timeout: when(subscriber, ints[2]),
                expires: when(matches!(carries, C::SubscribeOk | C::Publish | C::RequestOk), ints[3]),
                largest: largest.filter(|_| matches!(carries, C::SubscribeOk | C::Publish | C::RequestOk)),
                fill_timeout: when(matches!(carries, C::Fetch), ints[4]),
                forward: forward.filter(|_| subscriber || matches!(carries, C::Publish | C::Tracks)),
                priority: priority.filter(|_| subscriber || matches!(carries, C::Fetch)),
                filter: filter.filter(|_| subscriber),
                group_order: group_order
                    .filter(|_| matches!(carries, C::Subscribe | C::RequestOk | C::Fetch)),
                new_group_request: when(subscriber, ints[5]),
                namespace_prefix: prefix.filter(|_| matches!(carries, C::Update)),
            }
        },
    )
}

/// Properties that any object may have, by their keys.
pub(crate) fn properties() -> impl Strategy<Value = Properties> {
    let key = prop_oneof![0x38u64..0x40, 0x3800u64..0x3900, (1u64 << 40)..(1 << 41)];
    vec((key, int(), bytes(30)), 0..4).prop_map(|pairs| {
        pairs
            .into_iter()
            .fold(Properties::builder(), |builder, (key, value, bytes)| match key % 2 {
                0 => builder.int(key, value),
                _ => builder.bytes(key, bytes),
            })
            .build()
    })
}

fn track_properties() -> impl Strategy<Value = Properties> {
    let defined = (option::of(int()), option::of(any::<u8>()), option::of(1u64..3), option::of(0u64..2));
    (defined, option::of(properties())).prop_map(|((timeout, priority, order, dynamic), inner)| {
        let ints = [(0x02, timeout), (0x0E, priority.map(u64::from)), (0x22, order), (0x30, dynamic)];
        let mut builder = Properties::builder();
        for (key, value) in ints {
            if let Some(value) = value {
                builder = builder.int(key, value);
            }
        }
        if let Some(inner) = inner {
            builder = builder.bytes(0x0B, inner.as_wire().clone());
        }
        builder.build()
    })
}

fn fetch_kind() -> impl Strategy<Value = FetchKind> {
    prop_oneof![
        (track(1), location(), int(), int()).prop_map(|(track, start, groups, objects)| {
            let group = start.group.saturating_add(groups);
            let object = if group == start.group {
                start.object.checked_add(1).map_or(0, |first| first.saturating_add(objects))
            } else {
                objects
            };
            FetchKind::Standalone { track, start, end: Location { group, object } }
        }),
        (int(), int()).prop_map(|(request_id, groups)| FetchKind::Joining {
            request_id,
            start: JoiningStart::Relative(groups)
        }),
        (int(), int()).prop_map(|(request_id, group)| FetchKind::Joining {
            request_id,
            start: JoiningStart::Absolute(group)
        }),
    ]
}

/// A request, which names itself by its ID, or a message without parameters.
pub(crate) fn request() -> impl Strategy<Value = Message> {
    use Carries as C;
    prop_oneof![
        (int(), track(1), params(C::Subscribe)).prop_map(|(request_id, track, params)| Message::Subscribe(
            Subscribe { request_id, track, params }
        )),
        (int(), track(1), int(), params(C::Publish), track_properties()).prop_map(
            |(request_id, track, track_alias, params, properties)| Message::Publish(Publish {
                request_id,
                track,
                track_alias,
                params,
                properties
            })
        ),
        (int(), fetch_kind(), params(C::Fetch))
            .prop_map(|(request_id, kind, params)| Message::Fetch(Fetch { request_id, kind, params })),
        (int(), track(1), params(C::Tokens)).prop_map(|(request_id, track, params)| Message::TrackStatus(
            TrackStatus { request_id, track, params }
        )),
        (int(), namespace(1), params(C::Tokens)).prop_map(|(request_id, namespace, params)| {
            Message::PublishNamespace(PublishNamespace { request_id, namespace, params })
        }),
        (int(), namespace(0), params(C::Tokens)).prop_map(|(request_id, prefix, params)| {
            Message::SubscribeNamespace(SubscribeNamespace { request_id, prefix, params })
        }),
        (int(), namespace(0), params(C::Tracks)).prop_map(|(request_id, prefix, params)| {
            Message::SubscribeTracks(SubscribeTracks { request_id, prefix, params })
        }),
        (int(), params(C::Update))
            .prop_map(|(request_id, params)| Message::RequestUpdate(RequestUpdate { request_id, params })),
        namespace(0).prop_map(Message::Namespace),
        namespace(0).prop_map(Message::NamespaceDone),
        track(0).prop_map(|track| Message::PublishBlocked(PublishBlocked { track })),
    ]
}

/// An answer, which is known by its stream.
pub(crate) fn answer() -> impl Strategy<Value = Message> {
    use Carries as C;
    prop_oneof![
        (int(), params(C::SubscribeOk), track_properties()).prop_map(|(track_alias, params, properties)| {
            Message::SubscribeOk(SubscribeOk { track_alias, params, properties })
        }),
        (params(C::RequestOk), track_properties())
            .prop_map(|(params, properties)| Message::RequestOk(RequestOk { params, properties })),
        (int(), int(), text(1024)).prop_filter_map("a redirect says where", |(code, interval, reason)| {
            let code = RequestCode(code);
            let error = RequestError { code, retry_interval: interval, reason, redirect: None };
            (code != RequestCode::REDIRECT).then_some(Message::RequestError(error))
        }),
        (text(40), redirect()).prop_map(|(reason, redirect)| {
            let code = RequestCode::REDIRECT;
            Message::RequestError(RequestError {
                code,
                retry_interval: 1,
                reason,
                redirect: Some(Box::new(redirect)),
            })
        }),
        (any::<bool>(), location(), track_properties()).prop_map(|(end_of_track, end, properties)| {
            Message::FetchOk(FetchOk { end_of_track, end, params: Params::default(), properties })
        }),
        (int(), int(), text(1024)).prop_map(|(code, stream_count, reason)| Message::PublishDone(
            PublishDone { code: DoneCode(code), stream_count, reason }
        )),
    ]
}

fn redirect() -> impl Strategy<Value = Redirect> {
    (text(80), track(0)).prop_map(|(uri, track)| Redirect {
        uri,
        namespace: track.namespace().clone(),
        name: track.name().clone(),
    })
}

pub(crate) fn goaway() -> impl Strategy<Value = Message> {
    (text(200), int(), option::of(int()))
        .prop_map(|(uri, timeout, request_id)| Message::GoAway(GoAway { uri, timeout, request_id }))
}

pub(crate) fn setup() -> impl Strategy<Value = Message> {
    let fields = (option::of(bytes(40)), vec(token(), 0..3), option::of(int()), option::of(bytes(40)));
    (fields, option::of(text(40))).prop_map(
        |((path, tokens, max_auth_token_cache_size, authority), implementation)| {
            Message::Setup(Setup { path, tokens, max_auth_token_cache_size, authority, implementation })
        },
    )
}

/// Generates any message.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![8 => request(), 4 => answer(), 1 => goaway(), 1 => setup()]
}

/// The same properties in their shortest form.
pub(crate) fn rebuilt(properties: &Properties) -> Properties {
    let add = |builder: moqt::PropertiesBuilder, property: moqt::Property<'_>| match property.value {
        moqt::PropertyValue::Int(value) => builder.int(property.key, value),
        moqt::PropertyValue::Bytes(value) => builder.bytes(property.key, value.to_vec()),
    };
    properties.iter().fold(Properties::builder(), add).build()
}
