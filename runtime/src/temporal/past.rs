use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhouse_store::{EventStore, InvalidStreamId, SnapshotStore, Store, StreamId, Version};

use super::as_of::{AsOf, Pinned};
use super::difference::{Differences, differences};
use super::error::PastError;
use super::locate::pin;
use super::marks::{Held, Marks};
use super::remembered::RememberedMarks;
use super::sequence::{Sequence, back_dated};
use super::source::Source;
use super::walk::Walk;
use crate::aggregate::Aggregate;
use crate::backdating::Backdating;

/// The past of one aggregate, read from a store: made by [`AggregateRef::past`](crate::AggregateRef::past), or over any
/// store with [`Past::in_events`] (a [`ReadOnlyJournal`](crate::ReadOnlyJournal) beside the process that writes, a backup).
///
/// It reads what is durable and nothing else. No actor is woken, waited for or disturbed, whatever the aggregate does
/// meanwhile, and no place among the commands in flight is taken.
///
/// # What it costs
/// A state is folded from the newest snapshot up to the moment (snapshots of another
/// [`STATE_SCHEMA`](Aggregate::STATE_SCHEMA) are passed over), or from the first event. The version at a recorded time or
/// a position is found by bisecting. Effective time needs the times of all events: the first such question reads them
/// all, unless they are kept with the snapshots ([`SnapshotPolicy::keep_times`](crate::SnapshotPolicy::keep_times)), and the
/// runtime remembers 24 bytes of each for the next one, as long as there is room. A handle over a store remembers them
/// itself: keep it while you ask.
///
/// ```
/// use foldhouse::{AsOf, CommandMeta, Version};
/// # use foldhouse::*;
/// # #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
/// # struct Account(i64);
/// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// # enum AccountEvent { Changed(i64) }
/// # impl Aggregate for Account {
/// #     const TYPE: &'static str = "account";
/// #     const BACKDATING: Backdating = Backdating::Allowed;
/// #     type Event = AccountEvent;
/// #     fn apply(&mut self, AccountEvent::Changed(by): &AccountEvent) { self.0 += by; }
/// # }
/// # struct Change(i64);
/// # impl Command for Change {
/// #     type Aggregate = Account;
/// #     type Reply = ();
/// #     type Rejection = Never;
/// #     fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
/// #         Ok(Decision::event(AccountEvent::Changed(self.0), ()))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
/// # let day = |day: i64| Timestamp::from_unix_micros(day * 86_400_000_000);
/// let account = runtime.aggregate::<Account>("acme", "1000")?;
/// account.execute(Change(100), CommandMeta::new().effective_at(day(1))).await?;
/// account.execute(Change(-30), CommandMeta::new().effective_at(day(5)).user("ada")).await?;
/// account.execute(Change(7), CommandMeta::new().effective_at(day(3))).await?; // an invoice that came late
///
/// let past = account.past();
/// assert_eq!(past.state(AsOf::Version(Version::new(2))).await?.state, Account(70));
/// assert_eq!(past.state(AsOf::Effective(day(4))).await?.state, Account(107));
///
/// let figure = past.explain(&(AsOf::BEGINNING..AsOf::Effective(day(5))).into(), |account| account.0).await?;
/// let balances: Vec<_> = figure.changes.iter().map(|change| change.after).collect();
/// assert_eq!(balances, [100, 107, 77]);
/// assert_eq!(figure.changes[2].event.user.as_deref(), Some("ada"));
/// # Ok(())
/// # }
/// ```
pub struct Past<A> {
    pub(super) source: Source,
    pub(super) marks: Arc<Marks>,
    pub(super) backdating: Backdating,
    aggregate: PhantomData<fn() -> A>,
}

/// The state of an aggregate at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateAt<A> {
    /// The state.
    pub state: A,
    /// The last version that had been recorded. By effective time not every event up to it needs to be in the state.
    pub version: Version,
    /// How many events make the state.
    pub events: u64,
    /// The version of the snapshot that it was folded from; [`Version::EMPTY`] without one. It changes the time that an
    /// answer takes, and nothing else.
    pub snapshot: Version,
}

/// The states at two moments, and what differs.
#[derive(Clone, Debug, PartialEq)]
pub struct StatesCompared<A> {
    /// The state at the first moment.
    pub before: StateAt<A>,
    /// The state at the second one.
    pub after: StateAt<A>,
    /// What differs, field by field.
    pub differences: Differences,
}

impl<A: Aggregate> Past<A> {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        remembered: &RememberedMarks,
        stream: StreamId,
    ) -> Self {
        let events: Arc<dyn EventStore> = Arc::clone(store) as Arc<dyn EventStore>;
        let snapshots: Arc<dyn SnapshotStore> = Arc::clone(store) as Arc<dyn SnapshotStore>;
        let marks = remembered.of(&stream);
        let mut past = Self::from_parts(events, Some(snapshots), stream);
        past.source.times = Some(Arc::clone(store));
        Self { marks, ..past }
    }

    fn from_parts(
        events: Arc<dyn EventStore>,
        snapshots: Option<Arc<dyn SnapshotStore>>,
        stream: StreamId,
    ) -> Self {
        Self {
            source: Source {
                events,
                snapshots,
                times: None,
                stream,
            },
            marks: Arc::default(),
            backdating: A::BACKDATING,
            aggregate: PhantomData,
        }
    }

    /// The past of an aggregate in a store that needs no runtime: the journal of another process that is read beside it,
    /// a backup. It has no snapshots unless they are given along ([`Past::with_snapshots`]).
    ///
    /// ```no_run
    /// # use foldhouse::*;
    /// # async fn audit<Account: Aggregate>() -> Result<(), Box<dyn std::error::Error>> {
    /// let journal = std::sync::Arc::new(JournalOptions::new().open_read_only("/var/lib/books")?);
    /// let past = Past::<Account>::in_events(journal, "acme", "1000")?;
    /// let then = past.state(AsOf::Version(Version::new(20))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Tenant or id cannot name a stream.
    pub fn in_events(
        events: Arc<dyn EventStore>,
        tenant: &str,
        id: &str,
    ) -> Result<Self, InvalidStreamId> {
        let stream = StreamId::new(tenant, A::TYPE, id)?;
        Ok(Self::from_parts(events, None, stream))
    }

    /// Begins with snapshots from here where they fit: each is checked against the events.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        self.source.snapshots = Some(snapshots);
        self
    }

    /// Answers by effective time as if the aggregate had said this of its events: for whoever knows what they are doing
    /// with an aggregate that is not theirs.
    #[must_use]
    pub fn backdating(mut self, backdating: Backdating) -> Self {
        self.backdating = backdating;
        self
    }

    /// The aggregate's stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.source.stream
    }

    /// The last version that had been recorded at a moment. It is bisected: no more than some twenty events are read.
    ///
    /// # Errors
    /// [`PastError::NotYet`], [`PastError::Read`].
    pub async fn version(&self, as_of: AsOf) -> Result<Version, PastError> {
        Ok(self.pin(as_of).await?.version)
    }

    /// The state at a moment.
    ///
    /// By version, position or recorded time it is the state that the aggregate really had: what its commands were decided
    /// on. By effective time it is what the books say: the events that count by then, folded in the order in which they
    /// count (by `effective_at`, and by version where that is the same), also those that were recorded late. See
    /// [`Backdating`] for what that means to an aggregate whose events build on each other.
    ///
    /// # Errors
    /// [`PastError`]; [`PastError::BackDated`] where effective time needs another order, and the aggregate does not allow
    /// for it.
    pub async fn state(&self, as_of: AsOf) -> Result<StateAt<A>, PastError> {
        let pinned = self.pin(as_of).await?;
        self.state_at(pinned).await
    }

    /// The states at two moments, and what differs between them, field by field.
    ///
    /// "What did the January report say of December, and what do we say now?" is
    /// `compare(AsOf::Bitemporal { recorded: end_of_january, effective: end_of_december }, AsOf::Effective(end_of_december))`;
    /// [`Past::history`] between the same moments lists what was recorded in between.
    ///
    /// # Errors
    /// As for [`Past::state`]; [`PastError::Unserializable`] if the state's `Serialize` fails.
    pub async fn compare(&self, from: AsOf, to: AsOf) -> Result<StatesCompared<A>, PastError> {
        let before = self.state(from).await?;
        let after = self.state(to).await?;
        let differences = differences(&before.state, &after.state).map_err(|error| {
            PastError::Unserializable {
                stream: self.source.stream.clone(),
                error,
            }
        })?;
        Ok(StatesCompared {
            before,
            after,
            differences,
        })
    }

    pub(super) async fn pin(&self, as_of: AsOf) -> Result<Pinned, PastError> {
        pin(&self.source, &self.marks, as_of).await
    }

    async fn state_at(&self, pinned: Pinned) -> Result<StateAt<A>, PastError> {
        let (sequence, held) = match (self.backdating, pinned.effective) {
            (Backdating::AnyOrder, Some(by)) => {
                let any_order = |marks: &[_]| Sequence::any_order(marks, by);
                let looked = self.marks.up_to(&self.source, pinned.version, any_order);
                looked.await?
            }
            _ => self.sequence(pinned).await?,
        };
        let events = sequence.len();
        let walk = Walk::<A>::at(&self.source, sequence, held, events).await?;
        Ok(StateAt {
            state: walk.state,
            version: pinned.version,
            events,
            snapshot: walk.snapshot,
        })
    }

    /// Which events count, in the order in which they do.
    pub(super) async fn sequence(&self, pinned: Pinned) -> Result<(Sequence, Held), PastError> {
        let Some(by) = pinned.effective else {
            return Ok((Sequence::recorded(pinned.version), Held::default()));
        };
        let stream = &self.source.stream;
        let looked = self.marks.up_to(&self.source, pinned.version, |marks| {
            if self.backdating == Backdating::Refused
                && let Some(event) = back_dated(stream, A::TYPE, marks, by)
            {
                return Err(PastError::BackDated(Box::new(event)));
            }
            Ok(Sequence::effective(marks, by))
        });
        let (sequence, held) = looked.await?;
        Ok((sequence?, held))
    }
}

impl<A> fmt::Debug for Past<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Past").field(&self.source.stream).finish()
    }
}
