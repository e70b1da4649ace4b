use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{
    Append, CommandStamp, ExpectedVersion, NewEvent, OnSettled, Payload, Store, StreamAppend,
    Verdict, Version,
};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::append_limits;
use crate::command::{CommandContext, CommandMeta};
use crate::command_error::InvalidEvents;
use crate::command_ids::CommandIds;
use crate::event_codec::{encode, shared_text, version_to_record};
use crate::event_id::EventIds;
use crate::hydrate::Hydrated;
use crate::meters::Sampling;
use crate::refusal::{PanickedIn, panic_message};
use crate::slot::Slot;
use crate::snapshots::{Cadence, SnapshotJob};
use crate::timer::{ChangedTimers, KnownTimers};
use crate::transaction::Borrower;

/// Events as they go to the store.
pub(crate) type Encoded = SmallVec<[NewEvent; 1]>;

/// Whether the room that a state takes is looked at on the way from one version to the other: at 1, 2, 4, ... and then
/// every 64 events.
fn is_measured(before: u64, after: u64) -> bool {
    before / 64 != after / 64 || (after < 64 && before.leading_zeros() != after.leading_zeros())
}

/// An aggregate's state in memory, which runs ahead of what is durable.
pub(crate) struct Cell<A: Aggregate> {
    slot: Arc<Slot<A>>,
    epoch: u64,
    state: A,
    version: Version,
    snapshots: Cadence,
    command_ids: CommandIds,
    event_ids: EventIds,
    /// Where payloads are written before their length is known.
    scratch: Vec<u8>,
    sampling: Sampling,
    timers: KnownTimers,
    /// Who gets the aggregate lent next, before its actor does anything else.
    borrower: Option<Borrower<A>>,
}

impl<A: Aggregate> Cell<A> {
    pub(crate) fn new(slot: Arc<Slot<A>>, epoch: u64, hydrated: Hydrated<A>) -> Self {
        let policy = slot.shared.options.snapshots.of(A::TYPE);
        Self {
            snapshots: Cadence::new(policy, &hydrated),
            epoch,
            state: hydrated.state,
            version: hydrated.version,
            command_ids: CommandIds::new(&*slot.shared.options.clock),
            event_ids: EventIds::of(&slot.stream),
            scratch: Vec::new(),
            sampling: Sampling::default(),
            timers: KnownTimers::since(slot.shared.store.head()),
            borrower: None,
            slot,
        }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<A>> {
        &self.slot
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.slot.shared.store
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn state(&self) -> &A {
        &self.state
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Whether everything that the state rests on is durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.slot.is_durable(self.version)
    }

    pub(crate) fn check_void(&self) -> Result<(), Ended> {
        if self.slot.is_voided(self.epoch) {
            return Err(Ended::Voided(self.slot.stream.clone()));
        }
        Ok(())
    }

    /// What a command that is decided now may know.
    pub(crate) fn context(
        &mut self,
        command_id: Option<Uuid>,
        meta: Option<Box<CommandMeta>>,
    ) -> CommandContext {
        let now = self.slot.shared.options.clock.now();
        CommandContext {
            now,
            command_id: command_id.unwrap_or_else(|| self.command_ids.next(now)),
            meta: meta.map(|meta| *meta).unwrap_or_default(),
        }
    }

    /// When the next decision starts, if it is one of those that are timed.
    pub(crate) fn decide_timer(&mut self) -> Option<std::time::Instant> {
        self.sampling.start()
    }

    /// Writes the events as they go to the store behind `encoded`, where they need not be moved again. Does not touch the
    /// state; the outer error is what a panic said.
    pub(crate) fn encode(
        &mut self,
        events: &[A::Event],
        context: &mut CommandContext,
        encoded: &mut Encoded,
    ) -> Result<Result<(), InvalidEvents>, String> {
        // Unwind safe: what is half written is never read.
        let encoding = AssertUnwindSafe(|| self.encode_all(events, context, encoded));
        catch_unwind(encoding).map_err(panic_message)
    }

    fn encode_all(
        &mut self,
        events: &[A::Event],
        context: &mut CommandContext,
        encoded: &mut Encoded,
    ) -> Result<(), InvalidEvents> {
        let meta = &mut context.meta;
        append_limits::check(&self.slot.stream, events.len(), meta)?;
        encoded.reserve(events.len());
        let last = events.len().saturating_sub(1);
        for (index, event) in events.iter().enumerate() {
            let event_type = encode(event, &mut self.scratch)?;
            append_limits::check_event_type(&self.slot.stream, event_type)?;
            let metadata = if index == last {
                std::mem::take(&mut meta.metadata)
            } else {
                meta.metadata.clone()
            };
            // An append holds far fewer events than u32 counts.
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            encoded.push(NewEvent {
                id: self.event_ids.id(context.command_id, index),
                event_type: shared_text(event_type),
                schema_version: version_to_record::<A>(event, event_type)?,
                effective_at: meta.effective_at,
                correlation_id: meta.correlation_id,
                causation_id: meta.causation_id,
                user: meta.user.clone(),
                metadata,
                payload: Payload::message_pack(Bytes::copy_from_slice(&self.scratch)),
            });
        }
        Ok(())
    }

    pub(crate) fn timers(&self) -> &KnownTimers {
        &self.timers
    }

    /// Takes in what a decision that is about to be applied changes about the aggregate's timers.
    pub(crate) fn note_timers(&mut self, changes: ChangedTimers) {
        let durable_head = self.is_durable().then(|| self.store().head());
        self.timers.note(changes, durable_head);
    }

    /// Applies the events to the state. After a panic the state is worth nothing and the actor has to end.
    pub(crate) fn apply(&mut self, events: &[A::Event]) -> Result<(), String> {
        // Unwind safe: on a panic the state is thrown away.
        catch_unwind(AssertUnwindSafe(|| {
            for event in events {
                self.state.apply(event);
            }
        }))
        .map_err(panic_message)?;
        let before = self.version.get();
        self.version = Version::new(before.saturating_add(events.len() as u64));
        if self.slot.shared.residency.measures() && is_measured(before, self.version.get()) {
            self.slot.resized(self.slot.state_bytes(&self.state));
        }
        Ok(())
    }

    /// Submits events that are already applied. If they are refused, the state has what will never be there, and the
    /// actor ends before it decides anything on it: another writer's events could stand at the versions it counts on.
    pub(crate) fn submit(
        &self,
        events: Encoded,
        stamp: Option<Box<CommandStamp>>,
        timers: Option<Box<StreamAppend>>,
        settled: OnSettled,
    ) -> Result<(), Ended> {
        let before = self.version.get().saturating_sub(events.len() as u64);
        let mut append = self.append(Version::new(before), events, stamp);
        let Some(timers) = timers else {
            return self.unless_refused(self.store().submit(append, settled));
        };
        append.streams.push(*timers);
        let shared = Arc::clone(&self.slot.shared);
        let settled: OnSettled = Box::new(move |outcome| {
            settled(outcome);
            shared.timers.changed();
        });
        self.unless_refused(self.store().submit(append, settled))
    }

    /// Asks the store to say when everything that the state rests on is durable.
    pub(crate) fn submit_check(&self, settled: OnSettled) -> Result<(), Ended> {
        let append = self.append(self.version, SmallVec::new(), None);
        self.unless_refused(self.store().submit(append, settled))
    }

    fn unless_refused(&self, verdict: Verdict) -> Result<(), Ended> {
        match verdict {
            Verdict::Taken => Ok(()),
            Verdict::Refused => Err(Ended::Voided(self.slot.stream.clone())),
        }
    }

    fn append(
        &self,
        expected: Version,
        events: Encoded,
        command: Option<Box<CommandStamp>>,
    ) -> Append {
        let part = StreamAppend {
            stream: self.slot.stream.clone(),
            expected: ExpectedVersion::Exact(expected),
            events,
        };
        let mut streams = SmallVec::new();
        streams.push(part);
        Append { streams, command }
    }

    /// A snapshot of the state as it is now, if one is due. To be saved once the last of `events` is durable.
    pub(crate) fn snapshot_if_due(&mut self, events: &[NewEvent]) -> Option<Box<SnapshotJob<A>>> {
        let clock = &*self.slot.shared.options.clock;
        if !self.snapshots.is_due(self.version, events, clock) {
            return None;
        }
        let last = events.last()?;
        let job = SnapshotJob::begin(&self.slot, &self.state, self.version, last.id)?;
        self.snapshots.taken(self.version, clock);
        Some(Box::new(job))
    }

    /// The aggregate leaves memory, and a snapshot of it stays if it would take long to bring it back without one.
    pub(crate) fn passivate(self) {
        // What is in flight could still come to nothing.
        let is_final = self.is_durable() && !self.slot.is_voided(self.epoch);
        if self.snapshots.is_due_on_passivation(self.version)
            && is_final
            && let Some(job) = SnapshotJob::of_passivated(&self.slot, self.state, self.version)
        {
            job.start();
        }
    }

    /// Lets the actor lend the aggregate before it does anything else.
    pub(crate) fn lend_to(&mut self, borrower: Borrower<A>) {
        self.borrower = Some(borrower);
    }

    pub(crate) fn borrower(&mut self) -> Option<Borrower<A>> {
        self.borrower.take()
    }

    pub(crate) fn panicked(&self, step: PanickedIn, message: String) -> Ended {
        Ended::Panicked {
            stream: self.slot.stream.clone(),
            step,
            message,
        }
    }
}
