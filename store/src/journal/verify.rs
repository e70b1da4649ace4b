//! Walking a whole journal to see that everything in it is what was written.
//!
//! - `walk`: the segments one behind the other, and how they hang together
//! - `headers`: the header of each segment, and what it hangs on
//! - `segment_walk`: the frames of one segment, and how to go on behind one that does not hold
//! - `frame_check`, `versions`: what has to be right within a frame that holds
//! - `findings`, `report`: what comes of it

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use crate::error::Fault;
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::disk::{Disk, FsDisk};
use crate::journal::opening::LOCK_FILE;

mod findings;
mod frame_check;
mod headers;
mod report;
mod segment_walk;
mod versions;
mod walk;

pub(super) use findings::Break;
pub use report::{VERIFY_FINDINGS_MAX, VerifiedTail, VerifyError, VerifyProgress, VerifyReport};
pub(super) use walk::{Walk, Walked};

/// Checks every byte of the journal of the store in `directory`: every header, checksum and hash, that each frame follows
/// the one before it from the first to the last, that every record can be decoded, that positions and the versions of
/// each stream have no gap, and that times never go back.
///
/// It only reads, and it needs neither the lock nor the index: it may run beside a store that is open for writing, and
/// then checks what was written up to when it comes to the end. It does not stop at damage, but goes on at the next frame
/// that is whole. It blocks, for about as long as it takes to read the files.
///
/// `progress` is called about once for every MiB.
///
/// Memory: up to 80 bytes for each stream, a window of 1 MiB, and twice the largest frame.
///
/// # Errors
/// See [`VerifyError`]. Damage is no error but what the report tells: ask [`VerifyReport::is_whole`].
///
/// ```
/// use foldhouse_store::{JournalOptions, verify};
///
/// # let directory = tempfile::tempdir()?;
/// # drop(JournalOptions::new().segment_bytes(1 << 20).open(directory.path())?);
/// let report = verify(directory.path(), &mut |progress| {
///     eprintln!("{} of {} bytes", progress.bytes_done, progress.bytes_total);
/// })?;
/// assert!(report.is_whole(), "{:?}", report.findings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    directory: impl AsRef<Path>,
    progress: &mut dyn FnMut(&VerifyProgress),
) -> Result<VerifyReport, VerifyError> {
    let directory = directory.as_ref();
    let disk = journal_of(directory)?;
    let in_use = || lock_is_held(directory);
    let report = Walk::new(disk, &in_use, progress).run()?.report;
    if report.segments == 0 {
        return Err(VerifyError::NoStore {
            directory: directory.to_owned(),
            what: "its `journal` holds no segment".to_owned(),
        });
    }
    Ok(report)
}

/// The journal of the store in `directory`, for reading.
pub(super) fn journal_of(directory: &Path) -> Result<Arc<dyn Disk>, VerifyError> {
    let missing = |what: &str| {
        Err(VerifyError::NoStore {
            directory: directory.to_owned(),
            what: what.to_owned(),
        })
    };
    if !directory.is_dir() {
        return missing(if directory.exists() {
            "it is no directory"
        } else {
            "there is no such directory"
        });
    }
    let journal = directory.join(JOURNAL_DIRECTORY);
    if !journal.is_dir() {
        return missing("there is no `journal` in it");
    }
    Ok(Arc::new(FsDisk::existing(&journal)))
}

/// Whether a process has the store open for writing.
///
/// There is no way to ask without taking the (shared) lock for an instant; so this is asked only when it matters.
fn lock_is_held(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join(LOCK_FILE)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn io_error(what: &str) -> impl Fn(std::io::Error) -> VerifyError + '_ {
    move |error| VerifyError::Io(Fault::io(what, error))
}
