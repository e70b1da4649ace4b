use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest [`Memo`], in characters: what a SEPA payment carries as remittance text.
pub const MEMO_CHARS_MAX: usize = 140;

/// A free text that is recorded with an event, for people: what for, or which document. At most
/// [`MEMO_CHARS_MAX`] characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memo(Box<str>);

/// Why a text cannot be a [`Memo`]. Shorten it; nothing is cut off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memo has {chars} characters; the limit is {MEMO_CHARS_MAX}: shorten it")]
pub struct MemoTooLong {
    /// Its length in characters.
    pub chars: usize,
}

impl Memo {
    /// The memo with this text.
    ///
    /// # Errors
    /// [`MemoTooLong`] beyond [`MEMO_CHARS_MAX`] characters.
    pub fn new(text: &str) -> Result<Self, MemoTooLong> {
        let chars = text.chars().count();
        if chars > MEMO_CHARS_MAX {
            return Err(MemoTooLong { chars });
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_limited_in_characters_not_bytes() {
        let longest = "č".repeat(MEMO_CHARS_MAX);
        assert_eq!(Memo::new(&longest).unwrap().as_str(), longest);
        assert_eq!(
            Memo::new(&format!("{longest}!")),
            Err(MemoTooLong { chars: 141 })
        );
    }
}
