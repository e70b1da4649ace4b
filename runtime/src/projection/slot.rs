//! The two places of a model in the store.
//!
//! A model that is made beside a live one is written to the other place, in parts, with a checkpoint before the first
//! event: as long as that is so it does not count. One last atomic write gives it its checkpoint and the next generation's
//! number. Of two models that count, the one of the higher generation does, and the other place is emptied.

use std::sync::Arc;

use foldhouse_store::{PROJECTION_NAME_BYTES_MAX, StreamId};

/// Which of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Under the projection's name.
    First,
    Second,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(super) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// One of so many parts of a model, by its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) index: u32,
    pub(super) count: u32,
}

impl Partition {
    /// Whether the stream belongs to it. The same for ever: rows are kept by it.
    pub(super) fn has(self, stream: &StreamId) -> bool {
        crc32fast::hash(stream.as_str().as_bytes()) % self.count == self.index
    }
}

/// The name under which the store keeps a model, or a part of one.
pub(super) fn store_name(name: &str, partition: Option<Partition>, side: Side) -> Arc<str> {
    let mut suffix = String::new();
    if let Some(Partition { index, count }) = partition {
        suffix = format!("\u{0}{index}/{count}");
    }
    if side == Side::Second {
        suffix.push_str("\u{0}b");
    }
    if name.len() + suffix.len() <= PROJECTION_NAME_BYTES_MAX {
        return format!("{name}{suffix}").into();
    }
    // Too long together: a hash stands for both.
    let hash = blake3::hash(format!("{name}{suffix}").as_bytes()).to_hex();
    format!(
        "\u{0}{}",
        hash.as_str().chars().take(60).collect::<String>()
    )
    .into()
}
