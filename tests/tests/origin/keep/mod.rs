//! The storage of rooms, in real files.

mod altered;
mod forget;
mod group;
mod kill;
mod migrated;
mod refused;
mod restart;
mod retention;
mod tables;

use std::path::{Path, PathBuf};

use origin::keep::{Batch, FILE, Keep};
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use wire::worker::{Effect, Row, Seen};
use wire::{ChatId, FanId, Micros};

pub(crate) const NOW: Micros = Micros::from_secs(1_800_000_000);

/// A temporary data directory.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join(FILE)
    }

    pub(crate) async fn keep(&self) -> Keep {
        Keep::open(&self.path()).await.expect("a file of ours")
    }

    /// Opens the file as any other program would.
    pub(crate) async fn sql(&self) -> SqliteConnection {
        sql(&self.path()).await
    }

    /// Returns whether any file in the directory contains the text.
    pub(crate) fn has(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.0.path()).expect("a directory").flatten();
        files.into_iter().any(|file| {
            let bytes = std::fs::read(file.path()).expect("readable");
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

pub(crate) async fn sql(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("a database")
}

pub(crate) fn batch(inputs: impl Into<Vec<u8>>) -> Batch {
    Batch { now: NOW, inputs: inputs.into() }
}

pub(crate) fn effects(rows: &[Row<'_>]) -> Vec<u8> {
    let mut effects = Vec::new();
    wire::start(&mut effects);
    for row in rows {
        wire::put(&mut effects, &Effect::Log { level: wire::worker::Level::Info, text: "not a row" });
        wire::put(&mut effects, &Effect::Archive(*row));
    }
    effects
}

pub(crate) fn said(id: u64, fan: FanId, text: &str) -> Row<'_> {
    let at = NOW + Micros(id);
    Row::Said { id: ChatId(id), at, fan, name: "ada", text, reply: None, seen: Seen::Everyone }
}
