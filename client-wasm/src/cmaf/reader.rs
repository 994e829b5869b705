//! Boxes, and the numbers in them.

use super::Error;

/// The four-character name of a box.
pub(super) type Name = [u8; 4];

/// A box; its offsets count from the start of the data that it was found in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) name: Name,
    pub(super) at: usize,
    /// Offset of its body.
    pub(super) body_at: usize,
    pub(super) body: &'a [u8],
}

/// Returns the boxes in `data`, one after the other, until one is cut off.
pub(super) fn boxes(data: &[u8]) -> impl Iterator<Item = Result<Found<'_>, Error>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= data.len() {
            return None;
        }
        let found = next(data, at);
        at = found.as_ref().map_or(data.len(), |found| found.body_at + found.body.len());
        Some(found)
    })
}

fn next(data: &[u8], at: usize) -> Result<Found<'_>, Error> {
    const BOX: &str = "a box";
    let mut reader = Reader::new(&data[at..], BOX);
    let size = reader.u32()?;
    let name = reader.array()?;
    let len = match size {
        // Size 0: the box reaches to the end.
        0 => data.len() - at,
        1 => usize::try_from(reader.u64()?).map_err(|_| Error::Truncated(BOX))?,
        size => size as usize,
    };
    let body_at = data.len() - reader.rest().len();
    let end = at.checked_add(len).ok_or(Error::Truncated(BOX))?;
    if end < body_at {
        return Err(Error::Malformed("a box smaller than its own header"));
    }
    let body = data.get(body_at..end).ok_or(Error::Truncated(BOX))?;
    Ok(Found { name, at, body_at, body })
}

/// Returns the first box of that name.
pub(super) fn child(data: &[u8], name: Name) -> Option<&[u8]> {
    boxes(data).filter_map(Result::ok).find(|found| found.name == name).map(|found| found.body)
}

/// Returns the box at the end of this path of names.
pub(super) fn descend<'a>(data: &'a [u8], names: &[Name]) -> Option<&'a [u8]> {
    names.iter().try_fold(data, |data, name| child(data, *name))
}

/// Reads big-endian numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8], what: &'static str) -> Self {
        Self { rest: data, what }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated(self.what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a time, which has eight bytes since version 1 and four before.
    pub(super) fn time(&mut self, version: u8) -> Result<u64, Error> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// Reads the version and the flags that a full box starts with.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00FF_FFFF))
    }
}
