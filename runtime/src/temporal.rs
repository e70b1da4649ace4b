//! The past of an aggregate and of a read model, read from the store: no actor is woken or disturbed by it.
//!
//! - `as_of`: the moments that can be asked about
//! - `past`: the handle, and the state at a moment
//! - `history`: the changes between two moments, each with its cause, and what makes up a figure
//! - `difference`: what differs between two states, field by field
//! - `evidence`: a digest over the events behind an answer, to be compared with that of a copy
//! - `read_model`: a projection's rows as of a position
//! - `source`: a stream read page by page; `locate`: the version at a moment; `start`: the nearest snapshot
//! - `marks`: when each event was recorded and counts, `remembered` by the runtime, and `kept_times`, in the store; `sequence`: the order in which events are folded

mod as_of;
mod cause;
mod difference;
mod error;
mod evidence;
mod history;
pub(crate) mod kept_times;
mod locate;
mod marks;
mod past;
mod read_model;
mod remembered;
mod sequence;
mod source;
mod start;
mod walk;

pub use self::as_of::AsOf;
pub use self::difference::{
    DIFFERENCES_MAX, Difference, Differences, FieldValue, UnserializableState, differences,
};
pub use self::error::{BackDatedEvent, PastError};
pub use self::evidence::Evidence;
pub use self::history::{
    Change, HISTORY_PAGE_CHANGES_MAX, HistoryCursor, HistoryPage, HistoryQuery,
};
pub use self::marks::EFFECTIVE_EVENTS_MAX;
pub use self::past::{Past, StateAt, StatesCompared};
pub use self::read_model::{ReadModelAt, ReadModelError, position_recorded_by, read_model_at};
pub(crate) use self::remembered::RememberedMarks;
pub use self::walk::{REORDERED_BYTES_MAX, REORDERED_EVENTS_MAX};
