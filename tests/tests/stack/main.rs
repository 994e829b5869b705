//! Tests of a whole stack in one process: an origin, edges, creators and fans, over real QUIC.

mod captured;
mod chain;
mod deleted;
mod front;
mod hostile;
mod polls;
mod private;
mod room;
mod upstream;
