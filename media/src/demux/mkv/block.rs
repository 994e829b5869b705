//! Blocks of Matroska: lacing, and variable-length numbers.

use bytes::{Buf as _, Bytes};

use crate::codec::Parsed;

/// A block of either kind, with its frames separated from their lacing (RFC 9559 10). The iterator's own
/// parser of blocks panics on short ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// Ticks since the start of the cluster.
    pub(super) ticks: i16,
    /// The flag of a `SimpleBlock`; other blocks leave it open.
    pub(super) keyframe: bool,
    pub(super) frames: Vec<Bytes>,
}

const SHORT: &str = "it ends within its header";

impl Block {
    pub(super) fn parse(mut data: Bytes) -> Parsed<Self> {
        let track = number(&mut data)?;
        let (ticks, flags) = (data.try_get_i16().map_err(|_| SHORT)?, data.try_get_u8().map_err(|_| SHORT)?);
        let sizes = match flags >> 1 & 3 {
            0 => Vec::new(),
            lacing => sizes(lacing, &mut data)?,
        };
        let mut frames = Vec::with_capacity(sizes.len() + 1);
        for size in sizes {
            if size > data.len() {
                return Err("a laced frame is longer than the block".into());
            }
            frames.push(data.split_to(size));
        }
        frames.push(data);
        frames.retain(|frame| !frame.is_empty());
        Ok(Self { track, ticks, keyframe: flags & 0x80 != 0, frames })
    }
}

/// Returns the sizes of all frames of a lace but the last, which takes the rest.
fn sizes(lacing: u8, data: &mut Bytes) -> Parsed<Vec<usize>> {
    let count = usize::from(data.try_get_u8().map_err(|_| SHORT)?);
    let mut sizes: Vec<usize> = Vec::with_capacity(count);
    for index in 0..count {
        let size = match lacing {
            1 => xiph(data)?,
            2 => data.len() / (count + 1),
            _ if index == 0 => usize::try_from(number(data)?).map_err(|_| SHORT)?,
            _ => {
                let bits = 7 * width(data)? - 1;
                let step = number(data)? as i64 - ((1 << bits) - 1);
                sizes[index - 1]
                    .checked_add_signed(step as isize)
                    .ok_or("a laced frame has less than no bytes")?
            }
        };
        sizes.push(size);
    }
    Ok(sizes)
}

fn xiph(data: &mut Bytes) -> Parsed<usize> {
    let mut size = 0;
    loop {
        let byte = data.try_get_u8().map_err(|_| SHORT)?;
        size += usize::from(byte);
        if byte < 255 {
            return Ok(size);
        }
    }
}

/// Returns the length in bytes of the variable-length number at the front (RFC 8794 4).
fn width(data: &Bytes) -> Parsed<u32> {
    match data.first() {
        None | Some(0) => Err(SHORT.into()),
        Some(first) => Ok(first.leading_zeros() + 1),
    }
}

/// Takes a variable-length number off the front.
fn number(data: &mut Bytes) -> Parsed<u64> {
    let width = width(data)?;
    let value = data.try_get_uint(width as usize).map_err(|_| SHORT)?;
    Ok(value & ((1 << (7 * width)) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(block: &[u8]) -> Parsed<Vec<Bytes>> {
        Block::parse(Bytes::copy_from_slice(block)).map(|block| block.frames)
    }

    #[test]
    fn every_lacing() {
        let whole = Block::parse(Bytes::from_static(&[0x81, 0xff, 0xff, 0x80, 7, 8])).unwrap();
        assert_eq!(
            whole,
            Block { track: 1, ticks: -1, keyframe: true, frames: vec![Bytes::from_static(&[7, 8])] }
        );
        let expected = [&[1][..], &[2, 2], &[3, 3, 3]];
        assert_eq!(frames(&[0x81, 0, 0, 2, 2, 1, 2, 1, 2, 2, 3, 3, 3]).unwrap(), expected, "Xiph");
        assert_eq!(frames(&[0x81, 0, 0, 6, 2, 0x81, 0xc0, 1, 2, 2, 3, 3, 3]).unwrap(), expected, "EBML");
        assert_eq!(
            frames(&[0x81, 0, 0, 4, 2, 1, 1, 2, 2, 3, 3]).unwrap(),
            [&[1, 1][..], &[2, 2], &[3, 3]],
            "fixed"
        );
    }

    #[test]
    fn short_ones() {
        for block in [
            &[][..],
            &[0],
            &[0x81, 0],
            &[0x01],
            &[0x81, 0, 0, 2],
            &[0x81, 0, 0, 2, 1, 255],
            &[0x81, 0, 0, 6, 9, 0x81],
        ] {
            assert!(frames(block).is_err(), "{block:02x?}");
        }
        assert!(frames(&[0x81, 0, 0, 2, 1, 9, 1]).is_err());
        assert!(frames(&[0x81, 0, 0, 6, 2, 0x81, 0x80, 1, 2]).is_err());
    }
}
