use std::sync::Arc;

use regex::Regex;

/// What directives have said for the entries behind them, until the end of their file.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) default_year: Option<i32>,
    /// For amounts without a commodity, with the decimal mark that it was written with.
    pub(super) default_commodity: Option<(Arc<str>, Option<char>)>,
    pub(super) decimal_mark: Option<char>,
    pub(super) aliases: Vec<Alias>,
    pub(super) parents: Vec<String>,
    /// For transactions with one posting only.
    pub(super) bucket: Option<Arc<str>>,
    /// What `apply` has begun and `end` has not ended yet.
    pub(super) applied: Vec<Applied>,
}

/// What `apply` can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Account,
    Tag,
    Year(Option<i32>),
}

/// Another name for an account.
#[derive(Clone, Debug)]
pub(super) enum Alias {
    /// The account and those below it.
    Plain { old: String, new: String },
    /// What matches is replaced.
    Pattern { old: Regex, new: String },
    /// The account alone (Ledger).
    Whole { old: String, new: String },
}

impl Scope {
    /// The account that a posting means.
    pub(super) fn account(&self, name: &str) -> String {
        let mut account = String::new();
        for parent in &self.parents {
            account.push_str(parent);
            account.push(':');
        }
        account.push_str(name);
        // The newest first.
        for alias in self.aliases.iter().rev() {
            if let Some(other) = alias.of(&account) {
                account = other;
            }
        }
        account
    }
}

impl Alias {
    fn of(&self, account: &str) -> Option<String> {
        match self {
            Self::Plain { old, new } => {
                let behind = account.strip_prefix(old.as_str())?;
                (behind.is_empty() || behind.starts_with(':')).then(|| format!("{new}{behind}"))
            }
            Self::Whole { old, new } => (account == old).then(|| new.clone()),
            Self::Pattern { old, new } => old
                .is_match(account)
                .then(|| old.replace_all(account, new.as_str()).into_owned()),
        }
    }
}
