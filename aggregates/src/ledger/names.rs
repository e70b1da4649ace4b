use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($name:ident: $what:literal;)+) => {
        $(
            #[doc = $what]
            ///
            /// The caller gives it. It is the last part of a stream id, so it has no `/`, no control character and
            /// at most 126 bytes; that is checked when it is used.
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(Box<str>);

            impl $name {
                /// The name with this text.
                #[must_use]
                pub fn new(text: impl Into<Box<str>>) -> Self {
                    Self(text.into())
                }

                /// Its text.
                #[must_use]
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self::new(text)
                }
            }

            impl From<String> for $name {
                fn from(text: String) -> Self {
                    Self::new(text)
                }
            }

            impl From<&$name> for $name {
                fn from(name: &$name) -> Self {
                    name.clone()
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.pad(&self.0)
                }
            }
        )+
    };
}

names! {
    AccountId: "The code of an account in the chart: `1000`, `receivables:acme`.";
    EntryId: "The caller's id of a journal entry. Posting under one id twice takes effect once.";
    HoldId: "The caller's id of a hold. Placing a hold under one id twice takes effect once.";
}
