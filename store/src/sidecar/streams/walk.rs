//! Walks over the chunks of one stream, past those that nothing vouches for.

use std::ops::ControlFlow;

use super::super::engine::{Bytes, Range, Table};
use super::super::segments::{Vouchers, vouches};
use super::super::{Place, Sidecar};
use super::chunk::{Chunk, chunk_key, stream_end};
use crate::error::Fault;
use crate::position::Version;
use crate::stream_id::StreamId;

/// A chunk and the bytes that its places are in.
pub(super) struct Found {
    pub(super) chunk: Chunk,
    value: Bytes,
}

impl Found {
    /// Gives the places in order until `each` breaks; `None` if they cannot be read.
    pub(super) fn read(
        &self,
        each: impl FnMut(Place) -> ControlFlow<()>,
    ) -> Option<ControlFlow<()>> {
        self.chunk.read(&self.value, each)
    }
}

/// Chunks of one stream, from either end.
pub(super) struct Chunks<'s> {
    sidecar: &'s Sidecar,
    vouchers: &'s Vouchers,
    stream: &'s StreamId,
    entries: Range<'s>,
}

impl<'s> Chunks<'s> {
    /// Those whose first version is `low` or higher.
    pub(super) fn from(
        sidecar: &'s Sidecar,
        vouchers: &'s Vouchers,
        stream: &'s StreamId,
        low: Version,
    ) -> Result<Self, Fault> {
        let low = chunk_key(stream, low);
        let entries = sidecar
            .engine
            .range(Table::Streams, &low, &stream_end(stream))?;
        Ok(Self {
            sidecar,
            vouchers,
            stream,
            entries,
        })
    }

    /// Those whose first version is `low` or higher, but lower than `high`.
    pub(super) fn between(
        sidecar: &'s Sidecar,
        vouchers: &'s Vouchers,
        stream: &'s StreamId,
        low: Version,
        high: Version,
    ) -> Result<Self, Fault> {
        let (low, high) = (chunk_key(stream, low), chunk_key(stream, high));
        let entries = sidecar.engine.range(Table::Streams, &low, &high)?;
        Ok(Self {
            sidecar,
            vouchers,
            stream,
            entries,
        })
    }

    /// The next one from the low end.
    pub(super) fn forward(&mut self) -> Result<Option<Found>, Fault> {
        while let Some(entry) = self.entries.forward()? {
            if let Some(found) = self.vouched(entry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The next one from the high end.
    pub(super) fn backward(&mut self) -> Result<Option<Found>, Fault> {
        while let Some(entry) = self.entries.backward()? {
            if let Some(found) = self.vouched(entry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn vouched(&self, (key, value): (Bytes, Bytes)) -> Result<Option<Found>, Fault> {
        let chunk = self
            .sidecar
            .whole(self.stream, Chunk::parse(&key, &value))?;
        Ok(vouches(self.vouchers, &chunk).then_some(Found { chunk, value }))
    }
}
