//! Feeds a stream in pieces whose lengths the fuzzer chooses.

use bytes::Bytes;

/// Parses the input: the first byte counts the following lengths of pieces, used in turn; the stream is the
/// rest. No lengths: all of it at once.
pub fn parse(input: &[u8]) -> Option<(Splits<'_>, &[u8])> {
    let (&count, rest) = input.split_first()?;
    let (lengths, stream) = rest.split_at(usize::from(count).min(rest.len()));
    Some((Splits(lengths), stream))
}

/// The lengths of pieces.
#[derive(Clone, Copy)]
pub struct Splits<'a>(pub &'a [u8]);

impl Splits<'_> {
    /// `stream` in pieces. A length of 0 is an empty piece before one of a byte.
    pub fn pieces(self, stream: &[u8]) -> Vec<Bytes> {
        if self.0.is_empty() {
            return vec![Bytes::copy_from_slice(stream)];
        }
        let mut pieces = Vec::new();
        let mut rest = stream;
        for &length in self.0.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            if length == 0 {
                pieces.push(Bytes::new());
            }
            let (piece, after) = rest.split_at(usize::from(length).clamp(1, rest.len()));
            pieces.push(Bytes::copy_from_slice(piece));
            rest = after;
        }
        pieces
    }
}
