//! One end of a restream: a relay, and a room there.

use std::{fmt, str::FromStr};

use moqt::{NameError, Namespace};
use percent_encoding::percent_decode_str;
use url::Url;

/// The query parameter that carries a token.
const TOKEN: &str = "jwt";
/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 443;

/// A relay and a room there: `https://HOST:PORT/ROOM` for WebTransport, `moqt://HOST:PORT/ROOM` for raw QUIC.
///
/// The path is the room, its segments the fields of the namespace. The connection is made to the root of the relay,
/// with the query of the URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The relay: the URL without the room.
    relay: Url,
    room: Namespace,
    token: Option<String>,
}

/// A URL that is no address of a room.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is no URL.
    #[error("{0}; give https://HOST:PORT/ROOM or moqt://HOST:PORT/ROOM")]
    Url(#[from] url::ParseError),
    /// MoQ is carried by other schemes.
    #[error("{0}:// carries no MoQ; give https://HOST:PORT/ROOM or moqt://HOST:PORT/ROOM")]
    Scheme(String),
    /// The URL has no host.
    #[error("the URL names no host; give https://HOST:PORT/ROOM or moqt://HOST:PORT/ROOM")]
    Host,
    /// The URL has no path.
    #[error("the URL names no room; give it as the path, as in https://HOST:PORT/ROOM")]
    Room,
    /// The path is not UTF-8 once its percent-escapes are decoded.
    #[error("the room of the URL is not UTF-8")]
    Text,
    /// The path is no namespace.
    #[error("the room of the URL cannot be: {0}")]
    Name(#[from] NameError),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut relay = Url::parse(text)?;
        if !matches!(relay.scheme(), "https" | "moqt") {
            return Err(AddressError::Scheme(relay.scheme().to_owned()));
        }
        if relay.host_str().is_none_or(str::is_empty) {
            return Err(AddressError::Host);
        }
        let path = percent_decode_str(relay.path()).decode_utf8().map_err(|_| AddressError::Text)?;
        let room = Namespace::from_path(path.trim_matches('/'))?;
        if room.is_empty() {
            return Err(AddressError::Room);
        }
        relay.set_path("/");
        relay.set_fragment(None);
        let token = relay.query_pairs().find(|(key, _)| key == TOKEN).map(|(_, token)| token.into_owned());
        Ok(Self { relay, room, token })
    }
}

impl Address {
    /// Presents this token, in place of one in the URL.
    #[must_use]
    pub fn with_token(mut self, token: String) -> Self {
        let others: Vec<(String, String)> = self
            .relay
            .query_pairs()
            .filter(|(key, _)| key != TOKEN)
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        self.relay.query_pairs_mut().clear().extend_pairs(others).append_pair(TOKEN, &token);
        self.token = Some(token);
        self
    }

    /// The room.
    pub fn room(&self) -> &Namespace {
        &self.room
    }

    /// The URL that is connected to, with the token in its query.
    pub(crate) fn relay(&self) -> &Url {
        &self.relay
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub(crate) fn host(&self) -> &str {
        self.relay.host_str().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.relay.port().unwrap_or(DEFAULT_PORT)
    }
}

impl fmt::Display for Address {
    /// Without the query, which may have a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = self.room.path().unwrap_or_default();
        write!(f, "{}://{}:{}/{room}", self.relay.scheme(), self.host(), self.port())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    #[test]
    fn the_path_is_the_room_and_the_query_goes_to_the_relay() {
        let address = parse("https://relay.example:4443/friday%20night/2.5/?jwt=a.b.c&x=1").unwrap();
        assert_eq!(address.room(), &Namespace::from_path("friday night/2.5").unwrap());
        assert_eq!(address.relay().as_str(), "https://relay.example:4443/?jwt=a.b.c&x=1");
        assert_eq!(address.token(), Some("a.b.c"));
        assert_eq!(address.to_string(), "https://relay.example:4443/friday night/2.5");
        let raw = parse("moqt://[::1]/demo").unwrap();
        assert_eq!((raw.host(), raw.port()), ("[::1]", 443));
        assert_eq!(raw.room(), &Namespace::from_path("demo").unwrap());
    }

    #[test]
    fn a_given_token_replaces_that_of_the_url() {
        let address = parse("moqt://relay.example:4443/demo?jwt=old&x=1").unwrap().with_token("new".into());
        assert_eq!(address.relay().as_str(), "moqt://relay.example:4443/?x=1&jwt=new");
        assert_eq!(address.token(), Some("new"));
        assert!(!format!("{address:?} {address}").contains("new"), "a token is shown");
    }

    #[test]
    fn a_url_that_names_no_room_is_refused_in_one_line() {
        let cases = [
            ("http://relay.example/demo", "http:// carries no MoQ"),
            ("https://relay.example", "names no room"),
            ("moqt:demo", "names no host"),
            ("demo", "relative URL without a base"),
            ("https://relay.example/a//b", "cannot be"),
            ("https://relay.example/%ff", "not UTF-8"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
        }
    }
}
