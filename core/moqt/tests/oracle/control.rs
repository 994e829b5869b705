//! Control messages (Section 10).

use bytes::Bytes;
use moq_transport::coding::KeyValuePair;
use moqt::{Message, RequestCode, message::Setup};
use moqtap_codec::draft18::message::ControlMessage;
use proptest::prelude::*;

use crate::{
    disagreements::{self, Verdict},
    generate, moq_transport_forms, moqtap_forms, read, written,
};

fn moqtap_read(bytes: &[u8]) -> Option<ControlMessage> {
    let mut rest = bytes;
    let message = ControlMessage::decode(&mut rest).ok()?;
    rest.is_empty().then_some(message)
}

/// An answer as `moq-transport`'s public codec has it: with the ID of the request
/// before all else, where the draft has none (Section 10.1). Its session takes
/// the ID away before it sends, and puts it back when it receives.
pub(crate) fn with_id(answer: &[u8]) -> Vec<u8> {
    let (head, body) = answer.split_at(3);
    let len = u16::from_be_bytes([head[1], head[2]]) + 1;
    [&head[..1], &len.to_be_bytes(), &[0], body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn moqtap_reads_what_we_write_and_we_read_what_it_writes(message in generate::message()) {
        let ours = written(&message);
        let form = moqtap_forms::message(&message);
        prop_assert_eq!(moqtap_read(&ours), Some(form.clone()));
        let mut theirs = Vec::new();
        form.encode(&mut theirs).expect("what we can write it can");
        prop_assert_eq!(&theirs, &ours);
        prop_assert_eq!(read(&theirs), Some(message));
    }

    #[test]
    fn moq_transport_reads_our_requests_and_we_read_its(message in generate::request()) {
        let mut message = message;
        if let Message::RequestUpdate(update) = &mut message {
            update.params.namespace_prefix = None;
        }
        let ours = written(&message);
        let form = moq_transport_forms::message(&message);
        let read_by_it = moq_transport_forms::read(&ours);
        prop_assert!(read_by_it.is_some_and(|read| moq_transport_forms::same(&read, &form)));
        let theirs = moq_transport_forms::written(&form);
        prop_assert_eq!(&theirs, &ours);
        prop_assert_eq!(read(&theirs), Some(message));
    }

    #[test]
    fn moq_transport_reads_our_answers_and_we_read_its(message in generate::answer()) {
        let mut message = message;
        match &mut message {
            Message::RequestOk(ok) => ok.properties = moqt::Properties::NONE,
            Message::RequestError(error) if error.redirect.is_some() => {
                error.redirect = None;
                error.code = RequestCode::DOES_NOT_EXIST;
            }
            _ => {}
        }
        let ours = with_id(&written(&message));
        let form = moq_transport_forms::message(&message);
        let read_by_it = moq_transport_forms::read(&ours);
        prop_assert!(read_by_it.is_some_and(|read| moq_transport_forms::same(&read, &form)));
        let theirs = moq_transport_forms::written(&form);
        prop_assert_eq!(&theirs, &ours);
    }

    #[test]
    fn moq_transport_reads_our_setup_and_we_read_its(message in generate::setup()) {
        let ours = written(&message);
        let Message::Setup(setup) = &message else { unreachable!("a SETUP") };
        let pairs = setup_pairs(setup);
        prop_assert_eq!(moq_transport_forms::setup_pairs(&ours), Some(pairs.clone()));
        prop_assert_eq!(read(&moq_transport_forms::setup_bytes(pairs)), Some(message));
    }

    /// Both codecs refuse the same bytes.
    #[test]
    fn moqtap_refuses_what_we_refuse(message in generate::message(), mutation in mutation()) {
        let bytes = mutation.apply(&written(&message));
        let verdicts = (Verdict::of(read(&bytes).is_some()), Verdict::of(moqtap_read(&bytes).is_some()));
        if verdicts.0 != verdicts.1 {
            let entry = disagreements::between_us_and_moqtap(&bytes);
            prop_assert!(entry.is_some(), "{:?} {:02x?}", verdicts, bytes);
        }
    }

    /// `moq-transport` leaves parameters and properties to its session, so it
    /// takes more than we do; but what it refuses, we refuse.
    #[test]
    fn what_moq_transport_refuses_we_refuse(message in generate::request(), mutation in mutation()) {
        let bytes = mutation.apply(&written(&message));
        if read(&bytes).is_some() && moq_transport_forms::read(&bytes).is_none() {
            let entry = disagreements::between_us_and_moq_transport(&bytes);
            prop_assert!(entry.is_some(), "{:02x?}", bytes);
        }
    }
}

fn setup_pairs(setup: &Setup) -> Vec<KeyValuePair> {
    let bytes =
        |key, value: &Option<Bytes>| value.as_ref().map(|value| KeyValuePair::new_bytes(key, value.to_vec()));
    let mut pairs = Vec::new();
    pairs.extend(bytes(0x01, &setup.path));
    pairs.extend(setup.tokens.iter().map(|token| KeyValuePair::new_bytes(0x03, moqtap_forms::token(token))));
    pairs.extend(setup.max_auth_token_cache_size.map(|size| KeyValuePair::new_int(0x04, size)));
    pairs.extend(bytes(0x05, &setup.authority));
    pairs.extend(bytes(0x07, &setup.implementation));
    pairs
}

/// A way to spoil bytes.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// Its payload is cut, and its length matches.
    Cut(prop::sample::Index),
    /// Bytes follow the last field, and the length matches.
    Trail(Vec<u8>),
    /// One bit is another, after the type and length.
    Flip(prop::sample::Index, u8),
    /// One byte is another.
    Set(prop::sample::Index, u8),
    /// The length is another.
    Length(u16),
    /// Its type is replaced by another.
    Type(u8),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    prop_oneof![
        any::<Index>().prop_map(Mutation::Cut),
        prop::collection::vec(any::<u8>(), 1..6).prop_map(Mutation::Trail),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        any::<u16>().prop_map(Mutation::Length),
        prop_oneof![0u8..0x20, 0x50u8..0x52].prop_map(Mutation::Type),
    ]
}

impl Mutation {
    pub(crate) fn apply(&self, message: &[u8]) -> Vec<u8> {
        let head = if message[0] >= 0x80 { 4 } else { 3 };
        let (kind, mut payload) = (message[..head - 2].to_vec(), message[head..].to_vec());
        let mut len = None;
        let mut kind = kind;
        match self {
            Self::Cut(at) if !payload.is_empty() => payload.truncate(at.index(payload.len())),
            Self::Flip(at, bit) if !payload.is_empty() => {
                let at = at.index(payload.len());
                payload[at] ^= 1 << bit;
            }
            Self::Set(at, byte) if !payload.is_empty() => {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            Self::Trail(bytes) => payload.extend_from_slice(bytes),
            Self::Length(other) => len = Some(*other),
            Self::Type(other) => kind = vec![*other],
            Self::Cut(_) | Self::Flip(..) | Self::Set(..) => {}
        }
        let len = len.unwrap_or(payload.len() as u16);
        [&kind[..], &len.to_be_bytes(), &payload].concat()
    }
}
