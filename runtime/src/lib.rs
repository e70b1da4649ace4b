//! Event-sourced aggregates as supervised actors, over a journal that is the truth.
//!
//! For domains that must answer "what was the exact state of this account on that day, and who changed it": ledgers,
//! stock, reservations. You write the rules as pure functions; foldhouse runs them, one actor for each aggregate, records
//! their events durably, and keeps read models up to date.
//!
//! It is a library in your process. It is not a server, not distributed, and not a message bus.
//!
//! # Quick start
//!
//! An aggregate is a state, its events, and how an event changes the state. A command decides on the state which events
//! to record, or says no. Both are pure: no I/O, no clock, no randomness.
//!
//! ```
//! use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Counter(u64);
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! enum CounterEvent {
//!     Added { by: u64 },
//! }
//!
//! impl Aggregate for Counter {
//!     const TYPE: &'static str = "counter";
//!     type Event = CounterEvent;
//!     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) {
//!         self.0 += by;
//!     }
//! }
//!
//! struct Increment(u64);
//!
//! #[derive(Debug, PartialEq, thiserror::Error)]
//! #[error("a counter does not go beyond 100, and it is at {0}")]
//! struct TooMuch(u64);
//!
//! impl Command for Increment {
//!     type Aggregate = Counter;
//!     type Reply = u64;
//!     type Rejection = TooMuch;
//!     fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
//!         match counter.0 + self.0 {
//!             after @ ..=100 => Ok(Decision::event(CounterEvent::Added { by: self.0 }, after)),
//!             _ => Err(TooMuch(counter.0)),
//!         }
//!     }
//! }
//! # fn main() {
//! // Its test needs no store and no actor:
//! use foldhouse::testing::given;
//!
//! given::<Counter>([CounterEvent::Added { by: 90 }])
//!     .when(Increment(10))
//!     .then([CounterEvent::Added { by: 10 }])
//!     .then_reply(&100);
//! given::<Counter>([CounterEvent::Added { by: 90 }])
//!     .when(Increment(11))
//!     .then_rejected(&TooMuch(90));
//! # }
//! ```
//!
//! A runtime over a store brings it to life. `send` returns when the events are durable:
//!
//! ```
//! # use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, Never};
//! # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
//! # struct Counter(u64);
//! # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! # enum CounterEvent { Added { by: u64 } }
//! # impl Aggregate for Counter {
//! #     const TYPE: &'static str = "counter";
//! #     type Event = CounterEvent;
//! #     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
//! # }
//! # struct Increment(u64);
//! # impl Command for Increment {
//! #     type Aggregate = Counter;
//! #     type Reply = u64;
//! #     type Rejection = Never;
//! #     fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
//! #         Ok(Decision::event(CounterEvent::Added { by: self.0 }, counter.0 + self.0))
//! #     }
//! # }
//! use std::{sync::Arc, time::Duration};
//!
//! use foldhouse::{MemoryStore, Runtime};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder(Arc::new(MemoryStore::new())).start().await?;
//! let visits = runtime.aggregate::<Counter>("acme", "visits")?;
//!
//! assert_eq!(visits.send(Increment(40)).await?, 40);
//! assert_eq!(visits.query(|counter| counter.0).await?, 40);
//!
//! runtime.shutdown(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! - The domain: [`Aggregate`], [`Event`], [`Command`], [`Decision`]; [`testing`] for given/when/then.
//! - Events that have changed since they were recorded: [`Upcasters`].
//! - Commands that take effect once, however often they are sent: [`IdempotentCommand`], [`AggregateRef::send_once`],
//!   [`Runtime::transact_once`], [`Runtime::outcome`].
//! - The runtime: [`Runtime`], [`AggregateRef`], [`CommandOptions`], [`Committed`].
//! - Its answers when something fails: [`CommandError`], [`QueryError`], sorted by what the caller can do.
//! - `simulation` (a feature): your aggregates under random schedules, crashes and torn writes, from a seed.
//! - States that are kept: [`SnapshotPolicy`], [`AggregateRef::snapshots`].
//! - Over time: timers ([`Decision::schedule`], [`Runtime::timers`]), and processes that react to events with commands to
//!   other aggregates ([`ProcessManager`], [`Runtime::run_process`]).
//! - Read models: [`Projection`], [`Table`], [`ProjectionRef`], [`ProjectionStatus`],
//!   [`FailurePolicy`], [`PartitionedRef`]; in a database of
//!   your own, [`ExternalModel`].
//! - Events as they come: [`Subscription`] to one aggregate's, [`CategorySubscription`] to those of a type,
//!   [`EventSubscription`] to those of an [`EventScope`], as they are recorded.
//! - Searching what was recorded: [`Runtime::find_events`] with an [`EventQuery`] and [`EventCondition`]s.
//! - The past: [`AggregateRef::past`] and [`Past`] answer as of a version, a recorded or an effective time ([`AsOf`]), with
//!   each change and its cause; [`read_model_at`] for read models; [`differences`] between any two states.
//! - What if: [`Runtime::what_if`] forks the state at a position into a scratch runtime, where commands can be tried out.
//! - What it measures: [`runtime_metrics`], [`projection_metrics`], [`journal_metrics`]; spans and events by `tracing`.
//! - [`semantics`]: order, durability and failure on one page.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[doc = include_str!("semantics.md")]
pub mod semantics {}

// What the domain defines.
mod aggregate;
mod backdating;
mod command;
mod event;
mod idempotent_command;
pub mod testing;
mod upcasters;

// What a caller holds, and the answers it gets.
mod aggregate_ref;
mod command_error;
mod command_options;
mod committed;
mod deadline;
mod event_query;
mod options;
mod parked;
mod outcome;
mod process;
mod projection;
mod query_error;
mod refusal;
mod runtime;
mod shutdown;
mod subscription;
mod temporal;
mod what_if;

// The way of a command.
mod actor;
mod crew;
mod admission;
mod append_limits;
mod cell;
mod command_ids;
mod directory;
mod event_codec;
mod event_id;
mod fold;
mod hydrate;
mod residency;
mod restarts;
mod meters;
mod once;
mod shared;
mod slot;
mod snapshots;
mod state_schema;
mod supervisor;
mod sync;
mod timer;
mod transaction;
mod watchdog;
mod work;

#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken promise must be seen"
)]
pub mod fuzzing;
#[cfg(all(test, shuttle))]
mod interleavings;
#[cfg(test)]
mod tests;

pub use aggregate::Aggregate;
pub use aggregate_ref::AggregateRef;
pub use backdating::Backdating;
pub use command::{Command, CommandContext, CommandMeta, Decided, Decision, EventOf, Never};
pub use command_error::{CommandError, InvalidEvents};
pub use command_options::{CommandOptions, QueryOptions};
pub use committed::Committed;
pub use deadline::Deadline;
pub use event::Event;
pub use event_codec::{
    EVENT_PAYLOAD_BYTES_MAX, EventCodecError, Events, NESTING_DEPTH_MAX, decode_event,
    decode_events,
};
pub use event_id::event_id;
pub use event_query::{
    CursorKey, CursorKeys, EVENT_CONDITION_DEPTH_MAX, EVENT_CONDITIONS_MAX,
    EVENT_QUERY_EXAMINED_MAX, EVENT_QUERY_LIMIT_MAX, EventCondition, EventCursor, EventOrder,
    EventPage, EventQuery, EventQueryError,
};
pub use idempotent_command::IdempotentCommand;
pub use meters::{process_metrics, projection_metrics, runtime_metrics};
pub use options::{RuntimeBuilder, WhenFull};
pub use outcome::{Outcome, OutcomeError};
pub use parked::ParkedAggregate;
pub use process::{
    COMMANDS_PER_REACTION_MAX, Input, InstanceRef, OUTBOX_COMMANDS_MAX, ParkedInstance,
    ProcessCommands, ProcessError, ProcessManager, ProcessRef, ProcessStatus, Reactions,
    STEP_NAME_BYTES_MAX, Settled, StartProcessError, StuckInstance, UnsettledCommand,
};
pub use projection::{
    ControlError, DEAD_LETTERS_MAX, DeadLetter, ExternalModel, ExternalRef, FailurePolicy,
    IncidentKind, PARTITIONS_MAX, ParkedEvent, PartitionedRef, ProjectError, Projection,
    ProjectionError, ProjectionFilter, ProjectionIncident, ProjectionRef, ProjectionState,
    ProjectionStatus, ROW_BYTES_MAX, RebuildError, RebuildProgress, Table, WaitError,
};
pub use query_error::QueryError;
pub use refusal::{NotRecorded, Overloaded, PanickedIn, UnreadableStream};
pub use runtime::{AddressError, Runtime, StartError};
pub use shutdown::{ProjectionReport, ShutdownIncomplete, ShutdownReport};
pub use snapshots::{
    KeptSnapshot, SNAPSHOT_BYTES_MAX, SnapshotError, SnapshotPolicy, SnapshotSpace,
};
pub use subscription::{
    CategorySubscription, EventScope, EventSubscription, StartAt, SubscribedEvent, Subscription,
    SubscriptionError,
};
pub use temporal::{
    AsOf, BackDatedEvent, Change, DIFFERENCES_MAX, Difference, Differences, EFFECTIVE_EVENTS_MAX,
    Evidence, FieldValue, HISTORY_PAGE_CHANGES_MAX, HistoryCursor, HistoryPage, HistoryQuery, Past,
    PastError, REORDERED_BYTES_MAX, REORDERED_EVENTS_MAX, ReadModelAt, ReadModelError, StateAt,
    StatesCompared, UnserializableState, differences, position_recorded_by, read_model_at,
};
pub use timer::{
    PendingTimer, TIMER_COMMAND_BYTES_MAX, TIMER_NAME_BYTES_MAX, TIMERS_PER_DECISION_MAX,
    TimedCommand, TimerChange, TimerCursor, TimerPage, is_timer_record,
};
pub use transaction::{
    Condition, IdempotentSteps, Step, Steps, TRANSACTION_AGGREGATES_MAX, Transacted,
    TransactionError,
};
pub use upcasters::{
    Fields, OldEvent, UPCAST_EVENTS_MAX, UPCAST_STEPS_MAX, UpcastError, Upcasters,
};
pub use watchdog::StuckCommand;
pub use what_if::{ComparedToLive, WHAT_IF_EVENTS_MAX, WhatIf, WhatIfError};

#[doc(no_inline)]
pub use foldhouse_store::{
    AppendError, BackupOptions, BackupReport, Clock, CopyError, EventStore, EventStoreExt,
    ExpectedVersion, FrameSize, InvalidStreamId, JournalOptions, JournalStore, MemoryStore,
    Metadata, OVERLAY_BYTES_MAX, OpenError, OverlayStore, Page, Position, RawLogLimit, ReadError,
    ReadOnlyJournal, RecordedEvent, RecoveryReport, RestoreReport, SnapshotCriteria, SnapshotStore,
    Store, StreamId, StreamQuery, SystemClock, Timestamp, Until, Version, backup, journal_metrics,
    raw_log_limit, restore,
};
