//! A vector with reusable indices.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// Values by small, reusable indices.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.items[index as usize] = Some(item);
            return index;
        }
        // Growing to twice the size would leave up to half of it unused.
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(self.items.len() / 8 + 16);
        }
        self.items.push(Some(item));
        self.items.len() as u32 - 1
    }

    pub(super) fn remove(&mut self, index: u32) {
        if self.items.get_mut(index as usize).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.items.get(index as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.items.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> + '_ {
        self.items.iter_mut().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Returns the end of the indices ever assigned.
    pub(super) fn end(&self) -> u32 {
        self.items.len() as u32
    }

    /// Returns whether a decoded slab is consistent.
    pub(super) fn is_sound(&self) -> bool {
        let empty = self.items.iter().filter(|item| item.is_none()).count();
        let is_empty = |index: &u32| self.items.get(*index as usize).is_some_and(Option::is_none);
        let mut free = self.free.clone();
        free.sort_unstable();
        free.dedup();
        free.len() == empty && free.len() == self.free.len() && free.iter().all(is_empty)
    }
}

/// Access by an index that [`Slab::insert`] has returned and that is not free again.
impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, index: u32) -> &T {
        self.items[index as usize].as_ref().expect("an index in use")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.items[index as usize].as_mut().expect("an index in use")
    }
}
