//! Packets and frames.

use std::marker::PhantomData;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::limits;

/// The version of everything in this crate: the first byte of each packet.
pub const VERSION: u8 = 1;

/// Not a packet that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is not even a version byte.
    #[error("a packet without a byte")]
    Empty,
    /// Of another version than ours.
    #[error("a packet of version {0}: this end speaks version {VERSION}")]
    Version(u8),
    /// A frame's length is no number, or beyond [`limits::FRAME`].
    #[error("a frame whose length cannot be")]
    Length,
    /// A frame that goes on after the packet's end.
    #[error("a frame of {frame} bytes where {left} are left")]
    Truncated {
        /// What the frame says.
        frame: usize,
        /// What there is.
        left: usize,
    },
    /// A frame of a known kind whose bytes make no message.
    #[error("a message that cannot be read")]
    Malformed,
}

/// Begins a packet at the end of `out`.
pub fn start(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// A packet of one message.
pub fn packet<T: Serialize>(message: &T) -> Vec<u8> {
    let mut out = Vec::new();
    start(&mut out);
    put(&mut out, message);
    out
}

/// Appends a message to the packet that `out` ends with.
pub fn put<T: Serialize>(out: &mut Vec<u8>, message: &T) {
    let at = out.len();
    // Nearly all messages are short: a byte for the length, and room is made if that was wrong.
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

/// Postcard's output, appended to a vector in runs.
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

/// One frame, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a, T> {
    /// A message.
    Known(T),
    /// A message of a newer peer: of a kind, or with a value or a length, that is not known
    /// here. The frame's bytes.
    Unknown(&'a [u8]),
}

/// The messages of a packet, one by one; after an error, none.
#[derive(Clone, Debug)]
pub struct Frames<'a, T> {
    left: &'a [u8],
    kind: PhantomData<fn() -> T>,
}

impl<'a, T: Deserialize<'a>> Frames<'a, T> {
    /// Reads the version.
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
        match postcard::take_from_bytes(frame) {
            // What is left over are fields that a newer peer has added.
            Ok((message, _)) => Ok(Frame::Known(message)),
            // Serde's complaint about a variant it does not have, or ours about a list's length.
            Err(postcard::Error::SerdeDeCustom) => Ok(Frame::Unknown(frame)),
            Err(_) => Err(Error::Malformed),
        }
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

/// The first frame's bytes, and what follows it.
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
