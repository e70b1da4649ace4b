//! What the events of one segment have in common, in memory.

use std::collections::HashMap;

use uuid::Uuid;

use super::EventKind;
use crate::position::Position;
use crate::sidecar::EventPlace;

/// What the events of one segment have in common, and where they are: by kind, and by correlation id.
///
/// It is made by reading the segment, beside the thread that writes: for the active segment in memory and when somebody
/// looks for something, for a sealed one by the indexing thread, which puts it into the sidecar.
#[derive(Debug)]
pub(crate) struct SegmentFacts {
    pub(crate) first_position: Position,
    /// The position of the next event that it takes.
    pub(crate) next_position: Position,
    /// By kind (see [`kind_key`]) where its events are, in order.
    pub(crate) kinds: HashMap<Box<[u8]>, Vec<EventPlace>, ahash::RandomState>,
    /// Where the events with a correlation id are, in order, each with the key of the id.
    pub(crate) correlations: Vec<(CorrelationKey, EventPlace)>,
    /// A buffer for keys.
    key: Vec<u8>,
}

/// What a correlation id is found by. Two ids may have one key, so the events that are found are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CorrelationKey([u8; Self::BYTES]);

impl CorrelationKey {
    /// Among half a million ids of a segment one in two million others has the key of one.
    pub(crate) const BYTES: usize = 5;

    pub(crate) fn of(id: Uuid) -> Self {
        let (high, low) = id.as_u64_pair();
        let mixed =
            (high.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ low).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let [a, b, c, d, e, ..] = mixed.to_be_bytes();
        Self([a, b, c, d, e])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Begins a kind's key with its tenant, and the aggregate type if that is given, too.
pub(crate) fn put_kind_prefix(key: &mut Vec<u8>, tenant: &str, aggregate_type: Option<&str>) {
    key.clear();
    key.extend_from_slice(tenant.as_bytes());
    key.push(0);
    if let Some(aggregate_type) = aggregate_type {
        key.extend_from_slice(aggregate_type.as_bytes());
        key.push(0);
    }
}

/// Whether a kind's key is one of those that are looked for. Tenant and aggregate type hold no zero byte.
pub(crate) fn kind_matches(key: &[u8], kind: &EventKind) -> Option<bool> {
    let mut parts = key.splitn(3, |byte| *byte == 0);
    let mut part = || std::str::from_utf8(parts.next()?).ok();
    Some(kind.matches(part()?, part()?, part()?))
}

impl SegmentFacts {
    pub(crate) fn new(first_position: Position) -> Self {
        Self {
            first_position,
            next_position: first_position,
            kinds: HashMap::default(),
            correlations: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Takes the next event.
    pub(crate) fn take_event(&mut self, event: &EventFacts<'_>, place: EventPlace) {
        let aggregate_type = Some(event.aggregate_type);
        put_kind_prefix(&mut self.key, event.tenant, aggregate_type);
        self.key.extend_from_slice(event.event_type.as_bytes());
        match self.kinds.get_mut(self.key.as_slice()) {
            Some(places) => places.push(place),
            None => {
                self.kinds.insert(self.key.as_slice().into(), vec![place]);
            }
        }
        if let Some(id) = event.correlation_id {
            self.correlations.push((CorrelationKey::of(id), place));
        }
        self.next_position = self.next_position.next();
    }

    /// How many events it knows of.
    pub(crate) fn event_count(&self) -> u64 {
        self.next_position.get() - self.first_position.get()
    }
}

/// What of one event is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventFacts<'e> {
    pub(crate) tenant: &'e str,
    pub(crate) aggregate_type: &'e str,
    pub(crate) event_type: &'e str,
    pub(crate) correlation_id: Option<Uuid>,
}
