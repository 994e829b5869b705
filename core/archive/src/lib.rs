//! What is archived of rooms: its tables, and what is said to them, in SQLite's SQL.
//!
//! Nothing here has a database: an origin has SQLite in a file, and a Durable Object has its own. Either makes the
//! tables of [`SCHEMA`], and executes what the rest of this says.
#![forbid(unsafe_code)]

mod person;
pub use person::{TABLES, Table, forget};

mod retention;
pub use retention::Retention;

mod row;
pub use row::keep;

mod statement;
pub use statement::{Statement, Value};

/// What makes the tables.
pub const SCHEMA: &str = include_str!("schema.sql");
