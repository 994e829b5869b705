//! A room's storage: the journal from which it is restored, and its archive, both in the object's SQLite.
//!
//! The platform guarantees that nothing the object sends leaves before what it wrote earlier is durable.

use std::{cell::Cell, fmt::Write as _, rc::Rc};

use archive::{RESULTS, SCHEMA as ARCHIVE, Statement, TABLES};
use bytes::Bytes;
use moqt::Later;
use room_runtime::{Batch, Journal, Kept};
use wire::{FanId, Frame, Frames, Micros, worker::Effect};
use worker::{
    Result, SqlStorage, SqlStorageValue as Value, State, js_sys::futures::JsFuture,
    worker_sys::DurableObjectStorage,
};

/// Bytes of a snapshot in one row: SQLite values on the platform hold at most two megabytes.
const PIECE_BYTES: usize = 1 << 20;
/// The version of the tables that this code writes.
const FORMAT: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE journal (seq INTEGER PRIMARY KEY, now INTEGER NOT NULL, inputs BLOB NOT NULL);
CREATE TABLE snapshot (piece INTEGER PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL);
";

/// The storage of one object.
#[derive(Clone)]
pub(crate) struct RoomStorage {
    raw: Rc<DurableObjectStorage>,
    sql: SqlStorage,
    room: String,
    /// Set if something was written since the last [`sync`](Self::sync).
    unsynced: Rc<Cell<bool>>,
    /// The number of the last batch in the journal.
    last: Rc<Cell<i64>>,
}

impl RoomStorage {
    /// Opens the storage of a room's object.
    pub(crate) fn new(state: &State, room: String) -> Result<Self> {
        let raw = Rc::new(state.as_raw().storage()?);
        Ok(Self { raw, sql: state.storage().sql(), room, unsynced: Rc::default(), last: Rc::default() })
    }

    /// Waits until all writes are durable, so that the platform need not hold back each message sent after it.
    pub(crate) async fn sync(&self) -> Result<()> {
        if self.unsynced.take() {
            JsFuture::from(self.raw.sync()?).await?;
        }
        Ok(())
    }

    /// Returns whether the room has been opened, and migrates tables of the first format. Fails if a newer version has
    /// written them.
    pub(crate) fn is_open(&self) -> Result<bool> {
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'format'";
        if self.number(tables)? == 0 {
            return Ok(false);
        }
        match self.number("SELECT version FROM format")? {
            FORMAT => Ok(true),
            1 => {
                // The platform writes both or none: nothing is awaited in between.
                self.sql.exec(RESULTS, None)?;
                self.sql.exec("UPDATE format SET version = ?", vec![Value::Integer(FORMAT)])?;
                Ok(true)
            }
            newer => {
                Err(format!("the tables have format {newer}; this version reads formats up to {FORMAT}")
                    .into())
            }
        }
    }

    /// Opens the room by creating its tables.
    pub(crate) fn open(&self) -> Result<()> {
        self.sql.exec("CREATE TABLE format (version INTEGER NOT NULL)", None)?;
        self.sql.exec(SCHEMA, None)?;
        self.sql.exec(ARCHIVE, None)?;
        self.sql.exec(RESULTS, None)?;
        self.sql.exec("INSERT INTO format VALUES (?)", vec![Value::Integer(FORMAT)]).map(drop)
    }

    /// Reads the journal, as [`Journal::load`] does.
    pub(crate) fn load_now(&self) -> Result<Kept> {
        let (mut last, mut snapshot, mut batches) = (0, None, Vec::new());
        for row in self.sql.exec("SELECT seq, state FROM snapshot ORDER BY piece", None)?.raw() {
            let [of, state] = columns(row?)?;
            last = number(&of);
            snapshot.get_or_insert_with(Vec::new).extend(blob(state));
        }
        for row in self.sql.exec("SELECT seq, now, inputs FROM journal ORDER BY seq", None)?.raw() {
            let [of, now, inputs] = columns(row?)?;
            last = number(&of);
            batches.push(Batch { now: Micros(number(&now) as u64), inputs: blob(inputs).into() });
        }
        self.last.set(last);
        Ok(Kept { snapshot: snapshot.map(Into::into), batches })
    }

    /// Appends a batch, as [`Journal::append`] does.
    pub(crate) fn append_now(&self, batch: &Batch, effects: &[u8]) -> Result<()> {
        self.unsynced.set(true);
        self.last.set(self.last.get() + 1);
        let inputs = Value::Blob(batch.inputs.to_vec());
        let row = vec![Value::Integer(self.last.get()), Value::Integer(batch.now.0 as i64), inputs];
        self.sql.exec("INSERT INTO journal VALUES (?, ?, ?)", row)?;
        for effect in Frames::<Effect<'_>>::new(effects).into_iter().flatten() {
            if let Ok(Frame::Known(Effect::Archive(row))) = effect {
                self.archive(&row)?;
            }
        }
        Ok(())
    }

    /// Replaces the journal by a snapshot, as [`Journal::snapshot`] does.
    pub(crate) fn snapshot_now(&self, state: &[u8]) -> Result<()> {
        self.sql.exec("DELETE FROM snapshot", None)?;
        for (piece, state) in (0..).zip(state.chunks(PIECE_BYTES)) {
            let row =
                vec![Value::Integer(piece), Value::Integer(self.last.get()), Value::Blob(state.to_vec())];
            self.sql.exec("INSERT INTO snapshot VALUES (?, ?, ?)", row)?;
        }
        self.sql.exec("DELETE FROM journal", None).map(drop)
    }

    /// Writes one row of the archive.
    fn archive(&self, row: &wire::worker::Row<'_>) -> Result<()> {
        for Statement { sql, values } in archive::keep(&self.room, row) {
            let values = values.into_iter().map(|value| match value {
                archive::Value::Null => Value::Null,
                archive::Value::Integer(number) => Value::Integer(number),
                archive::Value::Text(text) => Value::String(text.to_owned()),
                archive::Value::Made(text) => Value::String(text),
            });
            self.sql.exec(sql, values.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Deletes archived rows that are past their retention. Each call deletes a bounded number of them.
    pub(crate) fn prune(&self, now: Micros) -> Result<()> {
        for (life, sql) in archive::Retention::default().steps() {
            let before = now.0.saturating_sub(life.as_micros() as u64);
            self.sql.exec(sql, vec![Value::Integer(before as i64)])?;
        }
        Ok(())
    }

    /// Returns all archived rows of the room, one JSON object per line.
    pub(crate) fn export(&self) -> Result<String> {
        let mut lines = String::new();
        for table in &TABLES {
            for row in self.pages(&table.page_of_room(), &self.room)? {
                lines.push_str(&row);
                lines.push('\n');
            }
        }
        Ok(lines)
    }

    /// Returns all archived rows of a person in this room, one per line: table, space, JSON object.
    pub(crate) fn export_person(&self, fan: FanId) -> Result<String> {
        let mut lines = String::new();
        for table in &TABLES {
            let Some(query) = table.page_of_person() else { continue };
            for row in self.pages(&query, &fan.to_string())? {
                let _ = writeln!(lines, "{} {row}", table.name);
            }
        }
        Ok(lines)
    }

    /// Returns all rows of a paged query, as JSON.
    fn pages(&self, query: &str, key: &str) -> Result<Vec<String>> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let before = rows.len();
            let values = vec![Value::String(key.to_owned()), Value::Integer(after)];
            for row in self.sql.exec(query, values)?.raw() {
                if let [at, Value::String(json)] = columns(row?)? {
                    after = number(&at);
                    rows.push(json);
                }
            }
            if rows.len() == before {
                return Ok(rows);
            }
        }
    }

    fn number(&self, query: &str) -> Result<i64> {
        let row = self.sql.exec(query, None)?.raw().next();
        let [value] = columns(row.ok_or("the query returned no row")??)?;
        Ok(number(&value))
    }
}

fn columns<const N: usize>(row: Vec<Value>) -> Result<[Value; N]> {
    row.try_into().map_err(|_| "the row has another number of columns".into())
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        Value::Float(number) => *number as i64,
        _ => 0,
    }
}

fn blob(value: Value) -> Vec<u8> {
    match value {
        Value::Blob(bytes) => bytes,
        _ => Vec::new(),
    }
}

/// Resolves at once: the platform holds back what the object sends until what was written before is durable.
impl Journal for RoomStorage {
    fn load(&self) -> Later<'_, std::result::Result<Kept, room_runtime::Error>> {
        Box::pin(std::future::ready(self.load_now().map_err(failed)))
    }

    fn append(
        &self,
        batch: Batch,
        effects: Bytes,
    ) -> Later<'_, std::result::Result<(), room_runtime::Error>> {
        Box::pin(std::future::ready(self.append_now(&batch, &effects).map_err(failed)))
    }

    fn snapshot(&self, state: Bytes) -> Later<'_, std::result::Result<(), room_runtime::Error>> {
        Box::pin(std::future::ready(self.snapshot_now(&state).map_err(failed)))
    }
}

fn failed(error: worker::Error) -> room_runtime::Error {
    room_runtime::Error::Journal(error.to_string())
}
