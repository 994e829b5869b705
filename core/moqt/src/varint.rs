//! The draft's variable-length integers (Section 1.4.1): as many leading one
//! bits as there are bytes after the first, and all of `u64` in nine bytes.

use bytes::BufMut;

/// The longest encoding, in bytes.
pub const MAX_LEN: usize = 9;

/// Returns the number of bytes that [`put`] writes for `value`.
pub const fn len(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    match bits {
        0..=7 => 1,
        57.. => 9,
        _ => bits.div_ceil(7),
    }
}

/// Returns the length in bytes of the integer that starts with `first`.
pub const fn len_from_first(first: u8) -> usize {
    first.leading_ones() as usize + 1
}

/// Writes `value` in the fewest bytes.
pub fn put(buf: &mut impl BufMut, value: u64) {
    let len = len(value);
    if len == MAX_LEN {
        buf.put_u8(0xFF);
        buf.put_u64(value);
        return;
    }
    // `len - 1` ones and a zero, then the value, big-endian.
    let ones = (0xFF00u64 >> (len - 1)) & 0xFF;
    let tagged = (ones << (8 * (len - 1))) | value;
    buf.put_uint(tagged, len);
}

/// Reads the integer at the head of `buf` and how many bytes it took, or `None`
/// while `buf` is too short to hold it.
pub fn get(buf: &[u8]) -> Option<(u64, usize)> {
    let first = *buf.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let len = len_from_first(first);
    let bytes = buf.get(..len)?;
    let kept = if len >= 8 { 0 } else { first & (0xFF >> len) };
    let value = bytes[1..].iter().fold(u64::from(kept), |value, byte| value << 8 | u64::from(*byte));
    Some((value, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 2 of the draft.
    const EXAMPLES: &[(&[u8], u64)] = &[
        (&[0x25], 37),
        (&[0x80, 0x25], 37),
        (&[0xbb, 0xbd], 15_293),
        (&[0xed, 0x7f, 0x3e, 0x7d], 226_442_877),
        (&[0xfa, 0xa1, 0xa0, 0xe4, 0x03, 0xd8], 2_893_212_287_960),
        (&[0xfc, 0x89, 0x98, 0xab, 0xc6, 0x6b, 0xc0], 151_288_809_941_952),
        (&[0xfe, 0xfa, 0x31, 0x8f, 0xa8, 0xe3, 0xca, 0x11], 70_423_237_261_249_041),
        (&[0xff; 9], u64::MAX),
    ];

    #[test]
    fn the_drafts_examples_read_as_it_says() {
        for (bytes, value) in EXAMPLES {
            assert_eq!(get(bytes), Some((*value, bytes.len())), "{bytes:02x?}");
            for cut in 0..bytes.len() {
                assert_eq!(get(&bytes[..cut]), None, "{bytes:02x?} cut to {cut}");
            }
        }
    }

    #[test]
    fn every_length_comes_back_at_both_its_ends() {
        let mut values = vec![0, u64::MAX];
        for bits in 1..64 {
            values.extend([(1u64 << bits) - 1, 1u64 << bits, (1u64 << bits) + 1]);
        }
        for value in values {
            let mut buf = Vec::new();
            put(&mut buf, value);
            assert_eq!(buf.len(), len(value), "{value}");
            assert_eq!(get(&buf), Some((value, buf.len())), "{value}");
        }
    }
}
