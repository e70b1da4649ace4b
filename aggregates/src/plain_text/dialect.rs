use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A format of plain-text accounting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// hledger's.
    Hledger,
    /// Ledger's.
    Ledger,
    /// Beancount's.
    Beancount,
}

/// A name or an extension that belongs to no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} tells no format; it is one of hledger, ledger, beancount")]
pub struct UnknownDialect {
    /// What was given, cut off at 64 characters.
    pub name: String,
}

impl UnknownDialect {
    fn new(name: &str) -> Self {
        Self {
            name: name.chars().take(64).collect(),
        }
    }
}

impl Dialect {
    /// The format that a file's extension tells: `.journal`, `.hledger` and `.j` are hledger's, `.ledger` and `.dat`
    /// Ledger's, `.beancount` and `.bean` Beancount's.
    ///
    /// # Errors
    /// [`UnknownDialect`] for any other: the caller has to say which it is.
    pub fn of_path(path: &Path) -> Result<Self, UnknownDialect> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("journal" | "hledger" | "j") => Ok(Self::Hledger),
            Some("ledger" | "dat") => Ok(Self::Ledger),
            Some("beancount" | "bean") => Ok(Self::Beancount),
            _ => Err(UnknownDialect::new(&path.to_string_lossy())),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hledger => "hledger",
            Self::Ledger => "ledger",
            Self::Beancount => "beancount",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        let all = [Self::Hledger, Self::Ledger, Self::Beancount];
        all.into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| UnknownDialect::new(name))
    }
}
