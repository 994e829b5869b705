//! NAL units between Annex B and length-prefixed form.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

/// Splits an Annex B byte stream at its start codes. Trailing zeros belong to no unit (H.264 B.1.1).
pub(crate) fn annex_b(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        loop {
            let start = rest?;
            let end = start_code(start).unwrap_or(start.len());
            rest = after_start_code(&start[end..]);
            let mut unit = &start[..end];
            while let [head @ .., 0] = unit {
                unit = head;
            }
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

fn start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|bytes| bytes == [0, 0, 1])
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    start_code(data).map(|at| &data[at + 3..])
}

/// Joins units into the length-prefixed form, four bytes of length each.
pub(crate) fn prefix<'a>(units: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut out = BytesMut::new();
    for unit in units {
        out.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
        out.put_slice(unit);
    }
    out.freeze()
}

/// The parameter sets in force, one by type and id, so that a stream may repeat or replace them.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    sets: BTreeMap<(u8, u8), Vec<u8>>,
}

impl ParameterSets {
    /// Sets kept, at most: more than any encoder uses. Further ones are ignored.
    const LIMIT: usize = 64;

    /// Stores one set. `id` distinguishes sets of the same type.
    pub(crate) fn insert(&mut self, kind: u8, id: u8, unit: &[u8]) {
        if self.sets.len() < Self::LIMIT || self.sets.contains_key(&(kind, id)) {
            self.sets.insert((kind, id), unit.to_vec());
        }
    }

    /// Returns the sets of a type, in the order of their ids.
    pub(crate) fn of(&self, kind: u8) -> impl Iterator<Item = &Vec<u8>> {
        self.sets.range((kind, 0)..=(kind, u8::MAX)).map(|(_, unit)| unit)
    }
}

/// Returns the first unsigned Exp-Golomb number after `skip` bytes: the id of a parameter set.
pub(crate) fn first_golomb(unit: &[u8], skip: usize) -> u8 {
    let bits = unit
        .get(skip..)
        .unwrap_or_default()
        .iter()
        .take(2)
        .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    let bits = bits << (32 - 8 * unit.len().saturating_sub(skip).clamp(1, 2));
    let zeros = bits.leading_zeros().min(7);
    ((bits << zeros >> (31 - zeros)) - u32::from(bits != 0)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_and_trailing_zeros() {
        let stream = [9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0x65];
        let units: Vec<&[u8]> = annex_b(&stream).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x68, 2], &[0x65]]);
        let joined = prefix(units.iter().copied());
        assert_eq!(&joined[..], [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 2, 0x68, 2, 0, 0, 0, 1, 0x65]);
        assert_eq!(annex_b(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn golomb_ids() {
        for (byte, id) in
            [(0b1000_0000, 0), (0b0100_0000, 1), (0b0110_0000, 2), (0b0010_0000, 3), (0b0011_1000, 6)]
        {
            assert_eq!(first_golomb(&[0x68, byte], 1), id);
        }
        first_golomb(&[], 1);
        first_golomb(&[0x68, 0, 0], 1);
    }
}
