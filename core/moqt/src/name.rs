//! Names of tracks and of the namespaces they are in (Section 2.4.1).

use std::fmt::{self, Write as _};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{NameError, Violation, varint, wire::Reader};

/// Fields in a namespace, at most.
pub(crate) const MAX_FIELDS: usize = 32;
/// Bytes in a full track name, at most.
pub(crate) const MAX_NAME_LEN: usize = 4096;

/// An ordered set of up to 32 fields, each of at least one byte. Namespaces form
/// a tree: a prefix of a namespace is one.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Vec<Bytes>);

impl Namespace {
    /// The namespace with these fields.
    pub fn new<F: Into<Bytes>>(fields: impl IntoIterator<Item = F>) -> Result<Self, NameError> {
        let fields: Vec<Bytes> = fields.into_iter().map(Into::into).collect();
        if fields.len() > MAX_FIELDS {
            return Err(NameError::TooManyFields(fields.len()));
        }
        if fields.iter().any(Bytes::is_empty) {
            return Err(NameError::EmptyField);
        }
        let namespace = Self(fields);
        match namespace.byte_len() {
            len if len > MAX_NAME_LEN => Err(NameError::TooLong(len)),
            _ => Ok(namespace),
        }
    }

    /// Returns the namespace whose fields are the parts of `path` between slashes. An empty path is the empty
    /// namespace, which is a prefix of all.
    pub fn from_path(path: &str) -> Result<Self, NameError> {
        if path.is_empty() {
            return Ok(Self::default());
        }
        Self::new(path.split('/').map(|field| Bytes::copy_from_slice(field.as_bytes())))
    }

    /// Its fields between slashes: what [`from_path`](Self::from_path) takes. `None` if one of them is no text.
    pub fn path(&self) -> Option<String> {
        let fields: Result<Vec<&str>, _> = self.0.iter().map(|field| core::str::from_utf8(field)).collect();
        fields.ok().map(|fields| fields.join("/"))
    }

    /// Returns its fields, in order.
    pub fn fields(&self) -> &[Bytes] {
        &self.0
    }

    /// Returns whether it has no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether `self` is `other` or one of the namespaces above it.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Returns the fields after `prefix`, if this namespace starts with it.
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(prefix.0.as_slice())?;
        Some(Self(rest.to_vec()))
    }

    /// The namespace `suffix` under this one.
    pub fn join(&self, suffix: &Self) -> Result<Self, NameError> {
        Self::new(self.0.iter().chain(&suffix.0).cloned())
    }

    /// The bytes of all its fields together.
    pub fn byte_len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        let count = reader.varint()?;
        if count > MAX_FIELDS as u64 {
            return Err(Violation::protocol("a namespace of more than 32 fields"));
        }
        let mut fields = Vec::with_capacity(count as usize);
        let mut total = 0;
        for _ in 0..count {
            let field = reader.prefixed(MAX_NAME_LEN, "a namespace field over 4096 bytes")?;
            if field.is_empty() {
                return Err(Violation::protocol("an empty namespace field"));
            }
            total += field.len();
            fields.push(field);
        }
        if total > MAX_NAME_LEN {
            return Err(Violation::protocol("a namespace over 4096 bytes"));
        }
        Ok(Self(fields))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        varint::put(out, self.0.len() as u64);
        for field in &self.0 {
            varint::put(out, field.len() as u64);
            out.put_slice(field);
        }
    }
}

/// A full track name: a namespace and a name in it. Two tracks with the same
/// full name in one scope are the same track.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackName {
    namespace: Namespace,
    name: Bytes,
}

impl TrackName {
    /// The track `name` in `namespace`.
    pub fn new(namespace: Namespace, name: impl Into<Bytes>) -> Result<Self, NameError> {
        let name = name.into();
        match namespace.byte_len() + name.len() {
            len if len > MAX_NAME_LEN => Err(NameError::TooLong(len)),
            _ => Ok(Self { namespace, name }),
        }
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The track's name in that namespace.
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
        let namespace = Namespace::decode(reader)?;
        let name = reader.prefixed(MAX_NAME_LEN, "a track name over 4096 bytes")?;
        Self::new(namespace, name).map_err(|_| Violation::protocol("a full track name over 4096 bytes"))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        self.namespace.encode(out);
        varint::put(out, self.name.len() as u64);
        out.put_slice(&self.name);
    }
}

/// One field in the form of Section 1.5: safe in a URL, a file name and a log.
fn write_field(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            f.write_char(byte as char)?;
        } else {
            write!(f, ".{byte:02x}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('-')?;
            }
            write_field(f, field)?;
        }
        Ok(())
    }
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--", self.namespace)?;
        write_field(f, &self.name)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for TrackName {
    type Err = NameError;

    /// Reads what `Display` writes. Each name has exactly one written form, so
    /// any other is refused (Section 1.5.1).
    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let split = text.find("--").ok_or(NameError::NotSerialized(bytes.len()))?;
        let mut fields = Vec::new();
        let mut start = 0;
        if split > 0 {
            for field in bytes[..split].split(|byte| *byte == b'-') {
                fields.push(parse_field(bytes, start, start + field.len())?);
                start += field.len() + 1;
            }
        }
        let name = parse_field(bytes, split + 2, bytes.len())?;
        Self::new(Namespace::new(fields)?, name)
    }
}

fn parse_field(bytes: &[u8], start: usize, end: usize) -> Result<Bytes, NameError> {
    let mut out = Vec::with_capacity(end - start);
    let mut at = start;
    while at < end {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            out.push(byte);
            at += 1;
            continue;
        }
        let digit = |i: usize| match bytes[..end].get(at + i) {
            Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
            Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
            _ => Err(NameError::NotSerialized(at)),
        };
        if byte != b'.' {
            return Err(NameError::NotSerialized(at));
        }
        let value = digit(1)? << 4 | digit(2)?;
        if value.is_ascii_alphanumeric() || value == b'_' {
            return Err(NameError::NotSerialized(at));
        }
        out.push(value);
        at += 3;
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drafts_example_is_written_and_read() {
        let namespace = Namespace::from_path("example.net/team2/project_x").unwrap();
        let track = TrackName::new(namespace, "report").unwrap();
        let written = "example.2enet-team2-project_x--report";
        assert_eq!(track.to_string(), written);
        assert_eq!(written.parse(), Ok(track));
    }

    #[test]
    fn only_the_one_written_form_is_read() {
        for bad in [".61--x", ".2E--x", "a--.2", "a--x.", "a b--x", "a", "a--x-y", "-a--x", "a---x"] {
            assert!(bad.parse::<TrackName>().is_err(), "{bad}");
        }
        let root = TrackName::new(Namespace::default(), "x").unwrap();
        assert_eq!(root.to_string(), "--x");
        assert_eq!("--x".parse(), Ok(root));
    }

    #[test]
    fn a_path_is_as_it_was_given() {
        for path in ["", "friday-night", "friday night/2.5/\u{1f389}"] {
            assert_eq!(Namespace::from_path(path).unwrap().path().as_deref(), Some(path));
        }
        assert_eq!(Namespace::new([&b"\xff"[..]]).unwrap().path(), None);
    }

    #[test]
    fn prefixes_match_by_whole_fields() {
        let of = |path| Namespace::from_path(path).unwrap();
        assert!(of("foo").is_prefix_of(&of("foo/bar")));
        assert!(of("foo/bar").is_prefix_of(&of("foo/bar")));
        assert!(!of("foo").is_prefix_of(&of("foobar")));
        assert!(of("").is_prefix_of(&of("foo")));
        assert_eq!(of("foo/bar").strip_prefix(&of("foo")), Some(of("bar")));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert_eq!(Namespace::from_path("a//b"), Err(NameError::EmptyField));
        assert_eq!(Namespace::new(vec!["x"; 33]), Err(NameError::TooManyFields(33)));
        let long = Namespace::new([vec![b'x'; 4000]]).unwrap();
        assert_eq!(TrackName::new(long, vec![b'y'; 97]), Err(NameError::TooLong(4097)));
    }
}
