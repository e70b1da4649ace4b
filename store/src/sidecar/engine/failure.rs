//! What an error or a panic of the engine's says: are its files at fault, or their surroundings?

use crate::error::Fault;

/// Why the database did not open.
#[derive(Debug)]
pub(in crate::sidecar) enum OpenFailure {
    /// The files cannot be used; others in their place could.
    Files(String),
    /// Something else is in the way; the files may be good.
    Surroundings(Fault),
}

impl OpenFailure {
    pub(super) fn of(error: sled::Error) -> Self {
        use std::io::ErrorKind::{
            OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        let sled::Error::Io(error) = error else {
            return Self::Files(error.to_string());
        };
        let locked = is_lock_refused(&error);
        let surroundings = matches!(
            error.kind(),
            OutOfMemory | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
        ) || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        if locked || surroundings {
            Self::Surroundings(Fault::io("the index cannot be opened", error))
        } else {
            Self::Files(error.to_string())
        }
    }
}

/// A process that is being started elsewhere holds copies of all descriptors, and their locks, for a moment.
pub(super) fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if is_lock_refused(error))
}

fn is_lock_refused(error: &std::io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

/// Whether an I/O error says that something is not where the engine left it.
pub(super) fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
