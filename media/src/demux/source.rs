//! The input of a demuxer: a file or a pipe.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::{Error, Result};

/// A reader that can also seek.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

enum Inner {
    Pipe(Box<dyn Read + Send>),
    File(Box<dyn ReadSeek>),
}

impl Inner {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Pipe(pipe) => pipe.read(buf),
                Self::File(file) => file.read(buf),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

/// Input with a byte count and a short look-ahead.
pub(crate) struct Source {
    inner: Inner,
    ahead: Vec<u8>,
    offset: u64,
}

impl Source {
    /// Bytes by which memory grows at a time, whatever size an input claims.
    const STEP: usize = 1 << 20;
    const BUFFER: usize = 1 << 16;

    pub(crate) fn pipe(reader: impl Read + Send + 'static) -> Self {
        Self {
            inner: Inner::Pipe(Box::new(BufReader::with_capacity(Self::BUFFER, reader))),
            ahead: Vec::new(),
            offset: 0,
        }
    }

    pub(crate) fn file(file: impl Read + Seek + Send + 'static) -> Self {
        Self {
            inner: Inner::File(Box::new(BufReader::with_capacity(Self::BUFFER, file))),
            ahead: Vec::new(),
            offset: 0,
        }
    }

    /// Returns the number of bytes taken: the offset of the next one.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn seekable(&self) -> bool {
        matches!(self.inner, Inner::File(_))
    }

    /// Continues at an offset, if the input is a file.
    pub(crate) fn seek(&mut self, to: u64) -> Result<()> {
        if let Inner::File(file) = &mut self.inner {
            file.seek(SeekFrom::Start(to)).map_err(|source| Error::Io { at: to, source })?;
            self.ahead.clear();
            self.offset = to;
        }
        Ok(())
    }

    /// Returns the next `len` bytes, or fewer at the end, without taking them.
    pub(crate) fn peek(&mut self, len: usize) -> Result<&[u8]> {
        while self.ahead.len() < len {
            let have = self.ahead.len();
            self.ahead.resize(len, 0);
            let read = self.inner.read(&mut self.ahead[have..]);
            self.ahead.truncate(have + *read.as_ref().unwrap_or(&0));
            if read.map_err(|source| Error::Io { at: self.offset, source })? == 0 {
                break;
            }
        }
        Ok(&self.ahead[..len.min(self.ahead.len())])
    }

    /// Takes `len` bytes, or fewer at the end of the input.
    pub(crate) fn take(&mut self, len: u64) -> Result<Vec<u8>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let have = bytes.len();
            bytes.resize(have + (len - have).min(Self::STEP), 0);
            let at = self.offset;
            let read = self.read(&mut bytes[have..]).map_err(|source| Error::Io { at, source })?;
            bytes.truncate(have + read);
            if read == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Takes exactly `len` bytes, which belong to `what`.
    pub(crate) fn take_all(&mut self, len: u64, what: &str) -> Result<Vec<u8>> {
        let bytes = self.take(len)?;
        if (bytes.len() as u64) < len {
            Err(Error::Truncated { what: what.into(), at: self.offset })
        } else {
            Ok(bytes)
        }
    }

    /// Skips `len` bytes of `what`.
    pub(crate) fn skip(&mut self, len: u64, what: &str) -> Result<()> {
        let mut left = len;
        while left > 0 {
            let step = left.min(Self::STEP as u64);
            self.take_all(step, what)?;
            left -= step;
        }
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = if self.ahead.is_empty() {
            self.inner.read(buf)?
        } else {
            let len = buf.len().min(self.ahead.len());
            buf[..len].copy_from_slice(&self.ahead[..len]);
            self.ahead.drain(..len);
            len
        };
        self.offset += read as u64;
        Ok(read)
    }
}
