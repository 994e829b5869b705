//! Checks of texts: allowed characters, blocked words, links.

mod filter;
mod link;
mod text;

pub(crate) use filter::{Filter, folded_name};
pub(crate) use link::has_link;
pub(crate) use text::{clean, fingerprint, is_emoji};
