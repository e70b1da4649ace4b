//! Names of accounts and commodities as another format takes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ExportError;
use crate::plain_text::dialect::Dialect;

/// What names become in Beancount, each its own.
#[derive(Debug, Default)]
pub(super) struct BeancountNames {
    accounts: BTreeMap<Arc<str>, String>,
    commodities: BTreeMap<Arc<str>, String>,
    /// The other way round.
    taken: BTreeMap<String, Arc<str>>,
}

impl BeancountNames {
    pub(super) fn account(&mut self, name: &Arc<str>) -> Result<String, ExportError> {
        if let Some(known) = self.accounts.get(name) {
            return Ok(known.clone());
        }
        let written = account(name)?;
        self.take(&written, name)?;
        self.accounts.insert(Arc::clone(name), written.clone());
        Ok(written)
    }

    pub(super) fn commodity(&mut self, name: &Arc<str>) -> Result<String, ExportError> {
        if let Some(known) = self.commodities.get(name) {
            return Ok(known.clone());
        }
        let written = commodity(name)?;
        self.take(&written, name)?;
        self.commodities.insert(Arc::clone(name), written.clone());
        Ok(written)
    }

    fn take(&mut self, written: &str, name: &Arc<str>) -> Result<(), ExportError> {
        match self.taken.insert(written.to_owned(), Arc::clone(name)) {
            Some(first) => Err(ExportError::SameName {
                first: first.to_string(),
                second: name.to_string(),
                written: written.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn account(name: &Arc<str>) -> Result<String, ExportError> {
    let refused = |why| ExportError::Name {
        name: name.to_string(),
        dialect: Dialect::Beancount,
        why,
    };
    let mut parts = name.split(':');
    let root = parts.next().unwrap_or_default().to_lowercase();
    let root = match root.as_str() {
        "asset" | "assets" => "Assets",
        "liability" | "liabilities" => "Liabilities",
        "equity" => "Equity",
        "income" | "revenue" | "revenues" => "Income",
        "expense" | "expenses" => "Expenses",
        _ => {
            return Err(refused(
                "accounts begin with assets, liabilities, equity, income or expenses there; use an alias",
            ));
        }
    };
    let mut written = root.to_owned();
    for part in parts {
        let mut part: String = part
            .chars()
            .map(|next| if next.is_alphanumeric() { next } else { '-' })
            .collect();
        if let Some(first) = part.chars().next() {
            let upper: String = first.to_uppercase().collect();
            part.replace_range(..first.len_utf8(), &upper);
        }
        if !part.starts_with(char::is_alphanumeric) {
            part.insert(0, 'X');
        }
        written.push(':');
        written.push_str(&part);
    }
    if !written.contains(':') {
        // An account of one part has no form there.
        written.push_str(":General");
    }
    Ok(written)
}

fn commodity(name: &Arc<str>) -> Result<String, ExportError> {
    let refused = |why| ExportError::Name {
        name: name.to_string(),
        dialect: Dialect::Beancount,
        why,
    };
    let known = match &**name {
        "$" => Some("USD"),
        "€" => Some("EUR"),
        "£" => Some("GBP"),
        "¥" => Some("JPY"),
        "₹" => Some("INR"),
        "" => {
            return Err(refused(
                "a bare number has no form there; give it a commodity",
            ));
        }
        _ => None,
    };
    if let Some(known) = known {
        return Ok(known.to_owned());
    }
    let upper = name.to_uppercase();
    let mut written: String = upper
        .chars()
        .map(|next| {
            if next.is_ascii_alphanumeric() {
                next
            } else {
                '-'
            }
        })
        .collect();
    let begins = written.starts_with(|next: char| next.is_ascii_uppercase());
    let ends = written.ends_with(|next: char| next.is_ascii_alphanumeric());
    if !begins {
        written.insert(0, 'X');
    }
    if !ends {
        written.push('X');
    }
    if written.len() == 1 {
        written.push('X');
    }
    if written.len() > 24 {
        return Err(refused("a commodity has 24 characters at most there"));
    }
    Ok(written)
}

/// A commodity as hledger and Ledger take it: in quotes where it has more than letters and signs of currencies.
pub(super) fn quoted(commodity: &str) -> String {
    let is_plain = |next: char| next.is_alphabetic() || "$€£¥₹".contains(next);
    if commodity.chars().all(is_plain) {
        commodity.to_owned()
    } else {
        format!("\"{commodity}\"")
    }
}
