use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backdating::Backdating;
use crate::event::Event;
use crate::upcasters::Upcasters;

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

    /// The version of the state's shape and of `apply`'s meaning, upcasters included. Raise it when any of them changes:
    /// older snapshots are then not used. An aggregate with [`samples`](Aggregate::samples) of its events need not think of
    /// that for what they show.
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

    /// The version of an event's shape, from 1, kept beside every recorded event: for the event types of which
    /// [`upcasters`](Aggregate::upcasters) says nothing. Never lower than it once was: events with a higher version are
    /// those of a newer build, and are not read.
    fn event_schema(event: &Self::Event) -> u16 {
        let _ = event;
        1
    }

    /// How events that earlier builds recorded are read today, and so the schema version of each event type that has
    /// changed. See [`Upcasters`] for the life of an event. They are made once:
    ///
    /// ```
    /// # use foldhouse::{Aggregate, Upcasters};
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u64);
    /// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// # enum CounterEvent { Added { by: u64 } }
    /// # impl Aggregate for Counter {
    /// #     const TYPE: &'static str = "counter";
    /// #     type Event = CounterEvent;
    /// #     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
    /// fn upcasters() -> &'static Upcasters<CounterEvent> {
    ///     static UPCASTERS: std::sync::LazyLock<Upcasters<CounterEvent>> = std::sync::LazyLock::new(|| {
    ///         Upcasters::new().on("Added", 1, |fields| fields.rename("amount", "by"))
    ///     });
    ///     &UPCASTERS
    /// }
    /// # }
    /// ```
    #[inline]
    fn upcasters() -> &'static Upcasters<Self::Event> {
        Upcasters::NONE
    }

    /// Samples of its events, at least one of each type, in an order in which they could happen. With them
    ///
    /// - snapshots carry a fingerprint of the states that they lead to: when `apply` or the state's shape changes in a way
    ///   that they show, older snapshots are not used, though nobody raised [`STATE_SCHEMA`](Aggregate::STATE_SCHEMA);
    /// - [`golden_events`](crate::testing::golden_events) keeps them in files and tells when old events cannot be read.
    ///
    /// Asked for once in a process, when the first aggregate of the type is hydrated or kept. They take no effect.
    fn samples() -> Vec<Self::Event> {
        Vec::new()
    }
}
