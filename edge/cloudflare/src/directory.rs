//! The directory: one Durable Object that lists all rooms.
#![allow(missing_docs, reason = "the platform's entry points are made by a macro, without documentation")]

use std::fmt::Write as _;

use worker::{
    DurableObject, Env, Request, Response, Result, SqlStorage, SqlStorageValue as Value, State,
    durable_object,
};

use crate::{
    DIRECTORY,
    address::{Address, encoded},
    api::json,
    platform::wall,
};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS rooms (
  name TEXT PRIMARY KEY, since INTEGER NOT NULL, told INTEGER NOT NULL, viewers INTEGER NOT NULL, listed INTEGER NOT NULL
);
";
/// Seconds after its last report that a room is listed. A room reports every quarter of that.
const SILENCE_S: u64 = 60;

/// The directory object: the open rooms and their viewers.
#[durable_object(fetch)]
pub struct Directory {
    state: State,
}

/// A room's report to the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomReport {
    /// Viewers of the room. Without them, the room is closed and no longer listed.
    pub(crate) viewers: Option<u64>,
    /// Set if the room may be listed publicly.
    pub(crate) is_listed: bool,
}

/// Sends a room's report to the directory.
pub(crate) async fn report(env: &Env, room: &str, report: RoomReport) -> Result<()> {
    let directory = env.durable_object(DIRECTORY)?.get_by_name("")?;
    let RoomReport { viewers, is_listed } = report;
    let viewers = viewers.map(|viewers| format!("&viewers={viewers}")).unwrap_or_default();
    let room = encoded(room);
    let url = format!("https://directory/tell?room={room}&listed={}{viewers}", u8::from(is_listed));
    directory.fetch_with_str(&url).await.map(drop)
}

impl DurableObject for Directory {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let address = Address::new(request.inner().url());
        let sql = self.state.storage().sql();
        sql.exec(SCHEMA, None)?;
        match (address.path(), address.room()) {
            ("/tell", Ok(room)) => record(&sql, &address, room),
            ("/rooms", _) => json(format!("[{}]", list(&sql, "listed = 1", Vec::new())?.join(","))),
            ("/room", Ok(room)) => {
                match list(&sql, "listed = 1 AND name = ?", vec![Value::String(room.clone())])?.pop() {
                    Some(view) => json(view),
                    None => Response::error(format!("there is no room {room:?}\n"), 404),
                }
            }
            ("/names", _) => names(&sql),
            _ => Response::error("the directory has no such address\n", 404),
        }
    }
}

fn record(sql: &SqlStorage, address: &Address, room: String) -> Result<Response> {
    let number = |key: &str| address.value(key).and_then(|value| value.parse::<i64>().ok());
    let now = (wall().0 / 1_000_000) as i64;
    let (viewers, reported) = match number("viewers") {
        Some(viewers) => (viewers, now),
        None => (0, 0),
    };
    let row = vec![
        Value::String(room),
        Value::Integer(now),
        Value::Integer(reported),
        Value::Integer(viewers),
        Value::Integer(number("listed").unwrap_or(0)),
        Value::Integer(now - SILENCE_S as i64),
    ];
    let sql = sql.exec(
        "INSERT INTO rooms VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET \
         since = iif(told < ?6, ?2, since), told = ?3, viewers = ?4, listed = max(listed, ?5)",
        row,
    );
    sql.map(drop)?;
    Response::empty()
}

/// Returns the open rooms as the JSON objects of `/api/rooms`.
fn list(sql: &SqlStorage, which: &str, values: Vec<Value>) -> Result<Vec<String>> {
    let since = wall().0 / 1_000_000 - SILENCE_S;
    let query = format!(
        "SELECT json_object('name', name, 'state', 'open', 'since', \
         strftime('%Y-%m-%dT%H:%M:%SZ', since, 'unixepoch'), 'viewers', viewers) \
         FROM rooms WHERE told > {since} AND {which} ORDER BY name"
    );
    texts(sql, &query, values)
}

fn names(sql: &SqlStorage) -> Result<Response> {
    let mut names = String::new();
    for name in texts(sql, "SELECT name FROM rooms ORDER BY name", Vec::new())? {
        let _ = writeln!(names, "{}", encoded(&name));
    }
    Response::ok(names)
}

fn texts(sql: &SqlStorage, query: &str, values: Vec<Value>) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for row in sql.exec(query, values)?.raw() {
        if let [Value::String(text), ..] = &row?[..] {
            texts.push(text.clone());
        }
    }
    Ok(texts)
}
