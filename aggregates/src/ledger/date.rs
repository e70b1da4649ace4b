use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime};
use foldhouse::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The day on which an entry counts in the books (its effective date), without a time or a zone.
///
/// Persisted and printed as ISO 8601: `2026-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookDate(NaiveDate);

/// Why a text is no [`BookDate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a date; write it like `2026-01-31`")]
pub struct NotADate {
    /// The text as given, cut off at 16 characters.
    pub text: String,
}

impl BookDate {
    /// The calendar's first day.
    pub const FIRST: Self = Self(NaiveDate::MIN);

    /// The day of that instant in UTC. Who keeps books in another zone gives the date himself.
    ///
    /// An instant beyond the calendar gets the calendar's first or last day.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let beyond = if at.unix_micros() < 0 {
            NaiveDate::MIN
        } else {
            NaiveDate::MAX
        };
        Self(at.to_datetime().map_or(beyond, |at| at.date_naive()))
    }

    /// The first instant of the day in UTC: the effective time of the events that are recorded for it.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let midnight = self.0.and_time(NaiveTime::MIN);
        DateTime::from_naive_utc_and_offset(midnight, chrono::Utc).into()
    }

    /// The day after; the calendar's last day has itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.succ_opt().unwrap_or(self.0))
    }

    /// How many days from `earlier` to this day; negative if that one is later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0.signed_duration_since(earlier.0).num_days()
    }
}

impl From<NaiveDate> for BookDate {
    fn from(date: NaiveDate) -> Self {
        Self(date)
    }
}

impl From<BookDate> for NaiveDate {
    fn from(date: BookDate) -> Self {
        date.0
    }
}

impl fmt::Display for BookDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BookDate {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) => Ok(Self(date)),
            Err(_) => Err(NotADate {
                text: text.chars().take(16).collect(),
            }),
        }
    }
}

impl Serialize for BookDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BookDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_kept_as_it_is_printed() {
        let date: BookDate = "2026-02-28".parse().unwrap();
        let bytes = rmp_serde::to_vec(&date).unwrap();
        assert_eq!(bytes, b"\xaa2026-02-28");
        assert_eq!(rmp_serde::from_slice::<BookDate>(&bytes).unwrap(), date);
        assert_eq!(date.next().to_string(), "2026-03-01");
        assert_eq!(BookDate::of(date.start()), date);
        assert_eq!(date.next().days_since(date), 1);
    }

    #[test]
    fn what_is_no_day_of_the_calendar_is_refused() {
        for text in ["2026-02-30", "", "31.1.2026"] {
            let refused = text.parse::<BookDate>();
            assert_eq!(refused, Err(NotADate { text: text.into() }));
        }
    }
}
