//! Cutting control and request streams into messages.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::{Message, Version, Violation, message::MAX_PAYLOAD_LEN, varint};

/// Takes a control or request stream's bytes as they arrive, in any split, and
/// gives its messages. Holds at most one message that is still arriving; one
/// that arrives in one piece is not copied.
#[derive(Debug)]
pub struct ControlReader {
    version: Version,
    /// The beginning of an incomplete message. Empty, or at most one header and [`MAX_PAYLOAD_LEN`].
    partial: BytesMut,
}

impl ControlReader {
    /// A reader for a stream of that version.
    pub fn new(version: Version) -> Self {
        Self { version, partial: BytesMut::new() }
    }

    /// Takes what it can use off the front of `chunk`: gives a message, or
    /// `None` once it needs more than `chunk` held.
    pub fn read(&mut self, chunk: &mut Bytes) -> Result<Option<Message>, Violation> {
        let Some((id, payload)) = self.frame(chunk)? else { return Ok(None) };
        Message::decode(self.version, id, payload).map(Some)
    }

    /// Returns whether the stream may end here: not within a message.
    pub fn is_between_messages(&self) -> bool {
        self.partial.is_empty()
    }

    fn frame(&mut self, chunk: &mut Bytes) -> Result<Option<(u64, Bytes)>, Violation> {
        loop {
            if self.partial.is_empty() {
                if let Some((id, start, end)) = header(chunk)?
                    && let Some(payload) = chunk.get(start..end)
                {
                    let payload = chunk.slice_ref(payload);
                    chunk.advance(end);
                    return Ok(Some((id, payload)));
                }
                if chunk.is_empty() {
                    return Ok(None);
                }
            }
            // Byte by byte through the header, then all of the payload at once.
            let wanted = match header(&self.partial)? {
                None => 1,
                Some((id, start, end)) if self.partial.len() == end => {
                    self.partial.advance(start);
                    return Ok(Some((id, std::mem::take(&mut self.partial).freeze())));
                }
                Some((_, _, end)) => end - self.partial.len(),
            };
            let taken = wanted.min(chunk.len());
            if taken == 0 {
                return Ok(None);
            }
            self.partial.extend_from_slice(&chunk.split_to(taken));
        }
    }
}

/// The type of the message at the head of `bytes`, where its payload starts and
/// where it ends; `None` while the header is not there in full.
fn header(bytes: &[u8]) -> Result<Option<(u64, usize, usize)>, Violation> {
    let Some((id, len)) = varint::get(bytes) else { return Ok(None) };
    if !Message::is_known(id) {
        return Err(Violation::protocol("an unknown message type"));
    }
    let Some(size) = bytes.get(len..len + 2) else { return Ok(None) };
    let payload = usize::from(u16::from_be_bytes([size[0], size[1]]));
    debug_assert!(payload <= MAX_PAYLOAD_LEN);
    Ok(Some((id, len + 2, len + 2 + payload)))
}
