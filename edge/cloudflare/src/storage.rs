//! What a room is made of again: the journal in the object's SQLite, and its archive beside it.
//!
//! Nothing that the object sends leaves it before what was written ahead of it is kept: that is the platform's word.

use std::{cell::Cell, fmt::Write as _, rc::Rc};

use archive::{SCHEMA as ARCHIVE, Statement, TABLES};
use bytes::Bytes;
use moqt::Later;
use room_runtime::{Batch, Journal, Kept};
use wire::{FanId, Frame, Frames, Micros, worker::Effect};
use worker::{
    Result, SqlStorage, SqlStorageValue as Value, State, js_sys::futures::JsFuture,
    worker_sys::DurableObjectStorage,
};

/// A value holds no more than two megabytes.
const PIECE_BYTES: usize = 1 << 20;
/// The format that is written here.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE journal (seq INTEGER PRIMARY KEY, now INTEGER NOT NULL, inputs BLOB NOT NULL);
CREATE TABLE snapshot (piece INTEGER PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL);
";

/// What one object keeps.
#[derive(Clone)]
pub(crate) struct RoomStorage {
    raw: Rc<DurableObjectStorage>,
    sql: SqlStorage,
    room: String,
    /// Whether something may not be kept yet.
    unsynced: Rc<Cell<bool>>,
    /// The number of the last batch in the journal.
    last: Rc<Cell<i64>>,
}

impl RoomStorage {
    /// What the object of that room keeps.
    pub(crate) fn new(state: &State, room: String) -> Result<Self> {
        let raw = Rc::new(state.as_raw().storage()?);
        Ok(Self { raw, sql: state.storage().sql(), room, unsynced: Rc::default(), last: Rc::default() })
    }

    /// Waits until all is kept. What is sent after that need not wait, each message by itself.
    pub(crate) async fn sync(&self) -> Result<()> {
        if self.unsynced.take() {
            JsFuture::from(self.raw.sync()?).await?;
        }
        Ok(())
    }

    /// Whether the room has been opened.
    pub(crate) fn is_open(&self) -> Result<bool> {
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'format'";
        if self.number(tables)? == 0 {
            return Ok(false);
        }
        match self.number("SELECT version FROM format")? {
            FORMAT => Ok(true),
            newer => Err(format!("format {newer} is kept, and {FORMAT} is the newest that is known").into()),
        }
    }

    /// Opens the room: its tables are made.
    pub(crate) fn open(&self) -> Result<()> {
        self.sql.exec("CREATE TABLE format (version INTEGER NOT NULL)", None)?;
        self.sql.exec(SCHEMA, None)?;
        self.sql.exec(ARCHIVE, None)?;
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

    /// Archives a row.
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

    /// Lets go of what has been archived for longer than it may be: some of it, and again the next time.
    pub(crate) fn prune(&self, now: Micros) -> Result<()> {
        for (life, sql) in archive::Retention::default().steps() {
            let before = now.0.saturating_sub(life.as_micros() as u64);
            self.sql.exec(sql, vec![Value::Integer(before as i64)])?;
        }
        Ok(())
    }

    /// All that is archived of the room, a JSON object a line.
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

    /// All that is archived of a person here, a row a line: its table, a space, and a JSON object.
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

    /// All rows of what is asked page by page, as JSON.
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
        let [value] = columns(row.ok_or("a question without an answer")??)?;
        Ok(number(&value))
    }
}

fn columns<const N: usize>(row: Vec<Value>) -> Result<[Value; N]> {
    row.try_into().map_err(|_| "a row of another shape".into())
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

/// The platform holds back what the object sends until what was written before is kept: nothing here has to wait.
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
