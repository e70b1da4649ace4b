use foldhouse_store::{Damage, ReadError, Timestamp};

use super::{EVENT_CONDITION_DEPTH_MAX, EVENT_CONDITIONS_MAX};
use crate::refusal::NotRecorded;

/// Why a query has no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventQueryError {
    /// The cursor's time is over. Ask for the first page again.
    #[error("the cursor expired at {at}; begin with the first page again")]
    CursorExpired {
        /// When.
        at: Timestamp,
    },
    /// The text is not a cursor, was altered, or was signed with a key that is not accepted (any more). Ask for the first
    /// page again.
    #[error("the cursor is not one of ours, or was altered; begin with the first page again")]
    CursorInvalid,
    /// The cursor belongs to a query with another filter or order.
    #[error(
        "the cursor belongs to another query; give it with the filter and order that it came from"
    )]
    CursorOfAnotherQuery,
    /// The cursor belongs to another tenant's query, or to one over all tenants. If it came from a user, somebody tried.
    #[error("the cursor belongs to another tenant")]
    CursorOfAnotherTenant,
    /// A limit does not fit.
    #[error("{option} is {value}; it takes 1 to {value_max}")]
    Limit {
        /// Which one.
        option: &'static str,
        /// Its value.
        value: usize,
        /// The highest value that it takes.
        value_max: usize,
    },
    /// The filter has too many conditions or nests too deep.
    #[error(
        "the filter has more than {EVENT_CONDITIONS_MAX} conditions, or nests deeper than {EVENT_CONDITION_DEPTH_MAX}"
    )]
    TooManyConditions,
    /// More events than it may look at could match, and all of them are needed to order them by effective time. Narrow
    /// the query by a stream, a correlation id, a type or a range of recorded time, let it examine more, or order it by
    /// position.
    #[error(
        "more than {examined_max} events would have to be looked at to order them by effective time; narrow the query"
    )]
    TooBroadToSort {
        /// How many it may look at.
        examined_max: usize,
    },
    /// The bytes on disk are not what was written. Repair the store.
    #[error("the events cannot be read, the store is damaged: {0}")]
    Damaged(Damage),
    /// The store did not answer. A retry may work.
    #[error("the events could not be read, a retry may work: {0}")]
    Unavailable(NotRecorded),
}

impl EventQueryError {
    /// Whether the same query may succeed without anything being changed or mended.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<ReadError> for EventQueryError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(damage) => Self::Damaged(damage),
            ReadError::Closed => Self::Unavailable(NotRecorded::StoreClosed),
            other => Self::Unavailable(NotRecorded::Store(other.to_string().into())),
        }
    }
}
