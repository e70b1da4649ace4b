//! Everything that is kept in sled beside the journal: where the events of the sealed segments lie, snapshots, read
//! models and their checkpoints.
//!
//! The journal is the truth. All of this is derived from it and can be built anew at any time; nothing that was
//! acknowledged depends on it. What cannot be trusted is therefore moved aside, loudly, and never repaired by guessing.
//! This module alone knows sled.
//!
//! All functions block: call them from threads that may.
//!
//! - `engine`: the only calls into sled, and the fences around it
//! - `receipt`: what sled is known to have on disk, in a file of our own
//! - `directory`: the files and how they are moved aside
//! - `streams`, `commands`, `facts`, `segments`, `snapshots`, `models`, `meta`: one table each, its bytes documented there
//! - `witness`: how far the journal had come, by all that is here
//! - `value`, `varint`: what their encodings share

mod commands;
mod directory;
mod engine;
mod facts;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod meta;
mod models;
mod receipt;
mod segments;
mod snapshots;
mod streams;
mod value;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::commands::RememberedCommands;
use self::directory::Directory;
use self::engine::{Engine, OpenFailure, Table};
use self::meta::LAYOUT;
use self::receipt::Receipt;
use self::segments::Vouchers;
use crate::error::Fault;
use crate::position::{Position, Version};

pub(crate) use self::facts::{COMMON_PART, Candidates};
pub(crate) use self::witness::Witness;

/// A sealed segment that is indexed, and what it is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMark {
    /// Its number.
    pub(crate) number: u64,
    /// The position of its first event.
    pub(crate) first_position: Position,
    /// The position of its last event.
    pub(crate) last_position: Position,
    /// The length of its file.
    pub(crate) length_bytes: u64,
    /// The hash of its last frame, which through the chain stands for everything before it.
    pub(crate) last_frame_hash: [u8; 32],
}

/// Where an event lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventPlace {
    /// Its position less the segment's first.
    pub(crate) position_in_segment: u32,
    /// The byte in the segment's file at which its record starts.
    pub(crate) offset: u32,
}

/// Where a frame lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramePlace {
    /// The position of its first event.
    pub(crate) first_position: Position,
    /// The byte in the segment's file at which it starts.
    pub(crate) offset: u32,
}

/// Where an event of a stream lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The event's version.
    pub(crate) version: Version,
    /// The event's position.
    pub(crate) position: Position,
    /// The byte in the segment's file at which its record starts.
    pub(crate) offset: u32,
}

/// Where the head of a command's append lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandPlace {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The position that the event behind it has or would have.
    pub(crate) position: Position,
    /// The byte in the segment's file at which the head starts.
    pub(crate) offset: u32,
}

/// How the sidecar came to be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpenOutcome {
    /// It was there and is trusted.
    Opened,
    /// There was none; it is empty.
    Created,
    /// What was there is not trusted and lies elsewhere now; it is empty.
    MovedAside {
        /// Where.
        to: PathBuf,
        /// What did not hold.
        why: String,
    },
}

/// Everything kept in sled beside one journal.
pub(crate) struct Sidecar {
    engine: Engine,
    vouchers: RwLock<Vouchers>,
    /// Which segments' commands are remembered.
    commands: RwLock<RememberedCommands>,
    /// The generation of the last sync; held during a sync.
    generation: Mutex<u64>,
    /// Held while segments are indexed or forgotten.
    indexing: Mutex<()>,
    /// A snapshot's header and parts are read as they were written.
    snapshots: RwLock<()>,
    /// Rows and checkpoint are read as they were committed.
    models: RwLock<()>,
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").finish_non_exhaustive()
    }
}

/// Why what is there was not opened.
enum Refusal {
    /// It cannot be used; a new one can.
    Unusable(String),
    /// Something else is in the way.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Sidecar {
    /// Opens what lies in `index` in the store's directory, or creates it.
    ///
    /// `store_id` is the journal's identity. An index of another journal or of an unknown layout, one that does not
    /// open, has lost something or fails its checks is renamed to `index.damaged-<n>` and a new one is created. Nothing
    /// is deleted.
    ///
    /// # Errors
    /// The file system refuses, or another handle has it open. Nothing was moved then.
    pub(crate) fn open(
        directory: &Path,
        store_id: [u8; 16],
        cache_bytes: u64,
    ) -> Result<(Self, OpenOutcome), Fault> {
        let directory = Directory::of_store(directory);
        let outcome = match Self::open_present(&directory, store_id, cache_bytes) {
            Ok(Some(present)) => return Ok(present),
            Ok(None) => OpenOutcome::Created,
            Err(Refusal::Fault(fault)) => return Err(fault),
            Err(Refusal::Unusable(why)) => {
                let to = directory.move_aside()?;
                tracing::error!(
                    index = %directory.index().display(), moved_to = %to.display(), why,
                    "the index cannot be used; a new one is built from the journal"
                );
                OpenOutcome::MovedAside { to, why }
            }
        };
        directory.create()?;
        let receipt = Receipt::create(directory.index(), LAYOUT, store_id)?;
        match Self::initialise(&directory, receipt, store_id, cache_bytes) {
            Ok(sidecar) => Ok((sidecar, outcome)),
            Err(Refusal::Fault(fault)) => Err(fault),
            Err(Refusal::Unusable(why)) => Err(Fault::new(format!(
                "a new index could not be created in {}: {why}",
                directory.index().display()
            ))),
        }
    }

    /// `None` if there is nothing to open.
    fn open_present(
        directory: &Directory,
        store_id: [u8; 16],
        cache_bytes: u64,
    ) -> Result<Option<(Self, OpenOutcome)>, Refusal> {
        let unusable = |why: &str| Err(Refusal::Unusable(why.to_owned()));
        if !directory.exists()? {
            return Ok(None);
        }
        let Some(receipt) = Receipt::open(directory.index())? else {
            return if directory.is_unfinished()? {
                Ok(None)
            } else {
                unusable("it has no receipt")
            };
        };
        let slot = receipt.slot();
        if slot.store_id != store_id {
            return unusable("it belongs to another journal");
        }
        if slot.layout != LAYOUT {
            return Err(Refusal::Unusable(format!(
                "it has layout {}, this build knows {LAYOUT}",
                slot.layout
            )));
        }
        if slot.condemned {
            return unusable("it was found damaged while it was in use");
        }
        directory.wait_until_free()?;
        directory.remove_unfinished()?;
        if slot.generation == 0 {
            // Its creation was cut short before anything was promised.
            let sidecar = Self::initialise(directory, receipt, store_id, cache_bytes)?;
            return Ok(Some((sidecar, OpenOutcome::Created)));
        }
        let engine = Self::start(directory, receipt, cache_bytes)?;
        // The engine renames a file of its own when it opens.
        directory.sync()?;
        let sidecar =
            Self::checked(engine, store_id, slot.generation).map_err(Refusal::Unusable)?;
        Ok(Some((sidecar, OpenOutcome::Opened)))
    }

    fn start(directory: &Directory, receipt: Receipt, cache_bytes: u64) -> Result<Engine, Refusal> {
        Engine::open(directory.index(), receipt, cache_bytes).map_err(|failure| match failure {
            OpenFailure::Files(why) => Refusal::Unusable(why),
            OpenFailure::Surroundings(fault) => Refusal::Fault(fault),
        })
    }

    fn initialise(
        directory: &Directory,
        receipt: Receipt,
        store_id: [u8; 16],
        cache_bytes: u64,
    ) -> Result<Self, Refusal> {
        let engine = Self::start(directory, receipt, cache_bytes)?;
        meta::put_identity(&engine, store_id)?;
        engine.sync()?;
        directory.sync()?;
        let sidecar = Self::of(engine, 0, Vouchers::new());
        sidecar.flush()?;
        Ok(sidecar)
    }

    /// Reads what has to hold before anything in it is believed; else says what does not.
    fn checked(engine: Engine, store_id: [u8; 16], promised: u64) -> Result<Self, String> {
        let text = |fault: Fault| fault.to_string();
        if meta::identity(&engine).map_err(text)? != Some((LAYOUT, store_id)) {
            return Err("the identity in it does not hold".to_owned());
        }
        let generation = meta::generation(&engine).map_err(text)?.unwrap_or_default();
        if generation < promised {
            return Err(format!(
                "it has lost what was durable: it is at generation {generation}, but had come to {promised}"
            ));
        }
        for table in Table::ALL {
            engine.probe(table).map_err(text)?;
        }
        let vouchers = segments::load(&engine).map_err(text)?;
        Ok(Self::of(engine, generation, vouchers))
    }

    fn of(engine: Engine, generation: u64, vouchers: Vouchers) -> Self {
        Self {
            engine,
            vouchers: RwLock::new(vouchers),
            commands: RwLock::default(),
            generation: Mutex::new(generation),
            indexing: Mutex::new(()),
            snapshots: RwLock::new(()),
            models: RwLock::new(()),
        }
    }

    /// Whether it was found damaged since it was opened: the next open moves it aside.
    pub(crate) fn is_condemned(&self) -> bool {
        self.engine.receipt().slot().condemned
    }

    /// Makes everything durable and lets go of the files.
    pub(crate) fn close(self) -> Result<(), Fault> {
        self.flush()
    }

    /// Whether nothing more is asked of it until it is opened again.
    pub(crate) fn is_broken(&self) -> bool {
        self.engine.is_broken()
    }

    /// Why that is.
    pub(crate) fn why_broken(&self) -> Fault {
        self.engine.why_broken()
    }

    /// From now on no call comes back.
    #[cfg(test)]
    pub(crate) fn hang_from_now_on(&self) {
        self.engine.hang_from_now_on();
    }

    /// From now on it answers nothing, as after a write that found no room.
    #[cfg(test)]
    pub(crate) fn fail_from_now_on(&self) {
        self.engine.give_up(Fault::new("as the test asked for"));
    }

    fn vouchers(&self) -> RwLockReadGuard<'_, Vouchers> {
        self.vouchers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn vouchers_mut(&self) -> RwLockWriteGuard<'_, Vouchers> {
        self.vouchers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
