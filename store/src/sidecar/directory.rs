//! The directory that everything lies in, and how it is made, repaired and moved aside. Nothing but an unfinished file
//! of the engine's own is ever deleted.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::receipt::Receipt;
use crate::error::Fault;

/// The longest to wait until an earlier handle has let go: its worker threads outlive it by a moment.
pub(super) const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);
pub(super) const LOCK_RETRY: Duration = Duration::from_millis(5);

/// The most indexes that are kept aside.
const ASIDE_MAX: u32 = 999;

/// Where the index of one store lies.
#[derive(Debug)]
pub(super) struct Directory {
    store: PathBuf,
    index: PathBuf,
}

impl Directory {
    pub(super) fn of_store(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
            index: store.join("index"),
        }
    }

    /// The index's own directory.
    pub(super) fn index(&self) -> &Path {
        &self.index
    }

    /// Whether there is anything at all in its place.
    pub(super) fn exists(&self) -> Result<bool, Fault> {
        match fs::symlink_metadata(&self.index) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.fault("cannot be read", error)),
        }
    }

    /// Whether it is a directory with nothing in it but, perhaps, an unfinished receipt: its creation was cut short.
    pub(super) fn is_unfinished(&self) -> Result<bool, Fault> {
        let unreadable = |error| self.fault("cannot be read", error);
        let entries = match fs::read_dir(&self.index) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(false),
            // Something is there, see `exists`: a link to nowhere.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            if entry.map_err(unreadable)?.file_name() != Receipt::file_name() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the empty directory, durably.
    pub(super) fn create(&self) -> Result<(), Fault> {
        match fs::create_dir(&self.index) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(self.fault("cannot be created", error)),
        }
        self.sync_entry()
    }

    /// Makes its entry in the store's directory durable.
    fn sync_entry(&self) -> Result<(), Fault> {
        sync_directory(&self.store)
    }

    /// Makes the names and the contents of the small files in it durable; the engine leaves some of that out.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        for name in ["conf", "db"] {
            let path = self.index.join(name);
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| {
                    Fault::io(format!("{} cannot be synced", path.display()), error)
                })?;
        }
        sync_directory(&self.index)
    }

    /// Removes what the engine left when it was killed while it wrote a snapshot of its page table: it takes the
    /// unfinished file for the newest one and never opens again. The one before it is still there.
    pub(super) fn remove_unfinished(&self) -> Result<(), Fault> {
        let unreadable = |error| self.fault("cannot be read", error);
        for entry in fs::read_dir(&self.index).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                fs::remove_file(&path).map_err(|error| {
                    Fault::io(format!("{} cannot be removed", path.display()), error)
                })?;
                tracing::warn!(file = %path.display(), "removed a file that a kill left unfinished");
            }
        }
        Ok(())
    }

    /// Waits until no other handle holds the database.
    pub(super) fn wait_until_free(&self) -> Result<(), Fault> {
        let path = self.index.join("db");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(Fault::io(
                    format!("{} cannot be opened", path.display()),
                    error,
                ));
            }
        };
        let started = Instant::now();
        loop {
            match file.try_lock() {
                // Closing the file gives the lock back.
                Ok(()) => return Ok(()),
                Err(fs::TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT_MAX => {
                    thread::sleep(LOCK_RETRY);
                }
                Err(error) => {
                    return Err(Fault::io(
                        format!(
                            "the index in {} is held by another handle; close that one first",
                            self.index.display()
                        ),
                        error.into(),
                    ));
                }
            }
        }
    }

    /// Renames the index to the first free `index.damaged-<n>`.
    pub(super) fn move_aside(&self) -> Result<PathBuf, Fault> {
        for number in 1..=ASIDE_MAX {
            let to = self.store.join(format!("index.damaged-{number}"));
            match fs::symlink_metadata(&to) {
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(self.fault("cannot be moved aside", error)),
            }
            fs::rename(&self.index, &to)
                .map_err(|error| self.fault("cannot be moved aside", error))?;
            self.sync_entry()?;
            return Ok(to);
        }
        Err(Fault::new(format!(
            "{} holds {ASIDE_MAX} damaged indexes; remove some of index.damaged-*",
            self.store.display()
        )))
    }

    fn fault(&self, what: &str, error: std::io::Error) -> Fault {
        Fault::io(format!("{} {what}", self.index.display()), error)
    }
}

fn sync_directory(path: &Path) -> Result<(), Fault> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Fault::io(format!("{} cannot be synced", path.display()), error))
}
