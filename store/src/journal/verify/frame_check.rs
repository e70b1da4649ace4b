use bytes::Bytes;

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::journal::frame::count_zero_sectors;
use crate::journal::names::Names;
use crate::journal::record::{self, RawRecord};
use crate::journal::scan::ScannedFrame;
use crate::journal::verify::versions::StreamVersions;
use crate::position::Position;

/// Checks what stands in frames that hold: what a hash cannot tell, because a faulty writer would have hashed it, too.
#[derive(Debug)]
pub(super) struct FrameCheck {
    pub(super) streams: StreamVersions,
    names: Names,
    last_recorded_at: Timestamp,
    last_committed_at: Timestamp,
}

/// Something in a frame that cannot be: at which byte behind the start of its body, for which event, and what.
pub(super) struct Flaw {
    pub(super) offset_in_body: Option<usize>,
    pub(super) position: Position,
    pub(super) what: String,
}

/// What the records of a frame come to.
#[derive(Default)]
struct Counted {
    records: u32,
    events: u32,
}

impl FrameCheck {
    pub(super) fn new() -> Self {
        let long_ago = Timestamp::from_unix_micros(i64::MIN);
        Self {
            streams: StreamVersions::default(),
            names: Names::default(),
            last_recorded_at: long_ago,
            last_committed_at: long_ago,
        }
    }

    /// Notes that events are missing before the next frame.
    pub(super) fn note_gap(&mut self) {
        self.streams.note_gap();
    }

    /// Checks one frame; every flaw goes to `flaws`. The events that follow are held to this one's times and versions.
    pub(super) fn check(&mut self, frame: &ScannedFrame<'_>, flaws: &mut Vec<Flaw>) {
        let header = &frame.header;
        let mut note = |what: String| {
            flaws.push(Flaw {
                offset_in_body: None,
                position: header.first_position,
                what,
            });
        };
        if header.committed_at < self.last_committed_at {
            note("the frame was committed before the one before it".to_owned());
        }
        self.last_committed_at = header.committed_at;
        let zero_sectors = count_zero_sectors(frame.bytes);
        if zero_sectors != header.zero_sectors {
            note(format!(
                "{zero_sectors} sectors of the frame are zeros, its header says {}",
                header.zero_sectors
            ));
        }
        if let Some(counted) = self.check_records(frame, flaws)
            && (counted.records, counted.events) != (header.record_count, header.event_count)
        {
            flaws.push(Flaw {
                offset_in_body: None,
                position: header.first_position,
                what: format!(
                    "the frame holds {} records with {} events, its header says {} and {}",
                    counted.records, counted.events, header.record_count, header.event_count
                ),
            });
        }
    }

    /// `None` if the records could not be told from one another to the end.
    fn check_records(
        &mut self,
        frame: &ScannedFrame<'_>,
        flaws: &mut Vec<Flaw>,
    ) -> Option<Counted> {
        // Decoded events share the memory of their frame.
        let shared = Bytes::copy_from_slice(frame.body);
        let mut fields = Fields::new(&shared);
        let mut counted = Counted::default();
        let mut position = frame.header.first_position;
        while !fields.rest().is_empty() {
            let offset_in_body = Some(frame.body.len() - fields.rest().len());
            let mut note = |what: String| {
                flaws.push(Flaw {
                    offset_in_body,
                    position,
                    what,
                });
            };
            let Some(raw) = RawRecord::next(&mut fields) else {
                note("the last record of the frame is cut short".to_owned());
                return None;
            };
            counted.records += 1;
            if raw.is_foreign() {
                note("the record is of a kind that this build does not know".to_owned());
            }
            if !raw.is_event() {
                continue;
            }
            if !raw.is_intact(position) {
                note("the record does not match its checksum".to_owned());
            }
            counted.events += 1;
            if let Some(what) = self.check_event(&shared, raw.content, position, frame) {
                note(what);
            }
            position = position.next();
        }
        Some(counted)
    }

    fn check_event(
        &mut self,
        shared: &Bytes,
        content: &[u8],
        position: Position,
        frame: &ScannedFrame<'_>,
    ) -> Option<String> {
        let event = record::decode(shared, content, position, &mut self.names);
        let place = record::decode_place(content);
        let Some((event, (parts, version))) = event.zip(place) else {
            return Some("the record cannot be decoded".to_owned());
        };
        let last_recorded_at = std::mem::replace(&mut self.last_recorded_at, event.recorded_at);
        if let Some(expected) = self.streams.take(parts, version) {
            return Some(format!(
                "stream {} goes on with version {version}, but {expected} is its next one",
                event.stream
            ));
        }
        if event.recorded_at < last_recorded_at {
            return Some("the event was recorded before the one before it".to_owned());
        }
        (event.recorded_at > frame.header.committed_at)
            .then(|| "the event was recorded after its frame was committed".to_owned())
    }
}
