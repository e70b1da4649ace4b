//! Where a page of a query ends, as text: what is in it, a signature over that, and base64 (URL-safe, without padding)
//! around both. Integers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version 1 |
//! | 4 | id of the key that signed it |
//! | 8 | when it expires, microseconds since 1970, signed |
//! | 16 | hash of whose query it is |
//! | 16 | hash of filter and order |
//! | 8, 8 | lowest and highest position that are left |
//! | 0 or 16 | ordered by effective time: effective time and position of the event given last |
//! | 32 | BLAKE3, keyed, of all before |

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use foldhouse_store::{Clock, Position, Timestamp};

use super::cursor_keys::{CursorKey, Cursors};
use super::{EventOrder, EventQuery, EventQueryError};

const VERSION: u8 = 1;
const HASH_BYTES: usize = 16;
/// Longer than every cursor: what is longer is not read at all.
const TEXT_BYTES_MAX: usize = 256;

/// Where a page of a query ends and the next one begins: opaque text, fit for a URL. It is signed: it cannot be altered,
/// and serves only the query and the tenant that it came from, until it expires. It is not secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventCursor(String);

impl EventCursor {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for EventCursor {
    /// Takes text that a page gave; it is checked when the query is made.
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What is left of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) from: Position,
    pub(super) to: Position,
    /// The event that was given last, where the order is not that of positions.
    pub(super) behind: Option<(Timestamp, Position)>,
}

/// What a cursor is bound to.
struct Binding {
    tenant: [u8; HASH_BYTES],
    query: [u8; HASH_BYTES],
}

impl Binding {
    fn of(query: &EventQuery) -> Self {
        let mut tenant = blake3::Hasher::new();
        match &query.tenant {
            Some(name) => tenant.update(&[1]).update(name.as_bytes()),
            None => tenant.update(&[0]),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[match query.order {
            EventOrder::OldestFirst => 1,
            EventOrder::NewestFirst => 2,
            EventOrder::EarliestEffective => 3,
            EventOrder::LatestEffective => 4,
        }]);
        if let Some(filter) = &query.filter {
            filter.hash_into(&mut hasher);
        }
        Self {
            tenant: short(&tenant),
            query: short(&hasher),
        }
    }
}

fn short(hasher: &blake3::Hasher) -> [u8; HASH_BYTES] {
    let mut short = [0; HASH_BYTES];
    hasher.finalize_xof().fill(&mut short);
    short
}

impl Cursors {
    /// The cursor of a query's next page.
    pub(super) fn write(&self, query: &EventQuery, place: Place, clock: &dyn Clock) -> EventCursor {
        let key = self.keys(clock).newest();
        let binding = Binding::of(query);
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&key.id());
        let expires_at = self.expiry(clock.now());
        bytes.extend_from_slice(&expires_at.unix_micros().to_le_bytes());
        bytes.extend_from_slice(&binding.tenant);
        bytes.extend_from_slice(&binding.query);
        bytes.extend_from_slice(&place.from.get().to_le_bytes());
        bytes.extend_from_slice(&place.to.get().to_le_bytes());
        if let Some((effective_at, position)) = place.behind {
            bytes.extend_from_slice(&effective_at.unix_micros().to_le_bytes());
            bytes.extend_from_slice(&position.get().to_le_bytes());
        }
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(signature.as_bytes());
        EventCursor(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Where a query goes on, if the cursor is one of ours, is the query's own and has not expired.
    pub(super) fn read(
        &self,
        query: &EventQuery,
        cursor: &EventCursor,
        clock: &dyn Clock,
    ) -> Result<Place, EventQueryError> {
        let bytes = self.signed(cursor, clock);
        let signed = bytes.and_then(|bytes| Signed::read(&bytes));
        let signed = signed.ok_or(EventQueryError::CursorInvalid)?;
        let binding = Binding::of(query);
        if signed.tenant != binding.tenant {
            return Err(EventQueryError::CursorOfAnotherTenant);
        }
        if signed.query != binding.query {
            return Err(EventQueryError::CursorOfAnotherQuery);
        }
        if clock.now() >= signed.expires_at {
            let at = signed.expires_at;
            return Err(EventQueryError::CursorExpired { at });
        }
        Ok(signed.place)
    }

    /// The bytes of a cursor, if a key that is accepted has signed them.
    fn signed(&self, cursor: &EventCursor, clock: &dyn Clock) -> Option<Vec<u8>> {
        if cursor.0.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&cursor.0).ok()?;
        let (signed, signature) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
        let signature = blake3::Hash::from_bytes(*signature);
        let id = *signed.get(1..)?.first_chunk::<{ CursorKey::ID_BYTES }>()?;
        // Comparing two hashes takes the same time wherever they differ.
        let mut keys = self.keys(clock).with_id(id);
        let is_ours = keys.any(|key| key.sign(signed) == signature);
        drop(keys);
        let len = signed.len();
        bytes.truncate(len);
        is_ours.then_some(bytes)
    }
}

/// What stands in a cursor.
struct Signed {
    expires_at: Timestamp,
    tenant: [u8; HASH_BYTES],
    query: [u8; HASH_BYTES],
    place: Place,
}

impl Signed {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let [VERSION, _key @ ..] = take::<{ 1 + CursorKey::ID_BYTES }>(&mut bytes)? else {
            return None;
        };
        let time = |bytes| Timestamp::from_unix_micros(i64::from_le_bytes(bytes));
        let position = |bytes| Position::new(u64::from_le_bytes(bytes));
        Some(Self {
            expires_at: time(take(&mut bytes)?),
            tenant: take(&mut bytes)?,
            query: take(&mut bytes)?,
            place: Place {
                from: position(take(&mut bytes)?),
                to: position(take(&mut bytes)?),
                behind: match bytes.is_empty() {
                    true => None,
                    false => Some((time(take(&mut bytes)?), position(take(&mut bytes)?))),
                },
            },
        })
        .filter(|_| bytes.is_empty())
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests;
