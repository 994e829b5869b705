//! The budget: who pays for what a node does for its clients.
//!
//! Every intake is charged to a ledger of three levels: the session, its address (IPv4 /32 and /24, IPv6 /64 and /48) and
//! the node. What is over at one level is refused, with one reason and `EXCESSIVE_LOAD`. A [`Charge`] gives back what it
//! took when it is dropped, so that nothing leaks. The node has places apart for sessions that arrive, fans, creators and
//! edges, so that no crowd locks out the show.

mod addresses;
mod bucket;
mod charge;
mod kind;
mod ledger;
mod limits;
mod node;
mod payer;
mod role;

pub(crate) use charge::Charge;
pub(crate) use kind::{Kind, Pace};
pub(crate) use ledger::Excess;
pub use limits::{Limits, Rate, Share};
pub(crate) use node::Budget;
pub(crate) use payer::Payer;
pub use role::Role;
