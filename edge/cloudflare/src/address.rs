//! The parts of a URL. The platform writes it absolute and fully encoded.

use std::borrow::Cow;

use moqt::Namespace;

/// A URL, with the offsets at which its parts begin.
pub(crate) struct Address {
    text: String,
    host: usize,
    path: usize,
    query: usize,
}

impl Address {
    pub(crate) fn new(text: String) -> Self {
        let end = |from: usize, wanted: &[char]| text[from..].find(wanted).map_or(text.len(), |at| from + at);
        let host = text.find("://").map_or(0, |at| at + 3);
        let path = end(host, &['/', '?']);
        let query = end(path, &['?']);
        Self { text, host, path, query }
    }

    /// Returns scheme, host and port: `https://edge.example`.
    pub(crate) fn origin(&self) -> &str {
        &self.text[..self.path]
    }

    /// Returns whether the scheme is `https:`.
    pub(crate) fn is_secure(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Returns host and port: `edge.example:443`.
    pub(crate) fn host(&self) -> &str {
        &self.text[self.host..self.path]
    }

    /// Returns the path, with its leading `/`.
    pub(crate) fn path(&self) -> &str {
        &self.text[self.path..self.query]
    }

    /// Returns the query, without its `?`.
    pub(crate) fn query(&self) -> &str {
        self.text[self.query..].trim_start_matches('?')
    }

    /// Returns the decoded value of a key of the query.
    pub(crate) fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query().as_bytes()).find(|(of, _)| of == key).map(|(_, value)| value)
    }

    /// Returns the room in the query, or the error text for the client.
    pub(crate) fn room(&self) -> Result<String, String> {
        let path = self.path();
        let room = self.value("room").ok_or_else(|| format!("say which room: {path}?room=NAME\n"))?;
        named(&room)
    }
}

/// Returns `room` if it is a valid room name, or the error text for the client.
pub(crate) fn named(room: &str) -> Result<String, String> {
    match Namespace::from_path(room) {
        Ok(namespace) if namespace.is_empty() => Err("a room needs a name\n".into()),
        Ok(namespace)
            if namespace.fields().iter().any(|field| field.first() == Some(&wire::names::RESERVED)) =>
        {
            Err(format!("there can be no room {room:?}: names that begin with a dot are reserved\n"))
        }
        Ok(_) => Ok(room.to_owned()),
        Err(error) => Err(format!("there can be no room {room:?}: {error}\n")),
    }
}

/// Encodes a value for a query.
pub(crate) fn encoded(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
