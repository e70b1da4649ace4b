use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// The longest tenant or aggregate type, in bytes.
pub const STREAM_ID_SEGMENT_BYTES_MAX: usize = 64;
/// The longest aggregate id, in bytes.
pub const AGGREGATE_ID_BYTES_MAX: usize = 126;

/// The name of one stream: `tenant/aggregate type/aggregate id`, for instance `acme/gl-account/1000`.
///
/// No part is empty, holds a `/` or a control character, or exceeds its length limit
/// ([`STREAM_ID_SEGMENT_BYTES_MAX`], [`AGGREGATE_ID_BYTES_MAX`]). A clone shares the text.
///
/// ```
/// use foldhouse_store::StreamId;
///
/// let stream = StreamId::new("acme", "gl-account", "1000")?;
/// assert_eq!(stream.as_str(), "acme/gl-account/1000");
/// assert_eq!(stream.aggregate_id(), "1000");
/// # Ok::<(), foldhouse_store::InvalidStreamId>(())
/// ```
#[derive(Clone)]
pub struct StreamId {
    text: Arc<str>,
    tenant_len: u8,
    type_len: u8,
}

/// Why a text cannot name a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStreamId {
    /// The text does not have exactly three parts.
    #[error(
        "{text:?} is not a stream id: it takes three parts, `tenant/aggregate type/aggregate id`"
    )]
    NotThreeParts {
        /// The text as given.
        text: String,
    },
    /// A part is empty.
    #[error("the {part} of a stream id must not be empty")]
    Empty {
        /// Which part: `tenant`, `aggregate type` or `aggregate id`.
        part: &'static str,
    },
    /// A part is longer than its limit.
    #[error("the {part} of a stream id has {bytes} bytes; the limit is {limit_bytes}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// A part holds `/` or a control character.
    #[error("the {part} of a stream id holds {character:?}, which it may not")]
    Character {
        /// Which part.
        part: &'static str,
        /// The first character that is not allowed.
        character: char,
    },
}

impl StreamId {
    /// Names a stream by its three parts.
    ///
    /// # Errors
    /// [`InvalidStreamId`] says which part breaks which rule; nothing is trimmed or replaced.
    pub fn new(
        tenant: &str,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Self, InvalidStreamId> {
        let tenant_len = checked_len("tenant", tenant, STREAM_ID_SEGMENT_BYTES_MAX)?;
        let type_len = checked_len(
            "aggregate type",
            aggregate_type,
            STREAM_ID_SEGMENT_BYTES_MAX,
        )?;
        checked_len("aggregate id", aggregate_id, AGGREGATE_ID_BYTES_MAX)?;
        let mut text =
            String::with_capacity(tenant.len() + aggregate_type.len() + aggregate_id.len() + 2);
        text.push_str(tenant);
        text.push('/');
        text.push_str(aggregate_type);
        text.push('/');
        text.push_str(aggregate_id);
        Ok(Self {
            text: text.into(),
            tenant_len,
            type_len,
        })
    }

    /// The whole name, `tenant/aggregate type/aggregate id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first part.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.text
            .get(..usize::from(self.tenant_len))
            .unwrap_or_default()
    }

    /// The second part.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        let start = usize::from(self.tenant_len) + 1;
        self.text
            .get(start..start + usize::from(self.type_len))
            .unwrap_or_default()
    }

    /// The third part.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        let start = usize::from(self.tenant_len) + usize::from(self.type_len) + 2;
        self.text.get(start..).unwrap_or_default()
    }
}

fn checked_len(part: &'static str, text: &str, limit_bytes: usize) -> Result<u8, InvalidStreamId> {
    if text.is_empty() {
        return Err(InvalidStreamId::Empty { part });
    }
    if let Some(character) = text.chars().find(|c| *c == '/' || c.is_control()) {
        return Err(InvalidStreamId::Character { part, character });
    }
    let too_long = || InvalidStreamId::TooLong {
        part,
        bytes: text.len(),
        limit_bytes,
    };
    if text.len() > limit_bytes {
        return Err(too_long());
    }
    u8::try_from(text.len()).map_err(|_| too_long())
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(tenant), Some(aggregate_type), Some(aggregate_id), None) => {
                Self::new(tenant, aggregate_type, aggregate_id)
            }
            _ => Err(InvalidStreamId::NotThreeParts {
                text: text.chars().take(300).collect(),
            }),
        }
    }
}

impl serde::Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialEq for StreamId {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for StreamId {}

impl PartialOrd for StreamId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for StreamId {
    // Must hash as the text does: maps keyed by StreamId are searched by &str.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_gives_back_its_three_parts() {
        let stream = StreamId::new("acme", "gl-account", "1000:cash").unwrap();
        assert_eq!(
            (
                stream.tenant(),
                stream.aggregate_type(),
                stream.aggregate_id()
            ),
            ("acme", "gl-account", "1000:cash")
        );
        assert_eq!(stream.as_str().parse::<StreamId>().unwrap(), stream);
    }

    #[test]
    fn a_part_that_is_empty_too_long_or_holds_a_slash_is_refused() {
        assert!(matches!(
            StreamId::new("", "t", "1"),
            Err(InvalidStreamId::Empty { part: "tenant" })
        ));
        assert!(matches!(
            StreamId::new("a", "b/c", "1"),
            Err(InvalidStreamId::Character {
                part: "aggregate type",
                character: '/'
            })
        ));
        let long = "x".repeat(AGGREGATE_ID_BYTES_MAX + 1);
        assert!(matches!(
            StreamId::new("a", "b", &long),
            Err(InvalidStreamId::TooLong {
                part: "aggregate id",
                ..
            })
        ));
        assert!(matches!(
            "a/b".parse::<StreamId>(),
            Err(InvalidStreamId::NotThreeParts { .. })
        ));
    }
}
