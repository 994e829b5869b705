//! Exports the archive: all rows of a person, or all of a room.

use std::path::{Path, PathBuf};

use ::archive::TABLES;
use serde_json::{Map, Value};
use sqlx::{Sqlite, SqliteConnection, pool::PoolConnection, sqlite::SqlitePoolOptions};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use wire::{FanId, Micros};

use super::{Erasure, Error, schema};

/// The most queries at once.
const READERS: u32 = 2;
/// The file, opened for reading. Rooms may go on meanwhile, in this process or another.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    pool: sqlx::Pool<Sqlite>,
}

impl Archive {
    /// Opens the file of an origin, which may be running.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing { path: path.into() });
        }
        let archive = Self::new(path);
        let mut db = archive.reader().await?;
        schema::check(&mut db, path).await?;
        Ok(archive)
    }

    pub(super) fn new(path: &Path) -> Self {
        let pool = SqlitePoolOptions::new().max_connections(READERS);
        Self { path: path.into(), pool: pool.connect_lazy_with(schema::reading(path)) }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, Error> {
        self.pool.acquire().await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &sqlx::Error) -> Error {
        Error::new(&self.path, error)
    }

    /// Lists the rooms that can be loaded.
    pub async fn rooms(&self) -> Result<Vec<String>, Error> {
        let mut db = self.reader().await?;
        let query = "SELECT room FROM snapshots UNION SELECT room FROM journal ORDER BY room";
        sqlx::query_scalar(query).fetch_all(&mut *db).await.map_err(|error| self.failed(&error))
    }

    /// Lists the erasures that have not ended.
    pub(super) async fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        let mut db = self.reader().await?;
        let query = "SELECT fan, room, done FROM forgets ORDER BY begun";
        let rows: Vec<(String, String, Option<i64>)> =
            sqlx::query_as(query).fetch_all(&mut *db).await.map_err(|error| self.failed(&error))?;
        let erasure = |(fan, room, done): (String, String, Option<i64>)| {
            Some(Erasure { fan: fan.parse().ok()?, room, is_done: done.is_some() })
        };
        Ok(rows.into_iter().filter_map(erasure).collect())
    }

    /// Lists the rooms whose last show was before that moment.
    pub(super) async fn shown_before(&self, before: Micros) -> Result<Vec<String>, Error> {
        let mut db = self.reader().await?;
        let query =
            sqlx::query_scalar("SELECT room FROM shows WHERE at < ? ORDER BY room").bind(before.0 as i64);
        query.fetch_all(&mut *db).await.map_err(|error| self.failed(&error))
    }

    /// Returns the moment of the newest row of the archive and of the journal.
    pub async fn newest(&self) -> Result<Option<Micros>, Error> {
        let mut db = self.reader().await?;
        let query = "SELECT max(at) FROM (SELECT max(at) AS at FROM lines UNION ALL SELECT max(at) FROM gifts \
                     UNION ALL SELECT max(at) FROM visits UNION ALL SELECT max(at) FROM audit \
                     UNION ALL SELECT max(at) FROM questions UNION ALL SELECT max(now) FROM journal)";
        let newest: Option<i64> =
            sqlx::query_scalar(query).fetch_one(&mut *db).await.map_err(|error| self.failed(&error))?;
        Ok(newest.map(|at| Micros(at as u64)))
    }

    /// Exports all that is archived of a person, in all rooms.
    pub async fn export(&self, fan: FanId) -> Result<Value, Error> {
        let mut db = self.reader().await?;
        let (id, mut all) = (fan.to_string(), Map::new());
        all.insert("fan".into(), id.clone().into());
        for table in &TABLES {
            let Some(query) = table.page_of_person() else { continue };
            let (mut rows, mut after) = (Vec::new(), 0);
            loop {
                let page = self.page(&mut db, &query, &id, after).await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                for (_, row) in &page {
                    rows.push(serde_json::from_str(row).map_err(|error| Error::Damaged {
                        path: self.path.clone(),
                        reason: format!("a row of {} is no JSON: {error}", table.name),
                    })?);
                }
            }
            all.insert(table.name.into(), Value::Array(rows));
        }
        Ok(all.into())
    }

    /// Writes all that is archived of a room, one JSON object per line, each with its `table`. Returns the number of
    /// lines.
    pub async fn export_room(&self, room: &str, mut out: impl AsyncWrite + Unpin) -> Result<u64, Error> {
        let output = |error: std::io::Error| Error::Output(error.to_string());
        let mut db = self.reader().await?;
        let mut lines = 0;
        for table in &TABLES {
            let query = table.page_of_room();
            let mut after = 0;
            loop {
                let page = self.page(&mut db, &query, room, after).await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                for (_, row) in &page {
                    lines += 1;
                    out.write_all(row.as_bytes()).await.map_err(output)?;
                    out.write_all(b"\n").await.map_err(output)?;
                }
            }
        }
        out.flush().await.map_err(output)?;
        Ok(lines)
    }

    /// Reads the next rows of a table, as JSON texts, in the order in which they were written.
    async fn page(
        &self,
        db: &mut SqliteConnection,
        query: &str,
        value: &str,
        after: i64,
    ) -> Result<Vec<(i64, String)>, Error> {
        let page = sqlx::query_as(query).bind(value).bind(after).fetch_all(db).await;
        page.map_err(|error| self.failed(&error))
    }
}
