use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{
    Change, Checkpoint, Fault, Position, READ_MODEL_KEY_BYTES_MAX, ReadError, Store,
};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Projection;
use super::live::{Live, Rows};
use super::slot::Side;
use super::store_keys;
use crate::refusal::panic_message;

/// The most that one row may take in the store, in bytes.
pub const ROW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// While a projection catches up, its rows are kept this often: most of them change again and again, and a row costs
/// the store more than an event costs the projection. It is also the most that is read twice after a crash.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Or when so many have changed, to bound what the store is given at a time.
const COMMIT_ROWS: usize = 1_000;
/// A model of which less than half is kept is in the making. If so many of its rows change that keeping them takes longer
/// than making them, it is kept this often only,
const MAKING_EVERY: Duration = Duration::from_secs(10);
/// or when so many have changed, to bound the memory that they take on their way to the store.
const MAKING_ROWS: usize = 100_000;
/// When nothing has changed, the checkpoint alone is kept every so many events.
const COMMIT_EVERY_EVENTS: u64 = 10_000;

/// Lets the store keep the rows of a projection, one commit at a time, while the projection goes on.
pub(super) struct Commits {
    store: Arc<dyn Store>,
    /// Where in the store, and how often the model was replaced before.
    name: Arc<str>,
    side: Side,
    generation: u64,
    /// The model is made beside a live one, and does not count yet.
    staged: bool,
    /// Up to where the store keeps the rows, and since when.
    kept: Position,
    kept_at: Instant,
    in_flight: Option<InFlight>,
    /// Whether the last one failed. Then the next is waited for, so that failures in a row are seen as such.
    failed: bool,
}

/// A commit on its way.
struct InFlight {
    /// Up to where its rows go.
    position: Position,
    task: JoinHandle<Result<(), ReadError>>,
    /// What the task gave, once it was asked.
    outcome: Option<Result<(), ReadError>>,
}

impl InFlight {
    async fn outcome(&mut self) -> &Result<(), ReadError> {
        if self.outcome.is_none() {
            let outcome = (&mut self.task).await;
            let panicked = |error| Err(ReadError::Io(Fault::new(format!("{error}"))));
            self.outcome = Some(outcome.unwrap_or_else(panicked));
        }
        self.outcome.as_ref().unwrap_or(&Ok(()))
    }

    fn has_ended(&self) -> bool {
        self.outcome.is_some() || self.task.is_finished()
    }
}

/// Where a model is kept.
pub(super) struct Place {
    pub(super) name: Arc<str>,
    pub(super) side: Side,
    pub(super) generation: u64,
}

impl Commits {
    pub(super) fn new(store: Arc<dyn Store>, place: Place, kept: Position) -> Self {
        let Place {
            name,
            side,
            generation,
        } = place;
        Self {
            store,
            name,
            side,
            generation,
            staged: false,
            kept,
            kept_at: Instant::now(),
            in_flight: None,
            failed: false,
        }
    }

    /// Of a model that is made beside a live one: it does not count before it is sealed.
    pub(super) fn staged(store: Arc<dyn Store>, place: Place) -> Self {
        Self {
            staged: true,
            ..Self::new(store, place, Position::BEFORE_FIRST)
        }
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Sees to the commit in flight, if it has ended, and begins the next, if it is time.
    pub(super) async fn step<P: Projection>(
        &mut self,
        live: &Live<P>,
        position: Position,
        at_head: bool,
    ) -> Result<(), String> {
        if self.failed {
            return self.finish(live, position).await;
        }
        let changes = live.read().change_count();
        let is_many = changes >= COMMIT_ROWS;
        let is_making = is_many && !at_head && self.is_in_the_making(position);
        let is_full = is_many && (!is_making || changes >= MAKING_ROWS);
        if let Some(commit) = &self.in_flight {
            if !commit.has_ended() && !is_full {
                return Ok(());
            }
            self.settle(live).await?;
        }
        let behind = position.get().saturating_sub(self.kept.get());
        let is_due = if at_head {
            changes > 0 || behind >= COMMIT_EVERY_EVENTS
        } else {
            let every = if is_making {
                MAKING_EVERY
            } else {
                COMMIT_EVERY
            };
            behind > 0 && self.kept_at.elapsed() >= every
        };
        if is_full || is_due {
            self.begin(live, position)?;
        }
        Ok(())
    }

    /// Whether more of what the rows show at `position` is new than is kept.
    fn is_in_the_making(&self, position: Position) -> bool {
        self.staged || position.get().saturating_sub(self.kept.get()) > self.kept.get()
    }

    /// Keeps everything, and waits until that is done.
    pub(super) async fn finish<P: Projection>(
        &mut self,
        live: &Live<P>,
        position: Position,
    ) -> Result<(), String> {
        self.settle(live).await?;
        if self.kept != position || live.read().change_count() > 0 {
            self.begin(live, position)?;
        }
        self.settle(live).await
    }

    /// Lets a staged model count: its last rows, its checkpoint and its generation's number in one atomic write.
    pub(super) async fn seal<P: Projection>(
        &mut self,
        live: &Live<P>,
        position: Position,
        generation: u64,
    ) -> Result<(), String> {
        self.settle(live).await?;
        let mut changes = encode_changes::<P>(&live.read())?;
        changes.push(Change {
            key: store_keys::generation(),
            value: Some(generation.to_be_bytes().to_vec()),
        });
        live.write().begin_commit();
        let checkpoint = checkpoint::<P>(position);
        let sealed = keep_in_parts(&*self.store, &self.name, checkpoint, changes).await;
        live.write().end_commit(sealed.is_ok());
        sealed.map_err(|error| format!("the new model was not kept: {error}"))?;
        (self.staged, self.generation, self.kept) = (false, generation, position);
        self.kept_at = Instant::now();
        Ok(())
    }

    /// Forgets what is kept.
    pub(super) async fn reset(&mut self) -> Result<(), String> {
        let reset = self.store.reset(&self.name).await;
        reset.map_err(|error| format!("the rows were not removed: {error}"))?;
        (self.generation, self.kept, self.failed) = (0, Position::BEFORE_FIRST, false);
        Ok(())
    }

    /// Waits until the commit in flight has ended; for ever if there is none.
    pub(super) async fn until_ended(&mut self) {
        match &mut self.in_flight {
            Some(commit) => {
                commit.outcome().await.as_ref().ok();
            }
            None => std::future::pending().await,
        }
    }

    fn begin<P: Projection>(&mut self, live: &Live<P>, position: Position) -> Result<(), String> {
        // The actor is the only writer, so rows and position belong together.
        let changes = encode_changes::<P>(&live.read()).inspect_err(|_| self.failed = true)?;
        live.write().begin_commit();
        let counts_up_to = match self.staged {
            true => Position::BEFORE_FIRST,
            false => position,
        };
        let checkpoint = checkpoint::<P>(counts_up_to);
        let (store, name) = (Arc::clone(&self.store), Arc::clone(&self.name));
        let in_parts = self.is_in_the_making(position);
        self.in_flight = Some(InFlight {
            position,
            task: tokio::spawn(async move {
                match in_parts {
                    true => keep_in_parts(&*store, &name, checkpoint, changes).await,
                    false => store.commit(&name, checkpoint, changes).await,
                }
            }),
            outcome: None,
        });
        Ok(())
    }

    /// Waits for the commit in flight, if there is one.
    pub(super) async fn settle<P: Projection>(&mut self, live: &Live<P>) -> Result<(), String> {
        let Some(commit) = &mut self.in_flight else {
            return Ok(());
        };
        let error = commit
            .outcome()
            .await
            .as_ref()
            .err()
            .map(ToString::to_string);
        let position = commit.position;
        self.in_flight = None;
        self.failed = error.is_some();
        self.kept_at = Instant::now();
        live.write().end_commit(!self.failed);
        if let Some(error) = error {
            return Err(format!("the rows were not kept: {error}"));
        }
        self.kept = position;
        tracing::trace!(projection = P::NAME, %position, "rows kept");
        Ok(())
    }
}

fn checkpoint<P: Projection>(position: Position) -> Checkpoint {
    Checkpoint {
        position,
        model_version: P::MODEL_VERSION,
    }
}

/// Keeps more rows than one commit takes, for a model in the making. Until the last of them is kept the checkpoint is
/// before the first event: a model that is found like this was cut off, shows rows of different moments, and is made
/// anew. That is why others are not kept in this way.
async fn keep_in_parts(
    store: &dyn Store,
    name: &str,
    checkpoint: Checkpoint,
    changes: Vec<Change>,
) -> Result<(), ReadError> {
    let cut_off = Checkpoint {
        position: Position::BEFORE_FIRST,
        ..checkpoint
    };
    let mut changes = changes.into_iter();
    while changes.len() > COMMIT_ROWS {
        let part = changes.by_ref().take(COMMIT_ROWS).collect();
        store.commit(name, cut_off, part).await?;
    }
    store.commit(name, checkpoint, changes.collect()).await
}

/// What the store has to keep, encoded.
fn encode_changes<P: Projection>(rows: &Rows<P>) -> Result<Vec<Change>, String> {
    // Unwind safe: the rows are only read.
    let encoded: Result<Vec<Change>, String> = catch_unwind(AssertUnwindSafe(|| {
        let changes = rows.table.changes().map(|(key, row)| {
            let key = encode_key(key)?;
            let value = row.map(encode_row).transpose()?;
            Ok(Change { key, value })
        });
        changes.collect()
    }))
    .unwrap_or_else(|panic| {
        let panic = panic_message(panic);
        Err(format!("a row's encoding panicked: {panic}"))
    });
    let mut changes = encoded?;
    changes.extend(rows.letters.changes()?);
    Ok(changes)
}

/// Named fields: by place, two keys that leave out different fields could be the same bytes.
fn encode_key(key: &impl Serialize) -> Result<Vec<u8>, String> {
    let bytes =
        rmp_serde::to_vec_named(key).map_err(|error| format!("a key's encoding: {error}"))?;
    if bytes.len() > READ_MODEL_KEY_BYTES_MAX {
        return Err(format!(
            "a key takes {} bytes; the limit is {READ_MODEL_KEY_BYTES_MAX}",
            bytes.len()
        ));
    }
    Ok(bytes)
}

/// Named fields: a row may get a new one with `#[serde(default)]` and keep the rows that are there.
fn encode_row(row: &impl Serialize) -> Result<Vec<u8>, String> {
    let bytes =
        rmp_serde::to_vec_named(row).map_err(|error| format!("a row's encoding: {error}"))?;
    if bytes.len() > ROW_BYTES_MAX {
        return Err(format!(
            "a row takes {} bytes; the limit is {ROW_BYTES_MAX}",
            bytes.len()
        ));
    }
    Ok(bytes)
}
