//! The table `streams`: where the events of each stream lie in the sealed segments.
//!
//! A chunk holds the places of consecutive events of one stream in one segment. Key (integers big-endian; never
//! renumber):
//!
//! | bytes | what |
//! |---|---|
//! | text of the stream id, `00` | no id holds a zero byte, so chunks of one stream lie side by side and in id order |
//! | version u64 | of the first event in the chunk |
//!
//! Value, followed by its 4-byte checksum:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format 1 |
//! | varint | segment number |
//! | 4 | stamp: the first bytes of the hash of the segment's last frame |
//! | varint | first position of the segment |
//! | varint | count of events |
//! | varint, varint, for each event | positions and bytes since the event before it; the first one counts from the segment's first position and byte 0 |
//!
//! A chunk counts only if a mark vouches for it: the mark has its segment number, its stamp and its first position. What
//! a crash left half done, and what belongs to a journal that was replaced, is passed over as if it were not there.

mod chunk;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod upkeep;
mod walk;

use std::ops::ControlFlow;

pub(super) use self::chunk::{Chunk, STAMP_BYTES, stamp_of};
use self::chunk::{split_key, stream_end};
use self::walk::Chunks;
use super::engine::Table;
use super::segments::{Vouchers, vouches};
use super::{EventPlace, Place, Sidecar};
use crate::error::Fault;
use crate::event_store::Direction;
use crate::position::Version;
use crate::stream_id::StreamId;

/// One stream in one segment: the version of its first event there, and the places of all.
pub(crate) type StreamPlaces<'a> = (&'a StreamId, Version, &'a [EventPlace]);

impl Sidecar {
    /// The places of a stream's events from version `from` up to and including `to`, as far as indexed segments hold
    /// them, in the order of `direction`, at most `limit`.
    ///
    /// # Errors
    /// The index is damaged or has a gap in this stream: it is rebuilt when the store is opened again.
    pub(crate) fn places(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Place>, Fault> {
        let from = from.max(Version::EMPTY.next());
        if limit == 0 || from > to {
            return Ok(Vec::new());
        }
        // Held to the end: a segment that became visible in between would look like a gap.
        let vouchers = self.vouchers();
        match direction {
            Direction::Forward => self.places_forward(&vouchers, stream, from, to, limit),
            Direction::Backward => self.places_backward(&vouchers, stream, from, to, limit),
        }
    }

    fn places_forward(
        &self,
        vouchers: &Vouchers,
        stream: &StreamId,
        from: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<Place>, Fault> {
        let mut places = Vec::new();
        // The chunk that holds `from` is the last one that starts at or before it.
        let start = Chunks::between(self, vouchers, stream, Version::EMPTY, from.next())?
            .backward()?
            .map(|found| found.chunk.first);
        let mut expected = start.unwrap_or(Version::EMPTY.next());
        let mut chunks = Chunks::from(self, vouchers, stream, expected)?;
        while let Some(found) = chunks.forward()? {
            if found.chunk.first != expected {
                return Err(self.gap(stream, expected, found.chunk.first));
            }
            expected = found.chunk.next;
            let outcome = found.read(|place| {
                if place.version > to {
                    return ControlFlow::Break(());
                }
                if place.version >= from {
                    places.push(place);
                }
                if places.len() == limit {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if self.whole(stream, outcome)?.is_break() || expected > to {
                break;
            }
        }
        Ok(places)
    }

    fn places_backward(
        &self,
        vouchers: &Vouchers,
        stream: &StreamId,
        from: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<Place>, Fault> {
        let mut places = Vec::new();
        let mut expected = None;
        let mut chunks = Chunks::between(self, vouchers, stream, Version::EMPTY, to.next())?;
        while let Some(found) = chunks.backward()? {
            let (first, next) = (found.chunk.first, found.chunk.next);
            // `to` may lie behind the end, but not in a gap.
            if expected.is_none()
                && next <= to
                && let Some(behind) = Chunks::from(self, vouchers, stream, to.next())?.forward()?
            {
                expected = Some(behind.chunk.first);
            }
            if let Some(expected) = expected
                && expected != next
            {
                return Err(self.gap(stream, next, expected));
            }
            let mut within = Vec::new();
            let outcome = found.read(|place| {
                if place.version > to {
                    return ControlFlow::Break(());
                }
                if place.version >= from {
                    within.push(place);
                }
                ControlFlow::Continue(())
            });
            // Breaking off at `to` is fine, too.
            let _ = self.whole(stream, outcome)?;
            places.extend(within.into_iter().rev().take(limit - places.len()));
            if places.len() == limit || first <= from {
                return Ok(places);
            }
            expected = Some(first);
        }
        match expected {
            Some(first) => Err(self.gap(stream, Version::EMPTY.next(), first)),
            None => Ok(places),
        }
    }

    /// The version of the last event of a stream in the indexed segments; [`Version::EMPTY`] if they hold none.
    pub(crate) fn stream_version(&self, stream: &StreamId) -> Result<Version, Fault> {
        let vouchers = self.vouchers();
        let last = Chunks::from(self, &vouchers, stream, Version::EMPTY)?.backward()?;
        Ok(last.map_or(Version::EMPTY, |found| {
            Version::new(found.chunk.next.get().saturating_sub(1))
        }))
    }

    /// The streams of one aggregate type of a tenant that have events in the indexed segments, in the order of their
    /// ids, behind `after`, at most `limit`.
    pub(crate) fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<StreamId>, Fault> {
        let low = format!("{tenant}/{aggregate_type}/").into_bytes();
        // `0` is the byte behind `/`: what lies below has the whole prefix.
        let high = format!("{tenant}/{aggregate_type}0").into_bytes();
        let low = after.map_or(low.clone(), |after| stream_end(after).max(low));
        let vouchers = self.vouchers();
        let mut streams: Vec<StreamId> = Vec::new();
        let mut entries = self.engine.range(Table::Streams, &low, &high)?;
        while streams.len() < limit {
            let Some((key, value)) = entries.forward()? else {
                break;
            };
            let (stream, chunk) = self.parsed(&key, &value)?;
            if streams.last() == Some(&stream) {
                // Leap over the chunks that are left of it.
                let behind = stream_end(&stream);
                entries = self.engine.range(Table::Streams, &behind, &high)?;
            } else if vouches(&vouchers, &chunk) {
                streams.push(stream);
            }
        }
        Ok(streams)
    }

    fn parsed(&self, key: &[u8], value: &[u8]) -> Result<(StreamId, Chunk), Fault> {
        split_key(key)
            .and_then(|(stream, _)| stream.parse().ok())
            .zip(Chunk::parse(key, value))
            .ok_or_else(|| {
                let text = String::from_utf8_lossy(key);
                self.engine
                    .damaged(format!("the index of stream {text:?} cannot be read"))
            })
    }

    fn whole<T>(&self, stream: &StreamId, read: Option<T>) -> Result<T, Fault> {
        read.ok_or_else(|| {
            self.engine
                .damaged(format!("the index of stream {stream} cannot be read"))
        })
    }

    fn gap(&self, stream: &StreamId, expected: Version, found: Version) -> Fault {
        self.engine.damaged(format!(
            "the index of stream {stream} goes on at version {found} where version {expected} should be"
        ))
    }
}

#[cfg(test)]
mod tests;
