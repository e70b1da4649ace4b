use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhouse::{JournalOptions, JournalStore};
use tempfile::TempDir;

use crate::failure::Failure;

/// Where the store is.
#[derive(Debug)]
pub enum Directory {
    /// It stays.
    Kept(PathBuf),
    /// Removed at the end.
    Temporary(TempDir),
}

impl Directory {
    /// The one that `--data` names, or one that `program` removes again.
    ///
    /// # Errors
    /// [`Failure::Usage`] if none can be made.
    pub fn of(data: Option<&Path>, program: &str) -> Result<Self, Failure> {
        if let Some(directory) = data {
            return Ok(Self::Kept(directory.to_owned()));
        }
        // Not the system's temporary directory: that is often in memory, where nothing is durable and no figure true.
        let parent = if Path::new("target").is_dir() {
            "target"
        } else {
            "."
        };
        let prefix = format!("{program}-");
        let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent);
        made.map(Self::Temporary).map_err(|error| {
            Failure::Usage(format!(
                "no directory can be made in {parent}, name one with --data: {error}"
            ))
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

/// Opens the store of a directory, and tells if an earlier run was interrupted.
///
/// # Errors
/// [`Failure::Usage`] if it does not open.
pub fn open_store(directory: &Path) -> Result<Arc<JournalStore>, Failure> {
    let options = JournalOptions::new().log_frame_sizes(true);
    let store = options
        .open(directory)
        .map_err(|error| Failure::Usage(format!("{}: {error}", directory.display())))?;
    if let Some(torn) = &store.recovery().torn_tail {
        eprintln!(
            "an earlier run was interrupted: {} bytes that were never acknowledged were cut off",
            torn.bytes
        );
    }
    Ok(Arc::new(store))
}
