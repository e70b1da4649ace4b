use std::fmt;

/// Why an upcaster cannot read an event, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpcastError(String);

impl UpcastError {
    /// An error with these words.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn of_field(self, name: &str) -> Self {
        Self(format!("field {name}: {}", self.0))
    }
}

impl fmt::Display for UpcastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UpcastError {}

impl From<&str> for UpcastError {
    fn from(what: &str) -> Self {
        Self::new(what)
    }
}

impl From<String> for UpcastError {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}
