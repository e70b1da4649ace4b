use bytes::Bytes;
use foldhouse_store::{Metadata, Payload, Position, RecordedEvent, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::golden::Stored;
use crate::aggregate::Aggregate;
use crate::upcasters::Fields;

/// An event of `A` as an earlier build recorded it: the first one of a stream, at 1970-01-01. For tests of upcasters and
/// projections.
///
/// ```
/// # use foldhouse::{Aggregate, Fields, Upcasters, decode_event, testing::recorded};
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # struct Counter(u64);
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// # enum CounterEvent { Added { by: u64 } }
/// # impl Aggregate for Counter {
/// #     const TYPE: &'static str = "counter";
/// #     type Event = CounterEvent;
/// #     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
/// #     fn upcasters() -> &'static Upcasters<CounterEvent> {
/// #         static UPCASTERS: std::sync::LazyLock<Upcasters<CounterEvent>> = std::sync::LazyLock::new(|| {
/// #             Upcasters::new().on("Added", 1, |fields| fields.rename("amount", "by"))
/// #         });
/// #         &UPCASTERS
/// #     }
/// # }
/// let mut fields = Fields::none();
/// fields.set("amount", &40)?;
/// let old = recorded::<Counter>("Added", 1, &fields);
/// let today = decode_event::<Counter>(&old).expect("a counter's event")?;
/// assert_eq!(today, CounterEvent::Added { by: 40 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// If the fields cannot be written down, or `A::TYPE` cannot stand in a stream id.
#[must_use]
#[track_caller]
pub fn recorded<A: Aggregate>(
    event_type: &str,
    schema_version: u16,
    fields: &Fields,
) -> RecordedEvent {
    match fields.clone().into_payload() {
        Ok(payload) => first_event::<A>(event_type, schema_version, payload),
        Err(error) => panic!("the fields of {event_type} cannot be written down: {error}"),
    }
}

/// A golden event as the one of this version of its stream.
pub(super) fn recorded_payload<A: Aggregate>(event: &Stored, version: u64) -> RecordedEvent {
    let payload = Bytes::copy_from_slice(&event.payload);
    let mut recorded = first_event::<A>(&event.event_type, event.schema_version, payload);
    recorded.version = Version::new(version);
    recorded.position = Position::new(version);
    recorded
}

fn first_event<A: Aggregate>(
    event_type: &str,
    schema_version: u16,
    payload: Bytes,
) -> RecordedEvent {
    let stream = match StreamId::new("golden", A::TYPE, "1") {
        Ok(stream) => stream,
        Err(error) => panic!("{error}"),
    };
    RecordedEvent {
        position: Position::new(1),
        stream,
        version: Version::new(1),
        id: Uuid::from_u128(1),
        event_type: event_type.into(),
        schema_version,
        recorded_at: Timestamp::default(),
        effective_at: Timestamp::default(),
        correlation_id: None,
        causation_id: None,
        user: None,
        metadata: Metadata::new(),
        payload: Payload::message_pack(payload),
    }
}
