use foldhouse_store::ReadError;

/// Why an instance cannot deal with an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ProcessError {
    what: String,
}

impl ProcessError {
    /// In words, for whoever has to mend it.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

impl From<crate::event_codec::EventCodecError> for ProcessError {
    fn from(error: crate::event_codec::EventCodecError) -> Self {
        Self::new(error.to_string())
    }
}

/// Why a process did not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartProcessError {
    /// It runs already, in this runtime.
    #[error("the process {name} runs already; use the reference that starting it gave")]
    AlreadyRunning {
        /// Its name.
        name: &'static str,
    },
    /// Its name cannot be an aggregate type or a projection's name: it takes 1 to 55 bytes, without `/`.
    #[error("{name:?} cannot be the name of a process; take 1 to 55 bytes without a slash")]
    Name {
        /// Its name.
        name: &'static str,
    },
    /// How far it was cannot be read.
    #[error("where the process {name} goes on cannot be read: {error}")]
    Read {
        /// Its name.
        name: &'static str,
        /// What failed.
        error: ReadError,
    },
    /// The runtime shuts down.
    #[error("the process {name} does not start, the runtime is shutting down")]
    ShuttingDown {
        /// Its name.
        name: &'static str,
    },
}
