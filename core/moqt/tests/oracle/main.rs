//! The codec against two that others wrote: `moqtap-codec` and `moq-transport`.
//!
//! What one encodes, the others decode to the same, for generated values; what
//! one refuses, the others refuse. Where they do not agree, the text of
//! draft-ietf-moq-transport-18 decides, and [`disagreements`] has an entry.

mod control;
mod datagram;
mod disagreements;
mod fetch;
mod generate;
mod moq_transport_forms;
mod moqtap_forms;
mod splits;
mod subgroup;
mod varint;

use bytes::{Bytes, BytesMut};
use moqt::{ControlReader, Message, Version};

/// The message as this crate writes it.
fn written(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(Version::Draft18, &mut out).expect("a message that fits");
    out.freeze()
}

/// The one message that `bytes` are, if they are one.
fn read(bytes: &[u8]) -> Option<Message> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let message = ControlReader::new(Version::Draft18).read(&mut rest).ok().flatten()?;
    rest.is_empty().then_some(message)
}
