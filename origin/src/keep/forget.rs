//! Erasures of people while rooms run, as jobs that survive a restart.

use archive::{Statement, Value};
use wire::{FanId, Micros};

use super::{Error, Keep, writer::Job};

/// An erasure that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The person.
    pub fan: FanId,
    /// The last room that has forgotten them; all before it in the alphabet have, too.
    pub room: String,
    /// Set once all rooms have, and only the file must still be rewritten.
    pub is_done: bool,
}

impl Keep {
    /// Begins to erase a person: erases them from the archive, and notes that the rooms have to forget them.
    pub async fn begin_forget(&self, fan: FanId, now: Micros) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO forgets VALUES (?, ?, '', NULL)";
        let mut statements = vec![Statement { sql, values: vec![fan.into(), now.0.into()] }];
        statements.extend(archive::forget(None, fan));
        self.change(statements).await.map(drop)
    }

    /// Notes that a room has forgotten a person.
    pub async fn forgotten_in(&self, fan: FanId, room: String) -> Result<(), Error> {
        let sql = "UPDATE forgets SET room = ? WHERE fan = ?";
        self.change(vec![Statement { sql, values: vec![Value::Made(room), fan.into()] }]).await.map(drop)
    }

    /// Notes that all rooms have forgotten a person, and that this was done, without whom, in the audit. The archive is
    /// erased again, since rows may have come while rooms still knew them. Gives the pages that are free back, a few at a
    /// time, and empties the write-ahead log.
    pub async fn end_forget(&self, fan: FanId, now: Micros) -> Result<(), Error> {
        let mut statements: Vec<_> = archive::forget(None, fan);
        statements.push(Statement {
            sql: "UPDATE forgets SET done = ? WHERE fan = ?",
            values: vec![now.0.into(), fan.into()],
        });
        statements.push(Statement {
            sql: "INSERT INTO audit VALUES (NULL, '', ?, NULL, 'forget', NULL, 0)",
            values: vec![now.0.into()],
        });
        self.change(statements).await?;
        while self.ask(|done| Job::Wipe { done }).await? {}
        Ok(())
    }

    /// Lists the erasures that have not ended.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        self.archive.erasures().await
    }

    /// Rewrites the file if somebody was erased since it was rewritten last. Call it while no room runs: rooms would
    /// wait for as long as copying the file takes.
    pub async fn scrub_if_due(&self) -> Result<bool, Error> {
        let done: Vec<_> = self.erasures().await?.into_iter().filter(|erasure| erasure.is_done).collect();
        if done.is_empty() {
            return Ok(false);
        }
        self.scrub().await?;
        let sql = "DELETE FROM forgets WHERE fan = ?";
        self.change(done.iter().map(|erasure| Statement { sql, values: vec![erasure.fan.into()] }).collect())
            .await?;
        while self.ask(|done| Job::Wipe { done }).await? {}
        Ok(true)
    }
}
