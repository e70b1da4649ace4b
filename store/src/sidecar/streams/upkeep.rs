//! Writes the chunks of a segment, removes them, and looks whether they are all there.

use std::collections::BTreeMap;

use super::super::engine::{Bytes, Table};
use super::super::segments::vouches;
use super::super::value::CheckSum;
use super::super::{SegmentMark, Sidecar};
use super::StreamPlaces;
use super::chunk::{Chunk, ChunkWriter};
use crate::error::Fault;
use crate::stream_id::StreamId;

/// How many chunks are removed in one go.
const REMOVED_AT_ONCE: usize = 1_000;

/// Above every key: no text starts with this byte.
const TABLE_END: [u8; 1] = [u8::MAX];

impl Sidecar {
    /// The indexed segments whose chunks are not all there; indexing them again repairs them.
    ///
    /// The engine leaves out without a word what it cannot read when it opens. This reads both tables to find that,
    /// so it is for the background and for a check by hand.
    pub(crate) fn damaged_segments(&self) -> Result<Vec<u64>, Fault> {
        let vouchers = self.vouchers().clone();
        let mut found = BTreeMap::<u64, CheckSum>::new();
        let mut entries = self.engine.range(Table::Streams, &[], &TABLE_END)?;
        while let Some((key, value)) = entries.forward()? {
            // One that cannot be read is missed below.
            if let Some(chunk) = Chunk::parse(&key, &value)
                && vouches(&vouchers, &chunk)
            {
                let sum = found.entry(chunk.segment).or_default();
                sum.add(&value);
            }
        }
        self.add_command_sums(&vouchers, &mut found)?;
        Ok(vouchers
            .into_iter()
            .filter(|(number, voucher)| {
                found.get(number).copied().unwrap_or_default() != voucher.chunks
            })
            .map(|(number, _)| number)
            .collect())
    }

    /// Writes the chunks of one segment.
    ///
    /// One by one, in the order of their keys: the engine then works on one page at a time, which is twice as fast as
    /// any other order. A batch would not be in order, and would stop all readers; the mark makes it atomic anyway.
    pub(in crate::sidecar) fn put_streams<'a>(
        &self,
        mark: &SegmentMark,
        streams: &mut dyn Iterator<Item = StreamPlaces<'a>>,
    ) -> Result<CheckSum, Fault> {
        let mut streams: Vec<StreamPlaces<'a>> = streams.collect();
        streams.sort_unstable_by_key(|(stream, ..)| *stream);
        let mut sum = CheckSum::default();
        let mut writer = ChunkWriter::new(mark);
        let mut previous: Option<&StreamId> = None;
        for (stream, first, places) in streams {
            if previous == Some(stream) {
                return Err(Fault::new(format!(
                    "segment {} cannot be indexed: stream {stream} comes twice",
                    mark.number
                )));
            }
            previous = Some(stream);
            writer.write(stream, first, places, |key, value| {
                sum.add(value);
                self.engine.put(Table::Streams, key, value)
            })?;
        }
        Ok(sum)
    }

    /// Removes the chunks of segments from `number` on.
    pub(in crate::sidecar) fn remove_streams_from(&self, number: u64) -> Result<(), Fault> {
        let mut low = Vec::new();
        loop {
            let mut doomed: Vec<Bytes> = Vec::new();
            let mut entries = self.engine.range(Table::Streams, &low, &TABLE_END)?;
            while doomed.len() < REMOVED_AT_ONCE
                && let Some((key, value)) = entries.forward()?
            {
                // What cannot be read belongs to nobody.
                if Chunk::parse(&key, &value).is_none_or(|chunk| chunk.segment >= number) {
                    doomed.push(key);
                }
            }
            for key in &doomed {
                self.engine.remove(Table::Streams, key)?;
            }
            match doomed.last() {
                Some(last) if doomed.len() == REMOVED_AT_ONCE => low = last.to_vec(),
                _ => return Ok(()),
            }
        }
    }
}
