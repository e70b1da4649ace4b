/// Why a run came to no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller can change it: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It went wrong on the way: exit code 1.
    #[error("{0}")]
    Run(String),
}

/// What went wrong on the way, in the words of `error`.
pub fn fail(error: impl std::fmt::Display) -> Failure {
    Failure::Run(error.to_string())
}
