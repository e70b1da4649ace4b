//! What the examples that are command-line programs share. Each includes it as a module of its own.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tempfile::TempDir;

/// Why a run came to no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The caller can change it: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It went wrong on the way: exit code 1.
    #[error("{0}")]
    Run(String),
}

pub(crate) fn fail(error: impl std::fmt::Display) -> Failure {
    Failure::Run(error.to_string())
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Run(_) => 1,
        })
    }
}

/// Writes to stdout, and is content if whoever reads has seen enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(fail),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub(crate) fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Where the store of an example is.
#[derive(Debug)]
pub(crate) enum Directory {
    Kept(PathBuf),
    /// Removed at the end.
    Temporary(TempDir),
}

impl Directory {
    /// The one that was named, or a temporary one for the example `name`.
    pub(crate) fn of(named: Option<&Path>, name: &str) -> Result<Self, Failure> {
        if let Some(directory) = named {
            return Ok(Self::Kept(directory.to_owned()));
        }
        // Not the system's temporary directory: that is often in memory, where nothing is durable and no figure true.
        let parent = if Path::new("target").is_dir() {
            "target"
        } else {
            "."
        };
        let builder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(parent);
        let explain = |error| {
            Failure::Usage(format!(
                "no directory can be made in {parent}, name one with --data: {error}"
            ))
        };
        builder.map(Self::Temporary).map_err(explain)
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}
