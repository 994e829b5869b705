//! Limits of an instance's memory.

use wasmtime::ResourceLimiter;

/// Bytes counted for an element of a table.
const ELEMENT: usize = 16;
/// Core instances of a component, at most. Ours has three.
const INSTANCES: usize = 16;

/// Memory account of one instance: all of its memories and tables.
#[derive(Debug)]
pub(crate) struct Memory {
    cap: usize,
    used: usize,
    refused: bool,
}

impl Memory {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, used: 0, refused: false }
    }

    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Returns whether the instance ever asked for more.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, by: usize) -> bool {
        match self.used.checked_add(by) {
            Some(used) if used <= self.cap => {
                self.used = used;
                true
            }
            _ => {
                self.refused = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(ELEMENT)))
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}
