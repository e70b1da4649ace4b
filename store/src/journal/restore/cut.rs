//! Where a frame can be cut: between its appends.

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::journal::append_record::KIND_APPEND;
use crate::journal::record::RawRecord;
use crate::journal::scan::ScannedFrame;
use crate::position::Position;

/// The appends at the front of a frame that are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) body_bytes: usize,
    pub(super) record_count: u32,
    pub(super) event_count: u32,
    /// The last one of them.
    pub(super) last: Option<LastAppend>,
    /// The first and the last position of the first append that is not taken.
    pub(super) left_out: Option<(Position, Position)>,
}

/// The end of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastAppend {
    pub(super) last_position: Position,
    pub(super) recorded_at: Timestamp,
}

/// Takes appends off the front of a frame while `takes` says so. `None` if a record is not what was written.
pub(super) fn cut(frame: &ScannedFrame<'_>, takes: impl Fn(&LastAppend) -> bool) -> Option<Cut> {
    let mut fields = Fields::new(frame.body);
    let mut taken = Cut::default();
    let (mut position, mut record_count, mut event_count) = (frame.header.first_position, 0, 0);
    let mut first_position = position;
    // So many events of this append are still to come.
    let mut announced: u64 = 0;
    while !fields.rest().is_empty() {
        let raw = RawRecord::next(&mut fields)?;
        record_count += 1;
        if raw.is_foreign() {
            return None;
        }
        if !raw.is_event() {
            if let Some(count) = announced_events(raw.content)? {
                if announced != 0 || !raw.is_intact(position) {
                    return None;
                }
                announced = count;
            }
            continue;
        }
        if !raw.is_intact(position) {
            return None;
        }
        let append = LastAppend {
            last_position: position,
            recorded_at: recorded_at(raw.content)?,
        };
        position = position.next();
        event_count += 1;
        announced = announced.saturating_sub(1);
        if announced > 0 {
            continue;
        }
        if taken.left_out.is_none() {
            if takes(&append) {
                taken = Cut {
                    body_bytes: frame.body.len() - fields.rest().len(),
                    record_count,
                    event_count,
                    last: Some(append),
                    left_out: None,
                };
            } else {
                taken.left_out = Some((first_position, append.last_position));
            }
        }
        first_position = position;
    }
    (announced == 0 && position == frame.header.next_position()).then_some(taken)
}

/// How many events a record says that belong together. The outer `None` is a failure; the inner one stands for a record
/// that says nothing of the kind. What a later build adds to the record stands behind this number.
fn announced_events(content: &[u8]) -> Option<Option<u64>> {
    let mut fields = Fields::new(content);
    if fields.u8()? != KIND_APPEND {
        return Some(None);
    }
    fields.u8()?;
    Some(Some(fields.varint()?))
}

fn recorded_at(content: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields::new(content);
    fields.bytes(1 + 1 + 1 + 2)?;
    Some(Timestamp::from_unix_micros(fields.i64()?))
}
