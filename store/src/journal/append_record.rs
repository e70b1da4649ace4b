//! What stands before the events of an append, byte by byte (format version 1): which events belong together, and which
//! command they answer. All numbers are little-endian.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length: how many bytes follow the checksum |
//! | 4 | CRC-32 (IEEE) of the position that the next event has or would have (8 bytes), followed by those `length` bytes |
//! | 1 | kind: 128 |
//! | 1 | flags; bit 0: a command follows. A reader skips the record if it finds a bit that it does not know |
//! | 1 to 10 | number of events in this append, LEB128: their records follow, in the same frame |
//! | 16 | flag bit 0: id of the command |
//! | 16 | flag bit 0: fingerprint of the command |
//! | 1 | flag bit 0: codec of the reply, as in an event |
//! | rest | flag bit 0: reply |
//!
//! It is written only where it says something: an event that no such record announces is an append of its own.

use uuid::Uuid;

use crate::bytes_io::Fields;
use crate::journal::record::{self, RECORD_PREFIX_BYTES};
use crate::varint::{VARINT_BYTES_MAX, put_varint};

pub(crate) const KIND_APPEND: u8 = 128;

const HAS_COMMAND: u8 = 1;
const KNOWN_FLAGS: u8 = HAS_COMMAND;

const FIELD_BYTES_MAX: usize = RECORD_PREFIX_BYTES + 1 + 1 + VARINT_BYTES_MAX;
const COMMAND_FIELD_BYTES: usize = 16 + 16 + 1;

/// The content of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppendRecord<'a> {
    /// So many events belong to the append: the next ones of the frame.
    pub(crate) event_count: u64,
    pub(crate) command: Option<CommandFields<'a>>,
}

/// The command that an append answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandFields<'a> {
    pub(crate) id: Uuid,
    pub(crate) fingerprint: [u8; 16],
    pub(crate) reply_codec: u8,
    pub(crate) reply: &'a [u8],
}

/// Appends the record with its checksum left open ([`record::seal`] fills it in when the position is certain).
pub(crate) fn encode(out: &mut Vec<u8>, append: &AppendRecord<'_>) {
    let start = record::begin(out);
    out.push(KIND_APPEND);
    out.push(if append.command.is_some() {
        HAS_COMMAND
    } else {
        0
    });
    put_varint(out, append.event_count);
    if let Some(command) = &append.command {
        out.extend_from_slice(command.id.as_bytes());
        out.extend_from_slice(&command.fingerprint);
        out.push(command.reply_codec);
        out.extend_from_slice(command.reply);
    }
    record::end(out, start);
}

/// At least what the record takes, and not much more; `reply_bytes` if it carries a command.
pub(crate) fn encoded_bytes_max(reply_bytes: Option<usize>) -> usize {
    reply_bytes.map_or(FIELD_BYTES_MAX, |bytes| {
        (FIELD_BYTES_MAX + COMMAND_FIELD_BYTES).saturating_add(bytes)
    })
}

/// What the content of a record says of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced<'a> {
    Append(AppendRecord<'a>),
    /// A record of another kind, or one that says more than this build knows: to be skipped.
    Nothing,
}

/// Reads the content of any record. `None` if it is the record of an append and cannot be read.
pub(crate) fn decode(content: &[u8]) -> Option<Announced<'_>> {
    let mut fields = Fields::new(content);
    if fields.u8()? != KIND_APPEND {
        return Some(Announced::Nothing);
    }
    let flags = fields.u8()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Some(Announced::Nothing);
    }
    let event_count = fields.varint()?;
    let command = if flags & HAS_COMMAND == 0 {
        fields.rest().is_empty().then_some(None)?
    } else {
        Some(CommandFields {
            id: Uuid::from_bytes(fields.array()?),
            fingerprint: fields.array()?,
            reply_codec: fields.u8()?,
            reply: fields.rest(),
        })
    };
    Some(Announced::Append(AppendRecord {
        event_count,
        command,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::RawRecord;
    use crate::position::Position;

    fn command() -> CommandFields<'static> {
        CommandFields {
            id: Uuid::from_u128(0x0102_0304),
            fingerprint: [7; 16],
            reply_codec: 1,
            reply: b"reply",
        }
    }

    fn content_of(append: &AppendRecord<'_>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        encode(&mut out, append);
        let length = usize::try_from(u32::from_le_bytes(out[6..10].try_into().unwrap())).unwrap();
        assert_eq!(out.len(), 6 + RECORD_PREFIX_BYTES + length);
        out.split_off(6 + RECORD_PREFIX_BYTES)
    }

    #[test]
    fn it_reads_back_and_takes_no_more_than_was_said() {
        for event_count in [0, 1, 2, 127, 128, 65_536, u64::MAX] {
            for command in [None, Some(command())] {
                let append = AppendRecord {
                    event_count,
                    command,
                };
                let content = content_of(&append);
                assert_eq!(decode(&content), Some(Announced::Append(append)));
                let reply_bytes = command.map(|command| command.reply.len());
                assert!(RECORD_PREFIX_BYTES + content.len() <= encoded_bytes_max(reply_bytes));
            }
        }
    }

    #[test]
    fn its_bytes_are_those_of_the_format() {
        let append = AppendRecord {
            event_count: 300,
            command: Some(command()),
        };
        let mut expected = vec![128, 1, 0xac, 0x02];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        expected.extend([7; 16]);
        expected.push(1);
        expected.extend(b"reply");
        assert_eq!(content_of(&append), expected);
    }

    #[test]
    fn every_cut_is_refused_but_one_within_the_reply() {
        let append = AppendRecord {
            event_count: 300,
            command: Some(command()),
        };
        let content = content_of(&append);
        let reply_at = content.len() - command().reply.len();
        for cut in 0..reply_at {
            assert_eq!(decode(&content[..cut]), None, "cut at {cut}");
        }
        // The length before it and the checksum over it tell that one.
        assert!(decode(&content[..reply_at]).is_some());
        assert_eq!(decode(&[128, 0, 2, 0]), None, "more than there is to say");
    }

    #[test]
    fn other_kinds_and_unknown_flags_announce_nothing() {
        assert_eq!(decode(&[129, 0]), Some(Announced::Nothing));
        assert_eq!(decode(&[1, 0]), Some(Announced::Nothing));
        assert_eq!(decode(&[128, 2, 0xff]), Some(Announced::Nothing));
        assert_eq!(decode(&[128, 3]), Some(Announced::Nothing));
    }

    #[test]
    fn a_reader_that_does_not_know_it_may_skip_it_and_it_is_bound_to_its_position() {
        let mut out = Vec::new();
        encode(
            &mut out,
            &AppendRecord {
                event_count: 2,
                command: None,
            },
        );
        record::seal(&mut out, Position::new(41));
        let raw = RawRecord::next(&mut Fields::new(&out)).unwrap();
        assert!(!raw.is_event() && !raw.is_foreign());
        assert!(raw.is_intact(Position::new(41)) && !raw.is_intact(Position::new(42)));
    }
}
