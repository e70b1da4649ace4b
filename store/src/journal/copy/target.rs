//! The directory that a copy goes to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{CopyError, OpenError};
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::copy::writing;
use crate::journal::disk::{create_directory, sync_directory};
use crate::journal::opening::{LOCK_FILE, lock};

/// What may lie in a directory that counts as empty: the lock of an earlier attempt, and what a file system makes.
const IGNORED: [&str; 2] = [LOCK_FILE, "lost+found"];

/// A directory that is locked for this copy, and the directory in it for the segments.
#[derive(Debug)]
pub(in crate::journal) struct Target {
    directory: PathBuf,
    /// Where the segments go: the journal itself, or one that gets this name when it is whole.
    segments: PathBuf,
    _lock: File,
}

/// Creates the directory if it is not there and locks it, so that nobody opens it as a store meanwhile.
pub(in crate::journal) fn lock_target(to: &Path, from: &Path) -> Result<File, CopyError> {
    create_directory(to).map_err(writing(to))?;
    let is_same = match (fs::canonicalize(to), fs::canonicalize(from)) {
        (Ok(to), Ok(from)) => to == from,
        _ => false,
    };
    if is_same {
        return Err(CopyError::Itself {
            directory: to.to_owned(),
        });
    }
    lock(to).map_err(|error| match error {
        OpenError::Locked { directory } => CopyError::InUse { directory },
        OpenError::Io(fault) => CopyError::Io(fault),
        other => CopyError::Target(other),
    })
}

impl Target {
    /// A target whose journal is there, or was begun under the name `unfinished`, or is new.
    pub(in crate::journal) fn begun(
        to: &Path,
        unfinished: &str,
        lock: File,
    ) -> Result<Self, CopyError> {
        let journal = to.join(JOURNAL_DIRECTORY);
        let begun = to.join(unfinished);
        let segments = if journal.is_dir() {
            journal
        } else if begun.is_dir() {
            begun
        } else {
            return Self::new(to, unfinished, lock);
        };
        Ok(Self {
            directory: to.to_owned(),
            segments,
            _lock: lock,
        })
    }

    /// A target that is empty so far; the segments go to `unfinished` in it.
    pub(in crate::journal) fn new(
        to: &Path,
        unfinished: &str,
        lock: File,
    ) -> Result<Self, CopyError> {
        let segments = to.join(unfinished);
        for entry in fs::read_dir(to).map_err(writing(to))? {
            let name = entry.map_err(writing(to))?.file_name();
            let name = name.to_string_lossy().into_owned();
            if !IGNORED.contains(&name.as_str()) {
                return Err(CopyError::NotEmpty {
                    directory: to.to_owned(),
                    found: name,
                });
            }
        }
        create_directory(&segments).map_err(writing(&segments))?;
        Ok(Self {
            directory: to.to_owned(),
            segments,
            _lock: lock,
        })
    }

    pub(in crate::journal) fn segments(&self) -> &Path {
        &self.segments
    }

    /// Whether it is not yet a journal that could be opened.
    pub(in crate::journal) fn is_unfinished(&self) -> bool {
        self.segments != self.directory.join(JOURNAL_DIRECTORY)
    }

    /// Gives the segments the name of a journal.
    pub(in crate::journal) fn finish(&self) -> Result<(), CopyError> {
        if !self.is_unfinished() {
            return Ok(());
        }
        let journal = self.directory.join(JOURNAL_DIRECTORY);
        fs::rename(&self.segments, &journal)
            .and_then(|()| sync_directory(&self.directory))
            .map_err(writing(&journal))
    }

    /// Removes what was begun; what cannot be removed stays under its telling name.
    pub(in crate::journal) fn abandon(&self) {
        if self.is_unfinished()
            && let Err(error) = fs::remove_dir_all(&self.segments)
        {
            tracing::warn!(directory = %self.segments.display(), %error, "an unfinished copy stays");
        }
    }
}
