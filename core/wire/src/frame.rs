//! Packets and frames: the version byte, the lengths, and the reader.

use std::marker::PhantomData;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::limits;

/// The version of everything in this crate: the first byte of each packet.
pub const VERSION: u8 = 1;

/// The ways in which bytes fail to be a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The packet is empty: even the version byte is missing.
    #[error("an empty packet")]
    Empty,
    /// The packet has another version than ours.
    #[error("a packet of version {0}: this end has version {VERSION}")]
    Version(u8),
    /// The frame's length is not a number, or exceeds [`limits::FRAME`].
    #[error("a frame length that is no number, or above the limit")]
    Length,
    /// The frame extends past the packet's end.
    #[error("a frame of {frame} bytes where {left} are left")]
    Truncated {
        /// Bytes that the frame claims.
        frame: usize,
        /// Bytes that the packet still has.
        left: usize,
    },
    /// The frame's kind is known, but its bytes make no message.
    #[error("a message of a known kind that does not decode")]
    Malformed,
}

/// Begins a packet at the end of `out`.
pub fn start(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// Returns a packet of one message.
pub fn packet<T: Serialize>(message: &T) -> Vec<u8> {
    let mut out = Vec::new();
    start(&mut out);
    put(&mut out, message);
    out
}

/// Appends a message to the packet that `out` ends with.
pub fn put<T: Serialize>(out: &mut Vec<u8>, message: &T) {
    let at = out.len();
    // Nearly all messages are short: reserve one byte for the length, and make room if that proves too
    // little.
    out.push(0);
    let written = postcard::serialize_with_flavor(message, Tail(out));
    debug_assert!(written.is_ok(), "a type of this crate cannot be written: {written:?}");
    let mut len = out.len() - at - 1;
    let more = (usize::BITS - len.leading_zeros()).div_ceil(7).saturating_sub(1) as usize;
    if more > 0 {
        out.splice(at..at, std::iter::repeat_n(0, more));
    }
    for byte in &mut out[at..at + more] {
        *byte = len as u8 | 0x80;
        len >>= 7;
    }
    out[at + more] = len as u8;
}

/// Appends postcard's output to a vector in runs.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// One frame after decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a, T> {
    /// A message of a known kind.
    Known(T),
    /// The bytes of a newer peer's message: its kind, a value or a length is not known here.
    Unknown(&'a [u8]),
}

/// Iterates over a packet's messages; ends after an error.
#[derive(Clone, Debug)]
pub struct Frames<'a, T> {
    left: &'a [u8],
    kind: PhantomData<fn() -> T>,
}

impl<'a, T: Deserialize<'a>> Frames<'a, T> {
    /// Reads the version byte and refuses another version.
    pub fn new(packet: &'a [u8]) -> Result<Self, Error> {
        match packet.split_first() {
            Some((&VERSION, left)) => Ok(Self { left, kind: PhantomData }),
            Some((&other, _)) => Err(Error::Version(other)),
            None => Err(Error::Empty),
        }
    }

    fn read(&mut self) -> Result<Frame<'a, T>, Error> {
        let (frame, left) = split(self.left)?;
        self.left = left;
        decode(frame)
    }
}

/// Decodes one frame's bytes.
pub fn decode<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<Frame<'a, T>, Error> {
    match postcard::take_from_bytes(frame) {
        // The remaining bytes are fields that a newer peer has added.
        Ok((message, _)) => Ok(Frame::Known(message)),
        // Serde reports a variant it does not have; our list reports a length it does not accept.
        Err(postcard::Error::SerdeDeCustom) => Ok(Frame::Unknown(frame)),
        Err(_) => Err(Error::Malformed),
    }
}

impl<'a, T: Deserialize<'a>> Iterator for Frames<'a, T> {
    type Item = Result<Frame<'a, T>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.left = &[];
        }
        Some(read)
    }
}

/// Iterates over the bytes of a packet's frames, none of them decoded: for a node that passes most of them on as they
/// are.
#[derive(Clone, Debug)]
pub struct RawFrames<'a>(&'a [u8]);

impl<'a> RawFrames<'a> {
    /// Reads the version byte and refuses another version.
    pub fn new(packet: &'a [u8]) -> Result<Self, Error> {
        match packet.split_first() {
            Some((&VERSION, left)) => Ok(Self(left)),
            Some((&other, _)) => Err(Error::Version(other)),
            None => Err(Error::Empty),
        }
    }
}

impl<'a> Iterator for RawFrames<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (frame, left) = match split(self.0) {
            Ok(parts) => parts,
            Err(error) => {
                self.0 = &[];
                return Some(Err(error));
            }
        };
        self.0 = left;
        Some(Ok(frame))
    }
}

/// Appends a frame's bytes to the packet that `out` ends with.
pub fn put_raw(out: &mut Vec<u8>, frame: &[u8]) {
    let mut len = frame.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(frame);
}

/// Returns the number of frames in a packet, up to the first that is damaged.
pub fn count(packet: &[u8]) -> usize {
    let (mut left, mut frames) = (packet.get(1..).unwrap_or_default(), 0);
    while let Ok((_, rest)) = split(left) {
        (left, frames) = (rest, frames + 1);
    }
    frames
}

/// Splits off the first frame's bytes.
#[inline]
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (len, rest) = match bytes {
        [len, rest @ ..] if *len < 0x80 => (usize::from(*len), rest),
        _ => long_length(bytes)?,
    };
    if len > rest.len() {
        return Err(Error::Truncated { frame: len, left: rest.len() });
    }
    Ok(rest.split_at(len))
}

fn long_length(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let (len, rest): (u32, _) = postcard::take_from_bytes(bytes).map_err(|_| Error::Length)?;
    let len = len as usize;
    if len > limits::FRAME { Err(Error::Length) } else { Ok((len, rest)) }
}
