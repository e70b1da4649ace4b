//! The table `commands`: where the commands of the sealed segments lie, and which of them are remembered.
//!
//! A chunk holds commands of one segment in the order of their ids. Key (never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | segment u64, big-endian | |
//! | 16 | the first id in the chunk |
//!
//! Value, followed by its 4-byte checksum:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format 1 |
//! | 4 | stamp: the first bytes of the hash of the segment's last frame |
//! | varint | count of commands |
//! | 16, varint, varint, for each | id; positions since the segment's first position; byte in the segment's file at which the head of its append starts |
//!
//! A chunk counts only if a mark vouches for its segment number and stamp, as in `streams`; the mark's sum covers both
//! tables.
//!
//! Every segment's commands stay here. Those of the newest segments are remembered: a filter in memory tells that an id
//! is not among them, so that a new command costs no look-up.

mod remembered;

use std::collections::BTreeMap;
use std::sync::PoisonError;

use uuid::Uuid;

use super::engine::{Bytes, Table};
use super::segments::{Voucher, Vouchers};
use super::streams::{STAMP_BYTES, stamp_of};
use super::value::{CheckSum, Reader, SEAL_BYTES, VALUE_BYTES_MAX, seal, unseal};
use super::{CommandPlace, EventPlace, SegmentMark, Sidecar};
use crate::error::Fault;
use crate::position::Position;
use crate::varint::{VARINT_BYTES_MAX, put_varint};

use self::remembered::Filter;
pub(super) use self::remembered::RememberedCommands;

const FORMAT: u8 = 1;
const ID_BYTES: usize = 16;
const HEADER_BYTES_MAX: usize = 1 + STAMP_BYTES + VARINT_BYTES_MAX;
const COMMAND_BYTES_MAX: usize = ID_BYTES + 2 * VARINT_BYTES_MAX;
/// What is left for the commands in one value.
const COMMANDS_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES_MAX - SEAL_BYTES;

/// How many chunks are removed in one go.
const REMOVED_AT_ONCE: usize = 1_000;

fn chunk_key(segment: u64, first: Uuid) -> Vec<u8> {
    let mut key = segment.to_be_bytes().to_vec();
    key.extend_from_slice(first.as_bytes());
    key
}

/// Behind all chunks of a segment.
fn segment_end(segment: u64) -> Vec<u8> {
    let mut key = chunk_key(segment, Uuid::max());
    key.push(0);
    key
}

/// The segment of a chunk's key.
fn segment_of(key: &[u8]) -> Option<u64> {
    let (segment, id) = key.split_first_chunk::<8>()?;
    (id.len() == ID_BYTES).then_some(u64::from_be_bytes(*segment))
}

/// The commands of one value, if it is a chunk as it was written for the segment that `mark` stands for.
struct Chunk<'v> {
    count: u64,
    commands: Reader<'v>,
}

impl<'v> Chunk<'v> {
    fn parse(key: &[u8], value: &'v [u8], mark: &SegmentMark) -> Option<Self> {
        let mut reader = Reader::new(unseal(key, value)?);
        if segment_of(key)? != mark.number
            || reader.u8()? != FORMAT
            || reader.array()? != stamp_of(mark)
        {
            return None;
        }
        Some(Self {
            count: reader.varint()?,
            commands: reader,
        })
    }

    /// All commands in it; `None` if they cannot be read.
    fn read(mut self) -> Option<Vec<(Uuid, EventPlace)>> {
        let mut commands = Vec::new();
        for _ in 0..self.count {
            let id = Uuid::from_bytes(self.commands.array()?);
            let place = EventPlace {
                position_in_segment: u32::try_from(self.commands.varint()?).ok()?,
                offset: u32::try_from(self.commands.varint()?).ok()?,
            };
            commands.push((id, place));
        }
        self.commands.end()?;
        Some(commands)
    }
}

impl Sidecar {
    /// Whether a command with this id may be remembered: no is certain.
    pub(crate) fn may_have_command(&self, id: Uuid) -> bool {
        let commands = self.commands.read().unwrap_or_else(PoisonError::into_inner);
        commands.may_hold(id).next().is_some()
    }

    /// Where a command lies, if one with this id is remembered.
    ///
    /// # Errors
    /// The index is damaged: it is rebuilt when the store is opened again.
    pub(crate) fn command(&self, id: Uuid) -> Result<Option<CommandPlace>, Fault> {
        let commands = self.commands.read().unwrap_or_else(PoisonError::into_inner);
        for segment in commands.may_hold(id) {
            let vouchers = self.vouchers();
            if let Some(voucher) = vouchers.get(&segment)
                && let Some(place) = self.command_in(voucher, id)?
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn command_in(&self, voucher: &Voucher, id: Uuid) -> Result<Option<CommandPlace>, Fault> {
        let mark = &voucher.mark;
        // The chunk that would hold it is the last one that starts at or before it.
        let low = chunk_key(mark.number, Uuid::nil());
        let mut high = chunk_key(mark.number, id);
        high.push(0);
        let mut chunks = self.engine.range(Table::Commands, &low, &high)?;
        let Some((key, value)) = chunks.backward()? else {
            return Ok(None);
        };
        let commands = self.commands_of(&key, &value, mark)?;
        let found = commands.iter().find(|(found, _)| *found == id);
        Ok(found.map(|(_, place)| CommandPlace {
            segment: mark.number,
            position: Position::new(
                mark.first_position.get() + u64::from(place.position_in_segment),
            ),
            offset: place.offset,
        }))
    }

    fn commands_of(
        &self,
        key: &[u8],
        value: &[u8],
        mark: &SegmentMark,
    ) -> Result<Vec<(Uuid, EventPlace)>, Fault> {
        Chunk::parse(key, value, mark)
            .and_then(Chunk::read)
            .ok_or_else(|| {
                self.engine.damaged(format!(
                    "the index of the commands in segment {} cannot be read",
                    mark.number
                ))
            })
    }

    /// Writes the commands of one segment, which are in the order of their ids, and adds the values to `sum`.
    pub(super) fn put_commands(
        &self,
        mark: &SegmentMark,
        commands: &[(Uuid, EventPlace)],
        sum: &mut CheckSum,
    ) -> Result<(), Fault> {
        let positions = mark.last_position.get() - mark.first_position.get();
        let is_sound = commands.windows(2).all(|pair| match pair {
            [(one, _), (other, _)] => one < other,
            _ => true,
        }) && commands.iter().all(|(_, place)| {
            // One without events may stand behind the last event.
            u64::from(place.position_in_segment) <= positions + 1
                && u64::from(place.offset) < mark.length_bytes
        });
        if !is_sound {
            return Err(Fault::new(format!(
                "the commands of segment {} cannot be indexed: they are out of order or outside",
                mark.number
            )));
        }
        self.remove_stale_chunks(mark.number, commands)?;
        for chunk in commands.chunks(COMMANDS_BYTES_MAX / COMMAND_BYTES_MAX) {
            let Some((first, _)) = chunk.first() else {
                continue;
            };
            let key = chunk_key(mark.number, *first);
            let mut value = vec![FORMAT];
            value.extend_from_slice(&stamp_of(mark));
            put_varint(&mut value, chunk.len() as u64);
            for (id, place) in chunk {
                value.extend_from_slice(id.as_bytes());
                put_varint(&mut value, u64::from(place.position_in_segment));
                put_varint(&mut value, u64::from(place.offset));
            }
            seal(&key, &mut value);
            sum.add(&value);
            self.engine.put(Table::Commands, &key, &value)?;
        }
        Ok(())
    }

    /// Removes what an attempt with another content left between the chunks that are written now.
    fn remove_stale_chunks(
        &self,
        segment: u64,
        commands: &[(Uuid, EventPlace)],
    ) -> Result<(), Fault> {
        let firsts = commands.chunks(COMMANDS_BYTES_MAX / COMMAND_BYTES_MAX);
        let firsts: Vec<Uuid> = firsts.filter_map(|chunk| Some(chunk.first()?.0)).collect();
        let low = chunk_key(segment, Uuid::nil());
        let mut stale: Vec<Bytes> = Vec::new();
        let mut entries = self
            .engine
            .range(Table::Commands, &low, &segment_end(segment))?;
        while let Some((key, _)) = entries.forward()? {
            let first = key.last_chunk::<ID_BYTES>().copied().map(Uuid::from_bytes);
            if first.is_none_or(|first| firsts.binary_search(&first).is_err()) {
                stale.push(key);
            }
        }
        stale
            .iter()
            .try_for_each(|key| self.engine.remove(Table::Commands, key))
    }

    /// Adds the chunks that are there to the sums of their segments.
    pub(super) fn add_command_sums(
        &self,
        vouchers: &Vouchers,
        sums: &mut BTreeMap<u64, CheckSum>,
    ) -> Result<(), Fault> {
        let mut entries = self
            .engine
            .range(Table::Commands, &[], &segment_end(u64::MAX))?;
        while let Some((key, value)) = entries.forward()? {
            // One that cannot be read is missed in the sum.
            let voucher = segment_of(&key).and_then(|segment| vouchers.get(&segment));
            if let Some(voucher) = voucher
                && Chunk::parse(&key, &value, &voucher.mark).is_some()
            {
                sums.entry(voucher.mark.number).or_default().add(&value);
            }
        }
        Ok(())
    }

    /// Removes the chunks of segments from `number` on.
    pub(super) fn remove_commands_from(&self, number: u64) -> Result<(), Fault> {
        loop {
            let low = chunk_key(number, Uuid::nil());
            let mut doomed: Vec<Bytes> = Vec::new();
            let mut entries = self
                .engine
                .range(Table::Commands, &low, &segment_end(u64::MAX))?;
            while doomed.len() < REMOVED_AT_ONCE
                && let Some((key, _)) = entries.forward()?
            {
                doomed.push(key);
            }
            for key in &doomed {
                self.engine.remove(Table::Commands, key)?;
            }
            if doomed.len() < REMOVED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Sets how many of the newest commands are remembered at least, and reads the ids of their segments.
    pub(crate) fn remember_commands(&self, count_min: usize) -> Result<(), Fault> {
        let marks: Vec<SegmentMark> = self
            .vouchers()
            .values()
            .map(|voucher| voucher.mark.clone())
            .collect();
        let mut remembered = RememberedCommands::new(count_min);
        for mark in marks.iter().rev() {
            if remembered.is_enough() {
                break;
            }
            let low = chunk_key(mark.number, Uuid::nil());
            let mut entries =
                self.engine
                    .range(Table::Commands, &low, &segment_end(mark.number))?;
            let mut ids = Vec::new();
            while let Some((key, value)) = entries.forward()? {
                let commands = self.commands_of(&key, &value, mark)?;
                ids.extend(commands.into_iter().map(|(id, _)| id));
            }
            remembered.insert(mark.number, Filter::new(&ids));
        }
        *self
            .commands
            .write()
            .unwrap_or_else(PoisonError::into_inner) = remembered;
        Ok(())
    }

    /// Remembers the commands of a segment that was just indexed.
    pub(super) fn remember_segment(&self, number: u64, commands: &[(Uuid, EventPlace)]) {
        let ids: Vec<Uuid> = commands.iter().map(|(id, _)| *id).collect();
        let filter = Filter::new(&ids);
        let mut commands = self
            .commands
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        commands.insert(number, filter);
        commands.forget_oldest();
    }

    pub(super) fn forget_commands_from(&self, number: u64) {
        let mut commands = self
            .commands
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        commands.forget_from(number);
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
