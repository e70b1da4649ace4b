use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use foldhouse_store::{
    ExpectedVersion, NewEvent, Payload, RecordedEvent, StreamAppend, StreamId, Timestamp,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use uuid::Uuid;

use super::change::{TimerChange, check};
use crate::command::CommandContext;
use crate::command_error::InvalidEvents;
use crate::event_codec::{EventCodecError, decode_content, encode, plain_payload, shared_text};
use crate::event_id::EventIds;

/// What the names of the runtime's own streams start with. No tenant of the user's has this name.
const RESERVED: &str = "~foldhouse/";
const RESERVED_TENANT: &str = "~foldhouse";
const SCHEMA_VERSION: u16 = 1;

/// Whether an event is of the runtime's own stream of timers, and of no aggregate: what aggregates schedule, cancel, and
/// have fired. It stands behind the events that it was recorded with.
///
/// Projections do not get them; who reads the store ([`EventStore::read_all`](crate::EventStore::read_all)) does.
#[must_use]
pub fn is_timer_record(event: &RecordedEvent) -> bool {
    event.stream.as_str().starts_with(RESERVED)
}

/// Whether a tenant's name is the runtime's own.
pub(crate) fn is_reserved(tenant: &str) -> bool {
    tenant == RESERVED_TENANT
}

/// The stream that all timers are recorded in: with one alone, what is new is found by one look.
#[allow(
    clippy::expect_used,
    reason = "a constant, and every test of timers asks for it"
)]
pub(super) static TIMERS_STREAM: LazyLock<StreamId> = LazyLock::new(|| {
    StreamId::new(RESERVED_TENANT, "timer", "all").expect("it is a stream's name")
});
static EVENT_IDS: LazyLock<EventIds> = LazyLock::new(|| EventIds::of(&TIMERS_STREAM));

/// What is recorded of a timer. The persisted contract: names and meanings never change; a new field is optional with a
/// default.
#[allow(
    clippy::enum_variant_names,
    reason = "they are event types, beside those of all aggregates"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TimerEvent {
    TimerScheduled(Scheduled),
    TimerCancelled(Cancelled),
    TimerFired(Fired),
}

/// The id of its event is that of the timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scheduled {
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) command: Arc<str>,
    pub(super) content: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cancelled {
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fired {
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
    /// Which one of this name.
    pub(super) timer: Uuid,
    /// Why the domain said no; that is an outcome, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejected: Option<String>,
}

impl TimerEvent {
    pub(super) fn read(event: &RecordedEvent) -> Result<Self, EventCodecError> {
        decode_content(&event.event_type, plain_payload(event)?)
    }
}

/// By name what is pending from now on.
pub(crate) type ChangedTimers = Vec<(Arc<str>, Option<Uuid>)>;

/// The part of an append that goes to the stream of timers.
#[derive(Default)]
pub(crate) struct TimerRecords {
    events: SmallVec<[NewEvent; 1]>,
}

impl TimerRecords {
    /// What a single decision changes.
    pub(crate) fn of(
        changes: &[TimerChange],
        stream: &StreamId,
        event_count: usize,
        context: &CommandContext,
    ) -> Result<(Self, ChangedTimers), InvalidEvents> {
        let mut records = Self::default();
        let changed = records.add(changes, stream, event_count, context)?;
        Ok((records, changed))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Writes down what a decision of `stream` with so many events changes. Gives the names with what stands under each
    /// from now on.
    pub(crate) fn add(
        &mut self,
        changes: &[TimerChange],
        stream: &StreamId,
        event_count: usize,
        context: &CommandContext,
    ) -> Result<ChangedTimers, InvalidEvents> {
        check(changes, stream, event_count)?;
        changes
            .iter()
            .map(|change| {
                let name = Arc::clone(change.name());
                let id = match change {
                    TimerChange::Schedule {
                        at,
                        command,
                        content,
                        ..
                    } => {
                        let scheduled = TimerEvent::TimerScheduled(Scheduled {
                            stream: stream.clone(),
                            name: Arc::clone(&name),
                            at: *at,
                            command: (*command).into(),
                            content: content.clone().unwrap_or_default(),
                        });
                        Some(self.push(&scheduled, context)?)
                    }
                    TimerChange::Cancel { .. } => {
                        let cancelled = TimerEvent::TimerCancelled(Cancelled {
                            stream: stream.clone(),
                            name: Arc::clone(&name),
                        });
                        self.push(&cancelled, context)?;
                        None
                    }
                };
                Ok((name, id))
            })
            .collect()
    }

    /// Writes down that a timer has fired.
    pub(super) fn fired(
        &mut self,
        fired: Fired,
        context: &CommandContext,
    ) -> Result<(), InvalidEvents> {
        self.push(&TimerEvent::TimerFired(fired), context).map(drop)
    }

    /// Who asked is recorded with it, so that what the timer's command records can be traced back.
    fn push(
        &mut self,
        event: &TimerEvent,
        context: &CommandContext,
    ) -> Result<Uuid, InvalidEvents> {
        let mut payload = Vec::new();
        let event_type = encode(event, &mut payload)?;
        // An append holds far fewer events than u32 counts.
        let index = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let id = EVENT_IDS.id(context.command_id, index);
        let mut recorded =
            NewEvent::new(id, shared_text(event_type), Payload::message_pack(payload));
        recorded.schema_version = SCHEMA_VERSION;
        recorded.correlation_id = context.meta.correlation_id;
        recorded.causation_id = context.meta.causation_id;
        recorded.user.clone_from(&context.meta.user);
        self.events.push(recorded);
        Ok(id)
    }

    pub(crate) fn into_part(self) -> Box<StreamAppend> {
        Box::new(StreamAppend {
            stream: TIMERS_STREAM.clone(),
            expected: ExpectedVersion::Any,
            events: self.events,
        })
    }
}
