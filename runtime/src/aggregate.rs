use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;

/// A unit of consistency: state that changes only by its own events, one command at a time.
///
/// The value itself is the state; `Default` is the state of a stream without events. Everything here is pure and
/// synchronous: no I/O, no clock, no randomness, so that replaying the stream gives the same state, years later.
///
/// `Serialize` is for snapshots. `Clone` should be cheap enough to be called every few thousand events.
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The aggregate's stable name, the second part of its stream ids. Never change it once events exist.
    const TYPE: &'static str;

    /// The version of the state's shape and of `apply`'s meaning. Raise it when either changes: older snapshots are
    /// then not used.
    const STATE_SCHEMA: u32 = 1;

    /// Its events.
    type Event: Event;

    /// The state after `event`. It must accept every event that was ever recorded: rules are checked when a command is
    /// decided, never here.
    fn apply(&mut self, event: &Self::Event);

    /// The version of an event's shape, from 1, kept beside every recorded event.
    fn event_schema(event: &Self::Event) -> u16 {
        let _ = event;
        1
    }
}
