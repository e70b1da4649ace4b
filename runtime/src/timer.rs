//! Durable timers: a command that an aggregate sends itself at a later time.
//!
//! # How
//! A decision's timer `change`s are recorded as events (`record`) of one stream of the runtime's own, by the append of the
//! decision's events: either all of it is there or nothing. That stream is the truth. What is pending is an `index` over
//! it: what is `pending` in memory, a hundred bytes a timer, in the order of time, and a `log` of it in the store, so that
//! a start need not read the whole stream. It is made anew if it is missing.
//!
//! The `scheduler` looks at the front of the index, and lets each timer that is due be `fire`d: its command is decided on
//! its aggregate's turn, and the append of its events says that the timer has fired. So it takes effect once, whenever the
//! process ends. Whether the timer is still pending is judged on that turn, too: from the index, and from what the
//! aggregate has changed since (`known`).

mod change;
mod entry;
mod fire;
mod index;
#[cfg(test)]
mod index_tests;
mod known;
mod listing;
mod log;
mod pending;
mod record;
mod registry;
mod scheduler;
mod state;

pub(crate) use self::change::TimerChanges;
pub use self::change::{
    TIMER_COMMAND_BYTES_MAX, TIMER_NAME_BYTES_MAX, TIMERS_PER_DECISION_MAX, TimedCommand,
    TimerChange,
};
pub(crate) use self::fire::rejection_text;
pub(crate) use self::known::KnownTimers;
pub use self::listing::{PendingTimer, TimerCursor, TimerPage};
pub(crate) use self::listing::{pending_timers, pending_timers_of};
pub use self::record::is_timer_record;
pub(crate) use self::record::{ChangedTimers, TimerRecords, is_reserved};
pub(crate) use self::registry::TimedCommands;
pub(crate) use self::scheduler::run;
pub(crate) use self::state::Timers;
