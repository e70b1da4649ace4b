//! Events that a projection has set aside, kept beside its rows.

use std::collections::{BTreeMap, BTreeSet};

use foldhouse_store::{Change, Position, RecordedEvent, StreamId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use super::store_keys;
use crate::event_codec::decode_value;

/// The most of a reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// An event that a projection could not apply, and went on without: see
/// [`FailurePolicy::set_aside`](crate::FailurePolicy::set_aside).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where the event stands.
    #[serde(with = "position_as_number")]
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    #[serde(with = "version_as_number")]
    pub version: Version,
    /// Its type.
    pub event_type: String,
    /// Why it could not be applied, the last time that it was tried.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was set aside, by the runtime's clock.
    pub set_aside_at: Timestamp,
}

impl DeadLetter {
    pub(super) fn new(event: &RecordedEvent, reason: &str, attempts: u32, at: Timestamp) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            version: event.version,
            event_type: event.event_type.to_string(),
            reason: brief(reason),
            attempts,
            set_aside_at: at,
        }
    }

    pub(super) fn failed_again(&mut self, reason: &str) {
        self.reason = brief(reason);
        self.attempts = self.attempts.saturating_add(1);
    }
}

impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "event {} ({} of {}, version {}) was set aside after {} attempts: {}",
            self.position, self.event_type, self.stream, self.version, self.attempts, self.reason
        )
    }
}

fn brief(reason: &str) -> String {
    let fits = (0..=REASON_BYTES_MAX.min(reason.len()))
        .rev()
        .find_map(|end| reason.get(..end));
    fits.unwrap_or_default().to_owned()
}

/// What a projection has set aside, and what of it the store does not know yet.
#[derive(Clone, Debug, Default)]
pub(super) struct DeadLetters {
    letters: BTreeMap<Position, DeadLetter>,
    changed: BTreeSet<Position>,
    committing: BTreeSet<Position>,
}

impl DeadLetters {
    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(super) fn list(&self) -> Vec<DeadLetter> {
        self.letters.values().cloned().collect()
    }

    pub(super) fn get(&self, position: Position) -> Option<&DeadLetter> {
        self.letters.get(&position)
    }

    /// Keeps a letter, in place of the one that was there.
    pub(super) fn put(&mut self, letter: DeadLetter) {
        self.changed.insert(letter.position);
        self.letters.insert(letter.position, letter);
    }

    pub(super) fn remove(&mut self, position: Position) -> bool {
        let was_there = self.letters.remove(&position).is_some();
        if was_there {
            self.changed.insert(position);
        }
        was_there
    }

    /// Puts in a letter that the store keeps already. False if it cannot be read.
    pub(super) fn load(&mut self, value: &[u8]) -> Result<(), String> {
        let letter: DeadLetter = decode_value(value)?;
        self.letters.insert(letter.position, letter);
        Ok(())
    }

    pub(super) fn change_count(&self) -> usize {
        self.changed.len()
    }

    /// What the store is to keep of it.
    pub(super) fn changes(&self) -> Result<Vec<Change>, String> {
        let change = |position: &Position| {
            let value = self.letters.get(position).map(rmp_serde::to_vec_named);
            Ok(Change {
                key: store_keys::dead_letter(*position),
                value: value
                    .transpose()
                    .map_err(|error| format!("a dead letter's encoding: {error}"))?,
            })
        };
        self.changed.iter().map(change).collect()
    }

    /// All changes are on their way to the store.
    pub(super) fn begin_commit(&mut self) {
        self.committing = std::mem::take(&mut self.changed);
    }

    /// The store keeps what was on its way, or does not: then it is to be sent again.
    pub(super) fn end_commit(&mut self, kept: bool) {
        let committing = std::mem::take(&mut self.committing);
        if !kept {
            self.changed.extend(committing);
        }
    }
}

mod position_as_number {
    use foldhouse_store::Position;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        at: &Position,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(at.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Position, D::Error> {
        u64::deserialize(from).map(Position::new)
    }
}

mod version_as_number {
    use foldhouse_store::Version;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(at.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Version, D::Error> {
        u64::deserialize(from).map(Version::new)
    }
}
