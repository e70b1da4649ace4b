//! Which appends are retries: the ids of commands that are queued, and how one is looked for among those on disk.
//!
//! An id goes one way: it is held here from the moment its append is queued, is published with its frame, and moves into
//! the sidecar with its segment. The look-up on disk runs outside the queue's lock, before the ids held here are looked
//! at under it: so an id that was on its way meanwhile is found in one of the two. That holds as long as none was
//! dropped from here in between, which is counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::append::Append;
use crate::error::{AppendError, Fault};
use crate::journal::queue::Durable;

/// With more ids than this, those that are durable are dropped.
const HELD_MAX: usize = 64 << 10;

/// The ids of commands that are queued, and of some that are durable since not long ago.
#[derive(Debug)]
pub(super) struct HeldCommands {
    /// By id the number of its frame.
    frames: HashMap<Uuid, u64>,
    held_max: usize,
}

impl Default for HeldCommands {
    fn default() -> Self {
        Self {
            frames: HashMap::new(),
            held_max: HELD_MAX,
        }
    }
}

impl HeldCommands {
    pub(super) fn insert(&mut self, id: Uuid, frame: u64) {
        self.frames.insert(id, frame);
    }

    /// Forgets what was voided: the frames from number `failed` on.
    pub(super) fn void_from(&mut self, failed: u64) {
        self.frames.retain(|_, frame| *frame < failed);
    }

    /// Drops durable ids if there are too many, and counts that in `drops`.
    pub(super) fn drop_durable(&mut self, durable_frame: u64, drops: &AtomicU64) {
        if self.frames.len() <= self.held_max {
            return;
        }
        self.frames.retain(|_, frame| *frame > durable_frame);
        drops.fetch_add(1, Ordering::Release);
        // Those that wait for the disk stay: going through them again for each append would stall everyone.
        self.held_max = HELD_MAX.max(self.frames.len().saturating_mul(2));
    }
}

/// What a look-up outside the lock found.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookUp {
    id: Uuid,
    is_durable: bool,
    drops_before: u64,
}

/// What a look-up comes to under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Fresh,
    /// Recorded before, in the frame with this number or one before it.
    Duplicate(u64),
    /// It has to be looked for again.
    Stale,
}

impl LookUp {
    /// Looks for the command of an append on disk; `None` if it carries none.
    pub(super) fn of(
        append: &Append,
        drops: &AtomicU64,
        durable: &impl Durable,
    ) -> Result<Option<Self>, AppendError> {
        let Some(command) = &append.command else {
            return Ok(None);
        };
        let id = command.id;
        // Before the look-up: what is dropped during it may be missed by it.
        let drops_before = drops.load(Ordering::Acquire);
        let is_durable = durable.has_command(id).map_err(|error| {
            AppendError::NotRecorded(Fault::new(format!(
                "whether command {id} was recorded before cannot be read: {error}"
            )))
        })?;
        Ok(Some(Self {
            id,
            is_durable,
            drops_before,
        }))
    }

    pub(super) fn judge(&self, held: &HeldCommands, drops: &AtomicU64) -> Judged {
        match held.frames.get(&self.id) {
            Some(frame) => Judged::Duplicate(*frame),
            None if self.is_durable => Judged::Duplicate(0),
            None if drops.load(Ordering::Acquire) != self.drops_before => Judged::Stale,
            None => Judged::Fresh,
        }
    }
}
