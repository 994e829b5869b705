//! The archive of rooms: its tables and statements, in SQLite's SQL.
//!
//! This crate has no database: an origin has SQLite in a file, and a Durable Object has its own. Either
//! creates the tables of [`SCHEMA`] and [`RESULTS`], and executes the statements that this crate returns.
#![forbid(unsafe_code)]

mod person;
pub use person::{TABLES, Table, forget, forget_room};

mod retention;
pub use retention::Retention;

mod row;
pub use row::keep;

mod statement;
pub use statement::{Statement, Value};

/// Statements that create the tables of the first format.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Statements that add the table of polls' results.
pub const RESULTS: &str = include_str!("results.sql");
