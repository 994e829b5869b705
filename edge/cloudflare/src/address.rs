//! The parts of an address, as the platform writes it: absolute, and with nothing left to encode.

use std::borrow::Cow;

use moqt::Namespace;

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

    /// As in `https://edge.example`.
    pub(crate) fn origin(&self) -> &str {
        &self.text[..self.path]
    }

    /// Whether it is for who is over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// As in `edge.example:443`.
    pub(crate) fn host(&self) -> &str {
        &self.text[self.host..self.path]
    }

    /// Where to, beginning with its `/`.
    pub(crate) fn path(&self) -> &str {
        &self.text[self.path..self.query]
    }

    /// What follows the `?`.
    pub(crate) fn query(&self) -> &str {
        self.text[self.query..].trim_start_matches('?')
    }

    /// A value of the query.
    pub(crate) fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query().as_bytes()).find(|(of, _)| of == key).map(|(_, value)| value)
    }

    /// The room that it is for.
    pub(crate) fn room(&self) -> Result<String, String> {
        let path = self.path();
        let room = self.value("room").ok_or_else(|| format!("say which room: {path}?room=NAME\n"))?;
        named(&room)
    }
}

/// A room's name, if a room can have it.
pub(crate) fn named(room: &str) -> Result<String, String> {
    match Namespace::from_path(room) {
        Ok(namespace) if namespace.is_empty() => Err("a room needs a name\n".into()),
        Ok(namespace)
            if namespace.fields().iter().any(|field| field.first() == Some(&wire::names::RESERVED)) =>
        {
            Err(format!("there can be no room {room:?}: names that begin with a dot are the house's\n"))
        }
        Ok(_) => Ok(room.to_owned()),
        Err(error) => Err(format!("there can be no room {room:?}: {error}\n")),
    }
}

/// A value, as a query has it.
pub(crate) fn encoded(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
