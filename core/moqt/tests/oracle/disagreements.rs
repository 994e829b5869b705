//! Disagreements of the three codecs, with the draft's rule. Each entry is tried; if one of the others
//! changes its behaviour, the entry fails.

use bytes::Bytes;
use moq_transport::coding::Decode as _;
use moqt::{ControlReader, Message, Properties, PropertyValue, Version, data::Datagram};
use moqtap_codec::{
    draft18::{data_stream as moqtap, message::ControlMessage},
    error::CodecError,
};

/// Outcome of decoding some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    Refused,
}
use Verdict::{Refused, Taken};

impl Verdict {
    pub(crate) fn of(taken: bool) -> Self {
        if taken { Taken } else { Refused }
    }
}

/// The most that moqtap keeps as an object's ID, plus one: the limit of QUIC's
/// integers. The draft's IDs are all of 64 bits (Section 1.4.1).
pub(crate) const MOQTAP_MAX_OBJECT: u64 = 1 << 62;

/// Kind of the bytes of an entry.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A message that starts or goes on with a request.
    Request,
    /// An answer; `moq-transport`'s public codec has an ID before its fields.
    Answer,
    Datagram,
}

struct Disagreement {
    /// Subject of the entry, the draft's rule, and its section.
    about: &'static str,
    form: Form,
    bytes: &'static [u8],
    ours: Verdict,
    moqtap: Verdict,
    moq_transport: Verdict,
}

const ALL: &[Disagreement] = &[
    Disagreement {
        about: "A namespace has between 0 and 32 fields (Section 2.4.1): moq-transport wants one.",
        form: Form::Request,
        bytes: &[0x06, 0, 3, 0, 0, 0],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "A FETCH that ends before it starts is a request that fails, not a message that is \
                malformed (Section 10.12.3): the session answers INVALID_RANGE.",
        form: Form::Request,
        bytes: &[0x16, 0, 12, 0, 1, 1, 1, b'a', 1, b'b', 5, 0, 4, 0, 0],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "End Of Track is 1 or 0 (Section 10.13): moqtap takes any byte.",
        form: Form::Answer,
        bytes: &[0x18, 0, 4, 2, 0, 0, 0],
        ours: Refused,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "Priorities above 255 are invalid (Section 12.4): the others leave it to their callers.",
        form: Form::Answer,
        bytes: &[0x04, 0, 5, 0, 0, 0x0E, 0x81, 0x00],
        ours: Refused,
        moqtap: Taken,
        moq_transport: Taken,
    },
    Disagreement {
        about: "DEFAULT_PUBLISHER_GROUP_ORDER is 1 or 2 (Section 12.5): moq-transport leaves it to its \
                session.",
        form: Form::Answer,
        bytes: &[0x04, 0, 4, 0, 0, 0x22, 3],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "An unknown parameter is a PROTOCOL_VIOLATION (Section 10.2): moq-transport guesses its form.",
        form: Form::Request,
        bytes: &[0x03, 0, 9, 0, 1, 1, b'a', 1, b'b', 1, 0x40, 0],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A parameter in a message that it is not defined for is a PROTOCOL_VIOLATION \
                (Section 10.2.1): FILL_TIMEOUT in a SUBSCRIBE. moq-transport knows few scopes.",
        form: Form::Request,
        bytes: &[0x03, 0, 9, 0, 1, 1, b'a', 1, b'b', 1, 0x0A, 0],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A parameter given twice should be a PROTOCOL_VIOLATION (Section 10.2): moq-transport's codec \
                takes it.",
        form: Form::Request,
        bytes: &[0x03, 0, 11, 0, 1, 1, b'a', 1, b'b', 2, 0x02, 7, 0, 7],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "FORWARD over 1 is a PROTOCOL_VIOLATION (Section 10.2.12): moq-transport leaves it to its session.",
        form: Form::Request,
        bytes: &[0x03, 0, 9, 0, 1, 1, b'a', 1, b'b', 1, 0x10, 2],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "GROUP_ORDER is 1 or 2 (Section 10.2.8): moq-transport leaves it to its session.",
        form: Form::Request,
        bytes: &[0x03, 0, 9, 0, 1, 1, b'a', 1, b'b', 1, 0x22, 0],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A filter of an unknown type cannot be decoded (Section 5.1.2): moq-transport leaves it to its \
                session.",
        form: Form::Request,
        bytes: &[0x03, 0, 10, 0, 1, 1, b'a', 1, b'b', 1, 0x21, 1, 5],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A token that cannot be decoded is a KEY_VALUE_FORMATTING_ERROR (Section 10.2.2): \
                moq-transport leaves it to its session.",
        form: Form::Request,
        bytes: &[0x03, 0, 10, 0, 1, 1, b'a', 1, b'b', 1, 0x03, 1, 9],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "TRACK_NAMESPACE_PREFIX is a namespace (Section 10.2.14): moq-transport does not know it, \
                and reads an integer.",
        form: Form::Request,
        bytes: &[0x02, 0, 6, 2, 1, 0x34, 1, 1, b'a'],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "REQUEST_OK ends with track properties (Section 10.5): moq-transport's has none.",
        form: Form::Answer,
        bytes: &[0x07, 0, 3, 0, 0x0E, 7],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "REQUEST_ERROR with REDIRECT says where (Section 10.6.1): moq-transport's does not.",
        form: Form::Answer,
        bytes: &[0x05, 0, 6, 0x34, 1, 0, 0, 0, 0],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "A reason is UTF-8 (Section 1.4.4), and nothing says that another ends the session: it is for \
                people, and passed on.",
        form: Form::Answer,
        bytes: &[0x05, 0, 4, 0, 0, 1, 0xFF],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "GOAWAY has a timeout, and on the control stream a request ID (Section 10.4): \
                moq-transport's is the URI.",
        form: Form::Request,
        bytes: &[0x10, 0, 3, 0, 5, 0],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "PUBLISH_OK is REQUEST_OK under another name (Section 10.5), though Table 5 still lists 0x1E: \
                moq-transport takes that type too.",
        form: Form::Answer,
        bytes: &[0x1E, 0, 1, 0],
        ours: Refused,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "UNSUBSCRIBE is a message of older drafts, and not in Table 5. moq-transport still says it, \
                so we understand it.",
        form: Form::Answer,
        bytes: &[0x0A, 0, 0],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A datagram without a status has a payload, which may be empty (Section 11.3.1): \
                moq-transport wants a byte.",
        form: Form::Datagram,
        bytes: &[0x0C, 1, 2],
        ours: Taken,
        moqtap: Taken,
        moq_transport: Refused,
    },
    Disagreement {
        about: "Object Status is a variable-length integer (Section 11.3.1): moqtap reads a byte, and takes \
                the rest for a payload.",
        form: Form::Datagram,
        bytes: &[0x2C, 1, 2, 0x80, 3],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "The type of a datagram is an integer of any length (Section 1.4.1): moqtap takes its shortest \
                form only.",
        form: Form::Datagram,
        bytes: &[0x80, 0x0C, 1, 2, 9],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Taken,
    },
    Disagreement {
        about: "A datagram of padding is discarded (Section 11.5.2): the others have no form for it.",
        form: Form::Datagram,
        bytes: &[0xF0, 0x13, 0x2B, 0x3E, 0x29, 0],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Refused,
    },
    Disagreement {
        about: "Immutable Properties are passed on as they are (Section 12.7): moqtap wants to read them.",
        form: Form::Datagram,
        bytes: &[0x0D, 1, 2, 3, 0x0B, 1, 0x80, 9],
        ours: Taken,
        moqtap: Refused,
        moq_transport: Taken,
    },
];

/// Returns whether moqtap refuses an object because of its immutable properties.
pub(crate) fn has_odd_immutable(properties: &Properties) -> bool {
    properties.iter().any(|property| match property.value {
        PropertyValue::Bytes(inner) if property.key == 0x0B => {
            match Properties::from_wire(Bytes::copy_from_slice(inner)) {
                Ok(inner) => inner.iter().any(|inner| inner.key == 0x0B),
                Err(_) => true,
            }
        }
        _ => false,
    })
}

fn ours(bytes: &[u8]) -> Result<Message, &'static str> {
    let mut rest = Bytes::copy_from_slice(bytes);
    match ControlReader::new(Version::Draft18).read(&mut rest) {
        Ok(Some(message)) if rest.is_empty() => Ok(message),
        Ok(_) => Err("not one message"),
        Err(violation) => Err(violation.reason),
    }
}

fn moqtap_message(mut bytes: &[u8]) -> Result<ControlMessage, CodecError> {
    let message = ControlMessage::decode(&mut bytes)?;
    if bytes.is_empty() { Ok(message) } else { Err(CodecError::UnexpectedEnd) }
}

/// Returns the entry that explains a disagreement between moqtap and us on a message, if one does.
pub(crate) fn between_us_and_moqtap(bytes: &[u8]) -> Option<&'static str> {
    match (ours(bytes), moqtap_message(bytes)) {
        (Ok(Message::Unsubscribe(_)), Err(_)) => Some("UNSUBSCRIBE"),
        (Ok(_), Err(CodecError::InvalidRange(..))) => Some("a FETCH that ends before it starts"),
        (Err("End Of Track over 1"), Ok(_)) => Some("End Of Track"),
        (Err("a default priority over 255"), Ok(_)) => Some("DEFAULT_PUBLISHER_PRIORITY"),
        _ => None,
    }
}

/// Returns the entry that explains why `moq-transport` refuses a request that we accept, if one does.
pub(crate) fn between_us_and_moq_transport(bytes: &[u8]) -> Option<&'static str> {
    match ours(bytes).ok()? {
        Message::RequestUpdate(update) if update.params.namespace_prefix.is_some() => {
            Some("TRACK_NAMESPACE_PREFIX")
        }
        Message::PublishNamespace(m) if m.namespace.is_empty() => Some("a namespace of no fields"),
        Message::Subscribe(m) if m.track.namespace().is_empty() => Some("a namespace of no fields"),
        Message::TrackStatus(m) if m.track.namespace().is_empty() => Some("a namespace of no fields"),
        Message::Publish(m) if m.track.namespace().is_empty() => Some("a namespace of no fields"),
        Message::Fetch(m) => match m.kind {
            moqt::message::FetchKind::Standalone { track, .. } if track.namespace().is_empty() => {
                Some("a namespace of no fields")
            }
            _ => None,
        },
        Message::GoAway(_) => Some("GOAWAY"),
        // A request that was made an answer: those have an ID there.
        Message::SubscribeOk(_)
        | Message::RequestOk(_)
        | Message::RequestError(_)
        | Message::FetchOk(_)
        | Message::PublishDone(_)
        | Message::Unsubscribe(_) => Some("the ID in answers"),
        _ => None,
    }
}

impl Disagreement {
    fn verdicts(&self) -> [Verdict; 3] {
        let bytes = self.bytes;
        let with_id = crate::control::with_id;
        [
            match self.form {
                Form::Datagram => Verdict::of(Datagram::decode(Bytes::from_static(bytes)).is_ok()),
                Form::Request | Form::Answer => Verdict::of(ours(bytes).is_ok()),
            },
            match self.form {
                Form::Datagram => Verdict::of(moqtap::DatagramHeader::decode_object(&mut &bytes[..]).is_ok()),
                Form::Request | Form::Answer => Verdict::of(moqtap_message(bytes).is_ok()),
            },
            match self.form {
                Form::Datagram => Verdict::of(moq_transport::data::Datagram::decode(&mut &bytes[..]).is_ok()),
                Form::Request => Verdict::of(crate::moq_transport_forms::read(bytes).is_some()),
                Form::Answer => Verdict::of(crate::moq_transport_forms::read(&with_id(bytes)).is_some()),
            },
        ]
    }
}

#[test]
fn each_is_as_listed() {
    for entry in ALL {
        let expected = [entry.ours, entry.moqtap, entry.moq_transport];
        assert_eq!(entry.verdicts(), expected, "ours, moqtap, moq-transport: {}", entry.about);
        assert!(expected != [expected[0]; 3], "no disagreement: {}", entry.about);
    }
}
