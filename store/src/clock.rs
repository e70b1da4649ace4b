use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

/// An instant in microseconds since 1970-01-01T00:00:00Z, the precision that the journal keeps.
///
/// It orders, compares and survives a round trip through every store exactly; convert to
/// [`chrono::DateTime`] for calendars.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant that many microseconds after (or before) the Unix epoch.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// As a calendar date and time; `None` beyond the years that chrono can express (about ±262,000).
    #[must_use]
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Drops what is below a microsecond.
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_datetime() {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{} us", self.0),
        }
    }
}

/// Where time and fresh ids come from; the only source of either, so that a test or a simulation can replace it and
/// replay a run exactly.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The current time. It may step back (NTP does); who needs order uses positions.
    fn now(&self) -> Timestamp;

    /// A fresh id (UUID version 7: ids of later calls sort later, up to a millisecond).
    fn new_id(&self) -> Uuid;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn new_id(&self) -> Uuid {
        (**self).new_id()
    }
}

/// The machine's own clock and random ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that may ask the machine"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()),
            Err(before) => i64::try_from(before.duration().as_micros()).map(|micros| -micros),
        };
        Timestamp(since_epoch.unwrap_or(i64::MAX))
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that may ask the machine"
    )]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
