//! Flags that several commands share.

pub(crate) mod data_dir;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod tcp;
pub(crate) mod worker;
