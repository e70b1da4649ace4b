/// Types of names that a caller gives, each a text of its own kind.
macro_rules! text_names {
    ($($(#[$doc:meta])+ $name:ident;)+) => {
        $(
            $(#[$doc])+
            #[derive(
                Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            )]
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

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.pad(&self.0)
                }
            }
        )+
    };
}

pub(crate) use text_names;
