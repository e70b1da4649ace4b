use std::fmt;

use foldhouse_store::{Position, Timestamp, Version};

/// A moment of an aggregate's past: which of its events count.
///
/// There are two times. *Recorded* time is when the store took an event; it never goes back, and nothing is ever added
/// before what is there. *Effective* time is when an event counts, as its writer said; events may be recorded late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsOf {
    /// All that is durable.
    Now,
    /// What the stream had at this version. [`Version::EMPTY`] is before everything.
    Version(Version),
    /// What the store had at this position: one moment over all aggregates.
    Position(Position),
    /// What the store knew at this time, inclusive. An answer for a time that is not over yet may still change.
    Recorded(Timestamp),
    /// What counted by this time, inclusive, with all that is known now. The answer changes when an event is recorded
    /// late.
    Effective(Timestamp),
    /// What the store knew at the time `recorded` of what counted by the time `effective`, both inclusive: the figure that
    /// stood in the report of that day.
    Bitemporal {
        /// What had been recorded by then,
        recorded: Timestamp,
        /// and counted by then.
        effective: Timestamp,
    },
}

impl AsOf {
    /// Before everything.
    pub const BEGINNING: Self = Self::Version(Version::EMPTY);

    /// By when events count, where the moment says so.
    pub(super) fn effective(self) -> Option<Timestamp> {
        match self {
            Self::Effective(effective) | Self::Bitemporal { effective, .. } => Some(effective),
            _ => None,
        }
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Version(version) => write!(f, "version {version}"),
            Self::Position(position) => write!(f, "position {position}"),
            Self::Recorded(recorded) => write!(f, "what was recorded by {recorded}"),
            Self::Effective(effective) => write!(f, "what counted by {effective}"),
            Self::Bitemporal {
                recorded,
                effective,
            } => write!(
                f,
                "what was recorded by {recorded} and counted by {effective}"
            ),
        }
    }
}

/// A moment whose answer does not change any more: events are only added behind `version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The last event that had been recorded.
    pub(super) version: Version,
    /// By when they count; all of them if nothing is said.
    pub(super) effective: Option<Timestamp>,
}

impl Pinned {
    /// Whether an event counts.
    pub(super) fn counts(self, version: Version, effective_at: Timestamp) -> bool {
        version <= self.version && self.effective.is_none_or(|by| effective_at <= by)
    }
}
