//! Versions of the protocol, and their negotiation.

/// A version of the protocol, negotiated before the session starts: by ALPN on
/// raw QUIC, by `WT-Available-Protocols` on WebTransport (Section 3.1).
///
/// What differs between versions is decided by this value inside the crate;
/// callers of [`Session`](crate::Session) see the same requests and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Version {
    /// The version of draft-ietf-moq-transport-18.
    Draft18,
}

impl Version {
    /// Versions of this crate, the preferred first: a client's offer.
    pub const SUPPORTED: &'static [Self] = &[Self::Draft18];

    /// The name under which it is negotiated.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Draft18 => "moqt-18",
        }
    }

    /// Returns the version with that name, if this crate supports it.
    pub fn from_protocol(name: &[u8]) -> Option<Self> {
        Self::SUPPORTED.iter().copied().find(|version| version.protocol().as_bytes() == name)
    }

    /// Returns a server's answer to a client's offer: the client's first choice among the versions that both
    /// support.
    pub fn choose<'a>(offered: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        offered.into_iter().find_map(Self::from_protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_server_takes_the_first_it_speaks() {
        let offer: [&[u8]; 3] = [b"moqt-99", b"moqt-18", b"moqt-00"];
        assert_eq!(Version::choose(offer), Some(Version::Draft18));
        assert_eq!(Version::choose([b"h3".as_slice()]), None);
    }
}
