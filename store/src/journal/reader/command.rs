//! Reading back what a command came to: the head of its append.

use uuid::Uuid;

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::command::{CommandReply, RecordedCommand};
use crate::error::ReadError;
use crate::event::Codec;
use crate::journal::append_record::{self, Announced};
use crate::journal::reader::{Beside, JournalReader};
use crate::journal::record::{self, RawRecord};
use crate::position::{Position, Version};
use crate::sidecar::{CommandPlace, Place};

/// What is read at first in the hope that the record ends there.
const GUESS_BYTES: usize = 4 << 10;

impl JournalReader {
    /// Whether a durable command with this id is remembered.
    pub(crate) fn has_command(&self, id: Uuid) -> Result<bool, ReadError> {
        // The live index first, the sidecar second: a segment moves from the one to the other.
        if self.live.command(id).is_some() {
            return Ok(true);
        }
        self.indexed(|sidecar| Ok(sidecar.command(id)?.is_some()))
    }

    /// Whether there is anything to look for: a new id is told from memory, but for one in a few hundred.
    pub(crate) fn may_have_command(&self, id: Uuid) -> bool {
        self.live.command(id).is_some()
            || match self.sidecar() {
                Beside::Sidecar(sidecar) => sidecar.may_have_command(id),
                Beside::Nothing => false,
                // The read says that it is closed.
                Beside::Closed => true,
            }
    }

    pub(crate) fn command(&self, id: Uuid) -> Result<Option<RecordedCommand>, ReadError> {
        let place = match self.live.command(id) {
            Some(place) => Some(place),
            None => self.indexed(|sidecar| sidecar.command(id))?,
        };
        place.map(|place| self.read_command(id, place)).transpose()
    }

    /// Reads the command whose append's head lies at `place`, before the event with that position.
    fn read_command(&self, id: Uuid, place: CommandPlace) -> Result<RecordedCommand, ReadError> {
        let CommandPlace {
            segment,
            position,
            offset,
        } = place;
        let damage = |what| self.damage(segment, u64::from(offset), position, what);
        let head = self.record_at(segment, offset, position)?;
        let raw = RawRecord::next(&mut Fields::new(&head))
            .filter(|raw| raw.is_intact(position))
            .ok_or_else(|| damage("the head of an append is not what was written"))?;
        let (append, command) = match append_record::decode(raw.content) {
            Some(Announced::Append(append)) => append
                .command
                .filter(|command| command.id == id)
                .map(|command| (append, command)),
            _ => None,
        }
        .ok_or_else(|| damage("the head of an append is not that of the command"))?;
        let codec = Codec::from_byte(command.reply_codec)
            .ok_or_else(|| damage("the reply has a codec that this build does not know"))?;
        let reply = CommandReply {
            codec,
            bytes: head.slice_ref(command.reply),
        };
        let recorded_at = if append.event_count > 0 {
            let event_offset = offset.saturating_add(u32::try_from(head.len()).unwrap_or(u32::MAX));
            Some(self.recorded_at(segment, event_offset, position)?)
        } else {
            None
        };
        Ok(RecordedCommand {
            id,
            fingerprint: command.fingerprint,
            reply,
            position: Position::new((position.get() + append.event_count).saturating_sub(1)),
            event_count: u32::try_from(append.event_count).unwrap_or(u32::MAX),
            recorded_at,
        })
    }

    fn recorded_at(
        &self,
        segment: u64,
        offset: u32,
        position: Position,
    ) -> Result<Timestamp, ReadError> {
        let event = self.record_at(segment, offset, position)?;
        RawRecord::next(&mut Fields::new(&event))
            .filter(|raw| raw.is_event() && raw.is_intact(position))
            .and_then(|raw| record::decode_recorded_at(raw.content))
            .ok_or_else(|| {
                let what = "the first event of a command is not what was written";
                self.damage(segment, u64::from(offset), position, what)
            })
    }

    fn record_at(
        &self,
        segment: u64,
        offset: u32,
        position: Position,
    ) -> Result<bytes::Bytes, ReadError> {
        let file = self.open(segment)?;
        let held = self.read(&*file, segment, u64::from(offset), GUESS_BYTES)?;
        let place = Place {
            segment,
            version: Version::EMPTY,
            position,
            offset,
        };
        self.whole_record(&*file, held, &place)
    }
}
