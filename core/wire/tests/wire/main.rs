//! Tests of the format: it stays as it is, round-trips, and neither panics nor takes memory on hostile input.

mod samples;

mod golden;
mod growth;
mod hostile;
mod round_trip;
