//! Reading a control message's payload.

use bytes::{Buf as _, Bytes};

use crate::{Location, Violation, varint};

/// Takes fields off the front of a payload that is there in full, without
/// copying. Running out is the peer's fault: its Length field promised more.
pub(crate) struct Reader(Bytes);

const SHORT: Violation = Violation::protocol("a message shorter than its fields");

impl Reader {
    pub(crate) fn new(payload: Bytes) -> Self {
        Self(payload)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Violation> {
        let (value, len) = varint::get(&self.0).ok_or(SHORT)?;
        self.0.advance(len);
        Ok(value)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Violation> {
        let value = *self.0.first().ok_or(SHORT)?;
        self.0.advance(1);
        Ok(value)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<Bytes, Violation> {
        if len > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(len))
    }

    /// Bytes behind a length of at most `max`.
    pub(crate) fn prefixed(&mut self, max: usize, too_long: &'static str) -> Result<Bytes, Violation> {
        let len = self.varint()?;
        if len > max as u64 {
            return Err(Violation::protocol(too_long));
        }
        self.bytes(len as usize)
    }

    pub(crate) fn location(&mut self) -> Result<Location, Violation> {
        Ok(Location { group: self.varint()?, object: self.varint()? })
    }

    /// Returns all remaining bytes.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
}
