//! The read model: balances in SQLite, with the checkpoint in the same transaction.

use std::path::Path;

use foldhouse::{
    DeadLetter, ExternalModel, FailurePolicy, Position, ProjectionError, ProjectionFilter,
    RecordedEvent, decode_event,
};
use foldhouse_aggregates::{GlAccount, GlEvent};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS balance (account TEXT PRIMARY KEY, minor_units INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS dead_letter (position INTEGER PRIMARY KEY, what TEXT NOT NULL);
";

/// Balances of accounts in minor units, credits counted positive.
pub(crate) struct SqlBalances {
    database: Connection,
}

impl SqlBalances {
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let database = Connection::open(file)?;
        // A commit is durable when it returns, and readers of other processes are not held up.
        database.pragma_update(None, "journal_mode", "wal")?;
        database.pragma_update(None, "synchronous", "full")?;
        database.execute_batch(SCHEMA)?;
        Ok(Self { database })
    }

    fn read_checkpoint(&self) -> rusqlite::Result<Position> {
        let position: Option<i64> = self
            .database
            .query_row("SELECT position FROM checkpoint", [], |row| row.get(0))
            .optional()?;
        Ok(Position::new(position.unwrap_or(0).unsigned_abs()))
    }

    /// All that one batch changes, and how far it goes: both are there, or neither.
    fn commit(&mut self, changes: &[(&str, i64)], up_to: Position) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        change_balances(&transaction, changes)?;
        write_checkpoint(&transaction, up_to)?;
        transaction.commit()
    }

    fn keep_letter(&mut self, letter: &DeadLetter, up_to: Position) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        transaction.execute(
            "INSERT INTO dead_letter (position, what) VALUES (?1, ?2)",
            params![number(letter.position), letter.to_string()],
        )?;
        write_checkpoint(&transaction, up_to)?;
        transaction.commit()
    }

    fn apply_letter(
        &mut self,
        position: Position,
        changes: &[(&str, i64)],
    ) -> rusqlite::Result<bool> {
        let transaction = self.database.transaction()?;
        let letters = transaction.execute(
            "DELETE FROM dead_letter WHERE position = ?1",
            [number(position)],
        )?;
        if letters == 0 {
            return Ok(false);
        }
        change_balances(&transaction, changes)?;
        transaction.commit()?;
        Ok(true)
    }
}

impl ExternalModel for SqlBalances {
    const NAME: &'static str = "sqlite-balances";

    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all().event_types(["Credited", "Debited"])
    }

    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::set_aside(100)
    }

    async fn checkpoint(&mut self) -> Result<Position, ProjectionError> {
        self.read_checkpoint().map_err(ProjectionError::from_error)
    }

    async fn apply(
        &mut self,
        events: &[&RecordedEvent],
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        let changes: Result<Vec<_>, _> = events.iter().map(|event| change(event)).collect();
        self.commit(&changes?, up_to)
            .map_err(ProjectionError::from_error)
    }

    async fn set_aside(
        &mut self,
        letter: &DeadLetter,
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        self.keep_letter(letter, up_to)
            .map_err(ProjectionError::from_error)
    }

    async fn apply_set_aside(&mut self, event: &RecordedEvent) -> Result<(), ProjectionError> {
        let applied = self.apply_letter(event.position, &[change(event)?]);
        match applied.map_err(ProjectionError::from_error)? {
            true => Ok(()),
            false => Err(ProjectionError::new("the event is not set aside")),
        }
    }

    async fn reset(&mut self) -> Result<(), ProjectionError> {
        let all =
            "BEGIN; DELETE FROM balance; DELETE FROM dead_letter; DELETE FROM checkpoint; COMMIT;";
        self.database
            .execute_batch(all)
            .map_err(ProjectionError::from_error)
    }
}

/// The account of a posting, and what it adds to the balance.
pub(crate) fn change(event: &RecordedEvent) -> Result<(&str, i64), ProjectionError> {
    let minor_units = match decode_event::<GlAccount>(event).transpose()? {
        Some(GlEvent::Credited { minor_units, .. }) => minor_units,
        Some(GlEvent::Debited { minor_units, .. }) => -minor_units,
        _ => 0,
    };
    Ok((event.stream.aggregate_id(), minor_units))
}

fn change_balances(transaction: &Transaction<'_>, changes: &[(&str, i64)]) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO balance (account, minor_units) VALUES (?1, ?2)
         ON CONFLICT (account) DO UPDATE SET minor_units = minor_units + excluded.minor_units",
    )?;
    for (account, minor_units) in changes {
        add.execute(params![account, minor_units])?;
    }
    Ok(())
}

fn write_checkpoint(transaction: &Transaction<'_>, up_to: Position) -> rusqlite::Result<()> {
    let replace = "INSERT OR REPLACE INTO checkpoint (one, position) VALUES (1, ?1)";
    transaction
        .prepare_cached(replace)?
        .execute([number(up_to)])?;
    Ok(())
}

/// SQLite counts up to 2^63, which no journal comes to.
fn number(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}

/// The balances and the position that they belong to, read as another program would.
pub(crate) fn read_balances(file: &Path) -> rusqlite::Result<(Vec<(String, i64)>, Position)> {
    let mut balances = SqlBalances::open(file)?;
    // One transaction, so that both are of one moment.
    let transaction = balances.database.transaction()?;
    let rows = transaction
        .prepare("SELECT account, minor_units FROM balance ORDER BY account")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let position: Option<i64> = transaction
        .query_row("SELECT position FROM checkpoint", [], |row| row.get(0))
        .optional()?;
    Ok((rows, Position::new(position.unwrap_or(0).unsigned_abs())))
}
