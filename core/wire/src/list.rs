//! A list whose claimed length cannot make the reader allocate.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;

/// Items that the reader reserves memory for ahead of decoding, whatever length is claimed.
const AHEAD: usize = 16;

/// A list of at most [`limits::LIST`] items. Memory grows with decoded items, not with a claimed length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().take(limits::LIST).collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} items", limits::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<List<T>, A::Error> {
        let claimed = from.size_hint().unwrap_or(AHEAD);
        let mut items = Vec::with_capacity(claimed.min(AHEAD));
        while let Some(item) = from.next_element()? {
            if items.len() == limits::LIST {
                return Err(A::Error::invalid_length(limits::LIST + 1, &self));
            }
            items.push(item);
        }
        Ok(List(items))
    }
}
