//! The one place that calls sled, and what keeps its habits from reaching anyone else:
//!
//! - a panic inside it becomes a [`Fault`], and nothing more is asked of it until it is opened again;
//! - its `flush` only hands pages to the kernel, so [`Engine::sync`] syncs its file through a descriptor of our own;
//! - a call can wait for ever: `budget` keeps it from that, `watch` gives the index up, and a flush has a time limit;
//! - its trees are fixed, and there is one handle.

mod budget;
mod failure;
mod tables;
mod watch;

use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sled::{Config, Db};

use self::budget::Unflushed;
pub(super) use self::failure::OpenFailure;
use self::failure::{is_damage, is_locked, panic_text};
use self::tables::Handles;
pub(super) use self::tables::Table;
use self::watch::{Calls, Watch};
use super::directory::{LOCK_RETRY, LOCK_WAIT_MAX};
use super::receipt::Receipt;
use crate::error::Fault;

/// A page above a quarter of this goes to a file that is never synced. Leaves stay far below (at most some 20 values);
/// an inner page holds up to 320 keys of at most 600 bytes. Written into the files: never change it.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// The longest that a flush may take, or any call while no other comes back, before the index is given up.
const CALL_TIME_MAX: Duration = Duration::from_secs(if cfg!(test) { 10 } else { 60 });

/// The file that holds all pages.
const DATA_FILE: &str = "db";

/// A key or a value as the engine gives it out: shared bytes.
pub(super) type Bytes = sled::IVec;

/// Puts and removals on one table that take effect together, or not at all after a crash.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: sled::Batch,
    cost: usize,
}

impl Batch {
    pub(super) fn insert(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        self.cost += budget::cost(key.len(), value.len());
        self.changes.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: impl Into<Bytes>) {
        let key = key.into();
        self.cost += budget::cost(key.len(), 0);
        self.changes.remove(key);
    }
}

/// The open database.
pub(super) struct Engine {
    /// `None` only while it is dropped.
    handles: Option<Handles>,
    data: File,
    receipt: Arc<Receipt>,
    /// Why nothing more may be asked of it.
    broken: Arc<OnceLock<Fault>>,
    calls: Arc<Calls>,
    unflushed: Unflushed,
    /// `None` only while it is dropped.
    watch: Option<Watch>,
    #[cfg(test)]
    hangs: std::sync::atomic::AtomicBool,
}

impl Engine {
    /// Opens or creates the database in `index`.
    ///
    /// # Errors
    /// Says whether the files are at fault or their surroundings.
    pub(super) fn open(
        index: &Path,
        receipt: Receipt,
        cache_bytes: u64,
    ) -> Result<Self, OpenFailure> {
        let open = || {
            let database = Config::new()
                .path(index)
                .cache_capacity(cache_bytes)
                .flush_every_ms(None)
                .segment_size(SEGMENT_BYTES)
                .open()?;
            let tree = |table: Table| database.open_tree(table.name());
            Ok(Handles {
                streams: tree(Table::Streams)?,
                commands: tree(Table::Commands)?,
                facts: tree(Table::Facts)?,
                segments: tree(Table::Segments)?,
                snapshots: tree(Table::Snapshots)?,
                models: tree(Table::Models)?,
                meta: tree(Table::Meta)?,
                database,
            })
        };
        let started = Instant::now();
        let opened = loop {
            match catch_unwind(AssertUnwindSafe(open)) {
                Ok(Err(error)) if is_locked(&error) && started.elapsed() < LOCK_WAIT_MAX => {
                    std::thread::sleep(LOCK_RETRY);
                }
                opened => break opened,
            }
        };
        let handles = match opened {
            Ok(Ok(handles)) => handles,
            Ok(Err(error)) => return Err(OpenFailure::of(error)),
            Err(panic) => {
                return Err(OpenFailure::Files(format!(
                    "it panicked while it was opened: {}",
                    panic_text(&*panic)
                )));
            }
        };
        let path = index.join(DATA_FILE);
        let data = File::open(&path).map_err(|error| {
            let what = format!("{} cannot be opened", path.display());
            OpenFailure::Surroundings(Fault::io(what, error))
        })?;
        let (receipt, broken) = (Arc::new(receipt), Arc::<OnceLock<Fault>>::default());
        let calls = Arc::<Calls>::default();
        let give_up = {
            let (receipt, broken) = (Arc::clone(&receipt), Arc::clone(&broken));
            move || {
                let what = format!(
                    "the index has not answered for {} s; see to the disk",
                    CALL_TIME_MAX.as_secs()
                );
                broken.get_or_init(|| condemn(&receipt, what));
            }
        };
        let watch = Watch::start(Arc::clone(&calls), CALL_TIME_MAX, give_up).map_err(|error| {
            let what = "no thread could be started to watch over the index";
            OpenFailure::Surroundings(Fault::io(what, error))
        })?;
        Ok(Self {
            handles: Some(handles),
            data,
            receipt,
            broken,
            calls,
            unflushed: Unflushed::default(),
            watch: Some(watch),
            #[cfg(test)]
            hangs: false.into(),
        })
    }

    /// Whether nothing more is asked of it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get().is_some()
    }

    /// The receipt beside it.
    pub(super) fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.guarded("read", |handles| handles.tree(table).get(key))
    }

    pub(super) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.changing(budget::cost(key.len(), value.len()), |handles| {
            handles.tree(table).insert(key, value).map(drop)
        })
    }

    pub(super) fn remove(&self, table: Table, key: &[u8]) -> Result<(), Fault> {
        self.changing(budget::cost(key.len(), 0), |handles| {
            handles.tree(table).remove(key).map(drop)
        })
    }

    pub(super) fn apply(&self, table: Table, batch: Batch) -> Result<(), Fault> {
        self.changing(batch.cost, |handles| {
            handles.tree(table).apply_batch(batch.changes)
        })
    }

    fn changing(
        &self,
        cost: usize,
        change: impl FnOnce(&Handles) -> sled::Result<()>,
    ) -> Result<(), Fault> {
        if !self.unflushed.has_room(cost) {
            self.flush()?;
        }
        self.unflushed.add(cost);
        self.guarded("write", change)
    }

    /// The entries from `low` (inclusive) to `high` (exclusive).
    pub(super) fn range(&self, table: Table, low: &[u8], high: &[u8]) -> Result<Range<'_>, Fault> {
        let bounds = (Bound::Included(low), Bound::Excluded(high));
        let entries = self.guarded("read", |handles| {
            Ok(handles.tree(table).range::<&[u8], _>(bounds))
        })?;
        Ok(Range {
            engine: self,
            entries,
        })
    }

    /// Reads one entry at each end of a table: enough to see whether its pages can be found at all.
    pub(super) fn probe(&self, table: Table) -> Result<(), Fault> {
        self.guarded("read", |handles| {
            let tree = handles.tree(table);
            tree.first()?;
            tree.last()?;
            Ok(())
        })
    }

    /// Hands all that was written to the operating system. Not durable yet: see [`Engine::sync`].
    pub(super) fn flush(&self) -> Result<(), Fault> {
        self.flush_within(CALL_TIME_MAX, |database| database.flush())
    }

    fn flush_within(
        &self,
        limit: Duration,
        flush: impl FnOnce(&Db) -> sled::Result<usize> + Send + 'static,
    ) -> Result<(), Fault> {
        let handles = self.handles()?.clone();
        let unflushed = self.unflushed.cost();
        let call = self.calls.begin();
        let (done, outcome) = sync_channel(1);
        // A thread of its own for the time limit: the flush waits on a condition that a failed write need not signal.
        std::thread::Builder::new()
            .name("foldhouse-index-flush".to_owned())
            .spawn(move || {
                let flushed = catch_unwind(AssertUnwindSafe(|| flush(&handles.database)));
                // The handle goes first: whoever is told may want to close.
                drop(handles);
                drop(call);
                drop(done.send(flushed));
            })
            .map_err(|error| Fault::io("no thread could be started to flush the index", error))?;
        match outcome.recv_timeout(limit) {
            Ok(flushed) => {
                self.settle("flush", flushed)?;
                self.unflushed.flushed(unflushed);
                Ok(())
            }
            // The thread that hangs keeps the files: they must be moved aside, or nobody can open them in this process.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(self.give_up(self.damaged(format!(
                    "the index could not be flushed within {} s; see to the disk",
                    limit.as_secs()
                ))))
            }
        }
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.flush()?;
        self.data.sync_data().map_err(|error| {
            // The kernel may have dropped the pages: a later sync would succeed without them.
            self.give_up(Fault::io(
                "the index could not be synced; see to the disk, then reopen the store",
                error,
            ))
        })
    }

    /// Notes on disk that the index is damaged, so that the next open builds a new one, and gives the fault back.
    pub(super) fn damaged(&self, what: String) -> Fault {
        condemn(&self.receipt, what)
    }

    fn guarded<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Handles) -> sled::Result<T>,
    ) -> Result<T, Fault> {
        let handles = self.handles()?;
        let call = self.calls.begin();
        #[cfg(test)]
        while self.hangs.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::park();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| work(handles)));
        drop(call);
        self.settle(doing, outcome)
    }

    fn handles(&self) -> Result<&Handles, Fault> {
        match (&self.handles, self.broken.get()) {
            (Some(handles), None) => Ok(handles),
            (_, Some(fault)) => Err(fault.clone()),
            (None, None) => Err(Fault::new("the index is closed")),
        }
    }

    fn settle<T>(
        &self,
        doing: &'static str,
        outcome: std::thread::Result<sled::Result<T>>,
    ) -> Result<T, Fault> {
        match outcome {
            Ok(Ok(given)) => Ok(given),
            Ok(Err(sled::Error::Io(error))) if !is_damage(&error) => Err(Fault::io(
                format!("the index could not {doing}; see to the disk, then reopen the store"),
                error,
            )),
            Ok(Err(error)) => Err(self.damaged(format!("the index could not {doing}: {error}"))),
            Err(panic) => Err(self.give_up(self.damaged(format!(
                "the index panicked in a {doing}: {}",
                panic_text(&*panic)
            )))),
        }
    }

    pub(super) fn why_broken(&self) -> Fault {
        let whole = || Fault::new("the index is whole");
        self.broken.get().cloned().unwrap_or_else(whole)
    }

    #[cfg(test)]
    pub(super) fn hang_from_now_on(&self) {
        self.hangs.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Nothing more is asked of it.
    pub(super) fn give_up(&self, fault: Fault) -> Fault {
        self.broken.get_or_init(|| fault).clone()
    }
}

/// Notes that the index is damaged, so that the next open moves it aside.
fn condemn(receipt: &Receipt, what: String) -> Fault {
    let fault = Fault::new(format!(
        "{what}; reopen the store: the index is then rebuilt from the journal"
    ));
    tracing::error!(%fault, "the index is damaged");
    if let Err(error) = receipt.condemn() {
        tracing::error!(%error, "the damage could not be noted: remove the index by hand before the next open");
    }
    fault
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.watch = None;
        let handles = self.handles.take();
        // Dropping the last handle flushes and syncs, and panics where that fails.
        if catch_unwind(AssertUnwindSafe(|| drop(handles))).is_err() {
            tracing::error!(
                "the index panicked while it was closed; what was synced before is safe"
            );
        }
    }
}

/// Entries of one table between two keys, from either end.
pub(super) struct Range<'e> {
    engine: &'e Engine,
    entries: sled::Iter,
}

impl Range<'_> {
    /// The next entry from the low end.
    pub(super) fn forward(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let entries = &mut self.entries;
        self.engine.guarded("read", |_| entries.next().transpose())
    }

    /// The next entry from the high end.
    pub(super) fn backward(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let entries = &mut self.entries;
        self.engine
            .guarded("read", |_| entries.next_back().transpose())
    }
}

#[cfg(test)]
mod tests;
