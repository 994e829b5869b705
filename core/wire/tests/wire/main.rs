//! The format: that it stays what it is, gives back what it was given, and cannot be
//! made to panic or to take memory.

mod samples;

mod golden;
mod growth;
mod hostile;
mod round_trip;
