//! Reading the frames of a segment into what is looked up by.

use crate::bytes_io::Fields;
use crate::journal::frame::FRAME_HEADER_BYTES;
use crate::journal::record::{self, RawRecord};
use crate::look_up::facts::SegmentFacts;
use crate::position::Position;
use crate::sidecar::EventPlace;

/// Takes in the frame that starts at `offset` of the segment's file, with `first` as the position of its first event.
/// `None` if it is not the next one, or cannot be read.
pub(super) fn take_frame(
    facts: &mut SegmentFacts,
    offset: u64,
    first: Position,
    body: &[u8],
) -> Option<()> {
    if first != facts.next_position {
        return None;
    }
    let mut fields = Fields::new(body);
    while !fields.rest().is_empty() {
        let in_body = body.len() - fields.rest().len();
        let raw = RawRecord::next(&mut fields)?;
        if raw.is_foreign() {
            return None;
        }
        if raw.is_event() {
            let place = EventPlace {
                position_in_segment: u32::try_from(facts.event_count()).ok()?,
                offset: u32::try_from(offset + (FRAME_HEADER_BYTES + in_body) as u64).ok()?,
            };
            facts.take_event(&record::decode_facts(raw.content)?, place);
        }
    }
    Some(())
}
