use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backdating::Backdating;
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

    /// Whether its events may be folded in the order in which they count, where that is not the order in which they were
    /// recorded. Only questions about the past by effective time ask for it; see [`Backdating`].
    const BACKDATING: Backdating = Backdating::Refused;

    /// Its events.
    type Event: Event;

    /// The state after `event`. It must accept every event that was ever recorded: rules are checked when a command is
    /// decided, never here.
    fn apply(&mut self, event: &Self::Event);

    /// How many bytes the state takes in memory, about; for
    /// [`RuntimeBuilder::resident_bytes_max`](crate::RuntimeBuilder::resident_bytes_max), and asked for only with that.
    ///
    /// What is behind pointers (a `Vec`, a map) counts too, and only the aggregate knows of it. Without an answer of its
    /// own the runtime takes the size of its latest snapshot where there is one. Make it cheap: it is asked every 64 events.
    fn resident_bytes(&self) -> usize {
        size_of::<Self>()
    }

    /// The version of an event's shape, from 1, kept beside every recorded event.
    fn event_schema(event: &Self::Event) -> u16 {
        let _ = event;
        1
    }
}
