//! A disk whose writes can be held back and made to fail, for tests.

use std::io;
use std::sync::{Arc, Condvar, Mutex};

use crate::journal::disk::{BlockReader, BlockWriter, Disk, WriteMode};
use crate::journal::spare::UNFINISHED_SPARE_NAME;

#[derive(Debug)]
pub(super) struct FaultyDisk {
    inner: Arc<dyn Disk>,
    faults: Arc<Faults>,
}

/// The switches of a [`FaultyDisk`], shared with the test.
#[derive(Debug, Default)]
pub(super) struct Faults {
    state: Mutex<FaultState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FaultState {
    hold_writes: bool,
    writes_held: usize,
    writes_done: usize,
    /// How many writes still succeed before one fails.
    writes_before_failure: Option<usize>,
    /// How many bytes of a failing write reach the disk all the same.
    bytes_before_failure: usize,
    /// Where the last write went, and how long it was.
    last_write: (u64, usize),
    full: bool,
    fail_next: Option<Step>,
    steps: Vec<(Step, String)>,
}

/// Something that is done to a file other than writing frames to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Prepare,
    /// Fails before anything was renamed.
    Rename,
    /// The file has its new name, but that is not known to be durable.
    RenameSync,
    OpenWriter,
    Write,
    WritePanic,
    Truncate,
    Sync,
    /// Preparing a file found no room.
    Full,
}

impl FaultyDisk {
    pub(super) fn new(inner: Arc<dyn Disk>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

impl Faults {
    fn set(&self, change: impl FnOnce(&mut FaultState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// Frames wait at the disk from now on.
    pub(super) fn hold_writes(&self) {
        self.set(|state| state.hold_writes = true);
    }

    pub(super) fn release_writes(&self) {
        self.set(|state| state.hold_writes = false);
    }

    /// Waits until a frame waits at the disk.
    pub(super) fn wait_for_held_write(&self) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.writes_held == 0)
                .unwrap(),
        );
    }

    /// The next write fails after that many of its bytes have reached the disk.
    pub(super) fn fail_next_write_after(&self, bytes: usize) {
        self.set(|state| {
            state.writes_before_failure = Some(0);
            state.bytes_before_failure = bytes;
        });
    }

    /// No write fails any more.
    pub(super) fn fail_no_write(&self) {
        self.set(|state| state.writes_before_failure = None);
    }

    /// The same for the write after the next one.
    pub(super) fn fail_write_after_next(&self, bytes: usize) {
        self.set(|state| {
            state.writes_before_failure = Some(1);
            state.bytes_before_failure = bytes;
        });
    }

    /// Waits until such a step was done, or tried.
    pub(super) fn wait_for_step(&self, step: Step) {
        let is_missing =
            |state: &mut FaultState| !state.steps.iter().any(|(done, _)| *done == step);
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, is_missing).unwrap());
    }

    /// There is no room for new files, or there is again.
    pub(super) fn set_full(&self, full: bool) {
        self.set(|state| state.full = full);
    }

    /// The next such step fails, once.
    pub(super) fn fail_next(&self, step: Step) {
        self.set(|state| state.fail_next = Some(step));
    }

    /// What was done so far, and to which file.
    pub(super) fn steps(&self) -> Vec<(Step, String)> {
        self.state.lock().unwrap().steps.clone()
    }

    fn step(&self, step: Step, name: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.steps.push((step, name.to_owned()));
        self.changed.notify_all();
        if state.fail_next == Some(step) {
            state.fail_next = None;
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }

    /// The offset and the length of the last write.
    pub(super) fn last_write(&self) -> (u64, usize) {
        self.state.lock().unwrap().last_write
    }

    pub(super) fn writes_done(&self) -> usize {
        self.state.lock().unwrap().writes_done
    }

    /// Waits its turn; gives back how much may be written before an error, `None` for all of it.
    fn pass(&self) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        state.writes_held += 1;
        self.changed.notify_all();
        state = self
            .changed
            .wait_while(state, |state| state.hold_writes)
            .unwrap();
        state.writes_held -= 1;
        state.writes_done += 1;
        match state.writes_before_failure {
            Some(0) => {
                state.writes_before_failure = None;
                Some(state.bytes_before_failure)
            }
            Some(more) => {
                state.writes_before_failure = Some(more - 1);
                None
            }
            None => None,
        }
    }
}

impl Disk for FaultyDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<()> {
        if self.faults.state.lock().unwrap().full {
            self.inner.create_zeroed(UNFINISHED_SPARE_NAME, bytes / 2)?;
            let _ = self.faults.step(Step::Full, name);
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.faults.step(Step::Prepare, name)?;
        self.inner.create_zeroed(name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.faults.step(Step::Rename, to)?;
        self.inner.rename(from, to)?;
        self.faults.step(Step::RenameSync, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.faults.step(Step::Truncate, name)?;
        self.inner.truncate(name, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.faults.step(Step::Sync, name)?;
        self.inner.sync(name)
    }

    fn open_writer(&self, name: &str) -> io::Result<Box<dyn BlockWriter>> {
        self.faults.step(Step::OpenWriter, name)?;
        let inner = self.inner.open_writer(name)?;
        Ok(Box::new(FaultyWriter {
            inner,
            faults: Arc::clone(&self.faults),
        }))
    }

    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>> {
        self.inner.open_reader(name)
    }
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn BlockWriter>,
    faults: Arc<Faults>,
}

impl BlockWriter for FaultyWriter {
    fn write_durably(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        let fails = self.faults.pass();
        self.faults
            .set(|state| state.last_write = (offset, blocks.len()));
        self.faults.step(Step::Write, "")?;
        assert!(
            self.faults.step(Step::WritePanic, "").is_ok(),
            "as the test asked for"
        );
        match fails {
            None => self.inner.write_durably(offset, blocks),
            Some(bytes) => {
                let bytes = bytes.min(blocks.len());
                self.inner.write_durably(offset, &blocks[..bytes])?;
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
        }
    }

    fn mode(&self) -> WriteMode {
        self.inner.mode()
    }
}
