use std::fmt;

use foldhouse_store::{Position, RecordedEvent, StreamId, Timestamp, Version};
use std::ops::ControlFlow;

use super::as_of::AsOf;
use super::error::PastError;
use super::past::Past;
use super::walk::Walk;
use crate::aggregate::Aggregate;

/// What an answer rests on, so that somebody else can check it: which events, and a digest over every byte of them.
///
/// Whoever has a copy of the journal (a backup, the journal read beside its writer) makes the same from it and compares.
/// That the journal itself is as it was written is what `verify` checks, by the hash chain over its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The stream.
    pub stream: StreamId,
    /// The last version that had been recorded at the moment.
    pub version: Version,
    /// How many events count.
    pub events: u64,
    /// The lowest and the highest of their positions; `None` without events.
    pub positions: Option<(Position, Position)>,
    /// When the last of them was recorded.
    pub last_recorded_at: Option<Timestamp>,
    /// The BLAKE3 digest over all facts and the payload of each event, in the order in which they are folded.
    pub digest: [u8; 32],
}

impl Evidence {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        blake3::Hash::from_bytes(self.digest).to_hex().to_string()
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            version,
            events,
            ..
        } = self;
        write!(f, "{events} events of {stream} up to version {version}")?;
        if let Some((first, last)) = self.positions {
            write!(f, ", positions {first} to {last}")?;
        }
        write!(f, ", BLAKE3 {}", self.digest_hex())
    }
}

impl<A: Aggregate> Past<A> {
    /// The events behind the state at a moment, and a digest over them. All of them are read.
    ///
    /// # Errors
    /// As for [`Past::state`]; the events are not decoded.
    pub async fn evidence(&self, as_of: AsOf) -> Result<Evidence, PastError> {
        let pinned = self.pin(as_of).await?;
        let (sequence, held) = self.sequence(pinned).await?;
        let events = sequence.len();
        let mut walk = Walk::<A>::at(&self.source, sequence, held, 0).await?;
        let mut hasher = blake3::Hasher::new_derive_key("foldhouse 2026 evidence of an aggregate");
        let mut positions = None;
        let mut last_recorded_at = None;
        let take = |_: &mut A, event: &RecordedEvent| {
            add(&mut hasher, event);
            let (first, last) = positions.unwrap_or((event.position, event.position));
            positions = Some((first.min(event.position), last.max(event.position)));
            last_recorded_at = last_recorded_at.max(Some(event.recorded_at));
            Ok(ControlFlow::Continue(()))
        };
        walk.advance(events, take).await?;
        Ok(Evidence {
            stream: self.source.stream.clone(),
            version: pinned.version,
            events,
            positions,
            last_recorded_at,
            digest: *hasher.finalize().as_bytes(),
        })
    }
}

/// Every part with its length, so that no two events give the same bytes.
fn add(hasher: &mut blake3::Hasher, event: &RecordedEvent) {
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(event.stream.as_str().as_bytes());
    add(&event.version.get().to_le_bytes());
    add(&event.position.get().to_le_bytes());
    add(event.id.as_bytes());
    add(event.event_type.as_bytes());
    add(&event.schema_version.to_le_bytes());
    add(&event.recorded_at.unix_micros().to_le_bytes());
    add(&event.effective_at.unix_micros().to_le_bytes());
    for id in [event.correlation_id, event.causation_id] {
        add(id.as_ref().map_or(&[][..], |id| id.as_bytes()));
    }
    add(event.user.as_deref().unwrap_or_default().as_bytes());
    add(&(event.metadata.len() as u64).to_le_bytes());
    for (key, value) in &event.metadata {
        add(key.as_bytes());
        add(value.as_bytes());
    }
    add(&[event.payload.codec.byte()]);
    add(&event
        .payload
        .key_id
        .map_or(0, |key| key.get())
        .to_le_bytes());
    add(&event.payload.bytes);
}
