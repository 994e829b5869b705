//! Rooms, put together: a root, leaves and scripted fans, in virtual time.
//!
//! One file per feature, named as it is; In `net`
//! everything that can be lost is lost, by a seed.

mod net;
mod roll;

mod exactly_once;
