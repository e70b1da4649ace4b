//! What differs between two values, field by field, over the way in which they serialise.

mod fields;

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use self::fields::fields;
use crate::event_codec::NESTING_DEPTH_MAX;

/// The most differences that are listed; those behind are counted.
pub const DIFFERENCES_MAX: usize = 10_000;

/// What differs between two values.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Differences {
    /// Field by field, in the order in which the values serialise.
    pub fields: Vec<Difference>,
    /// How many more there are beyond [`DIFFERENCES_MAX`].
    pub omitted: u64,
}

/// A field that is another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where it is: `terms.currency`, `reservations.42.quantity`, `lines[3]`; empty for a value without fields.
    pub path: String,
    /// What it was; `None` if it was not there.
    pub before: Option<FieldValue>,
    /// What it is; `None` if it is not there any more.
    pub after: Option<FieldValue>,
}

/// The value of one field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FieldValue {
    /// Nothing: `None`, or a unit.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A whole number beyond the largest signed one.
    Unsigned(u128),
    /// A floating point number.
    Float(f64),
    /// A text, or the name of an enum's variant.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list, map or struct that has nothing in it.
    Empty {},
}

/// Why a value has no fields that could be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnserializableState {
    /// Its own `Serialize` failed.
    #[error("its serialisation failed: {0}")]
    Failed(String),
    /// It nests too deep.
    #[error("it nests deeper than {NESTING_DEPTH_MAX} values")]
    TooDeep,
}

impl Differences {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.fields {
            writeln!(f, "{difference}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => writeln!(f, "... and {omitted} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<FieldValue>| match value {
            Some(value) => value.to_string(),
            None => "(absent)".to_owned(),
        };
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} -> {}", value(&self.before), value(&self.after))
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
            Self::Empty {} => f.write_str("(empty)"),
        }
    }
}

/// What differs between two values, field by field. Both may be of different types.
///
/// Fields are found by name and the entries of lists by their place, so that an entry taken out of the middle of a list shows
/// in everything behind it; a map with keys of its own tells more. A `HashSet` has no order of its own, and may show
/// differences where there are none.
///
/// ```
/// use foldhouse::{FieldValue, differences};
///
/// #[derive(serde::Serialize)]
/// struct Account { debits: i128, closed: bool }
///
/// let before = Account { debits: 100, closed: false };
/// let after = Account { debits: 130, closed: false };
/// let found = differences(&before, &after)?;
/// assert_eq!(found.fields.len(), 1);
/// assert_eq!(found.fields[0].path, "debits");
/// assert_eq!(found.fields[0].after, Some(FieldValue::Integer(130)));
/// assert_eq!(found.to_string(), "debits: 100 -> 130\n");
/// # Ok::<(), foldhouse::UnserializableState>(())
/// ```
///
/// # Errors
/// [`UnserializableState`] if one of them does not serialise.
pub fn differences(
    before: &impl Serialize,
    after: &impl Serialize,
) -> Result<Differences, UnserializableState> {
    let (before, after) = (fields(before)?, fields(after)?);
    let mut added: HashMap<&str, &FieldValue> = after
        .iter()
        .map(|(path, value)| (path.as_str(), value))
        .collect();
    let mut found = Differences::default();
    for (path, was) in &before {
        let is = added.remove(path.as_str());
        if is.is_none_or(|is| !is.is_same(was)) {
            found.add(path, Some(was), is);
        }
    }
    for (path, is) in &after {
        if added.contains_key(path.as_str()) {
            found.add(path, None, Some(is));
        }
    }
    Ok(found)
}

impl Differences {
    fn add(&mut self, path: &str, before: Option<&FieldValue>, after: Option<&FieldValue>) {
        if self.fields.len() >= DIFFERENCES_MAX {
            self.omitted += 1;
            return;
        }
        self.fields.push(Difference {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
}

impl FieldValue {
    /// As equality, but what is not a number is the same as itself.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(one), Self::Float(other)) => one.to_bits() == other.to_bits(),
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests;
