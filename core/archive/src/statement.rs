//! One SQL statement with its values.

use wire::FanId;

/// SQL, and the values of its `?`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The text of the statement.
    pub sql: &'static str,
    /// Values of the `?`s, in order.
    pub values: Vec<Value<'a>>,
}

/// Value of one `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A signed integer.
    Integer(i64),
    /// A text borrowed from the row.
    Text(&'a str),
    /// A text made for the statement.
    Made(String),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<FanId> for Value<'_> {
    fn from(fan: FanId) -> Self {
        Self::Made(fan.to_string())
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Self::Integer(is.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// SQLite's integers are signed; no time or number of a room exceeds them.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
