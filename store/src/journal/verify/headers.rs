use uuid::Uuid;

use crate::journal::scan::ScanEnd;
use crate::journal::segment::{
    self, BLOCK_BYTES, BadHeader, FIRST_FRAME_OFFSET, Hash, SegmentHeader,
};
use crate::journal::verify::findings::damage;
use crate::journal::verify::walk::{Found, Walk, newer_format};
use crate::journal::verify::{VerifyError, io_error};
use crate::position::Position;

impl Walk<'_> {
    /// What the next segment says of the one before it.
    pub(super) fn leads_to(
        &self,
        next: Option<&str>,
    ) -> Result<Option<(Hash, Position)>, VerifyError> {
        let Some(next) = next else {
            return Ok(None);
        };
        let block = self.header_block(next)?;
        let header = SegmentHeader::decode(&block).ok();
        Ok(header.map(|header| (header.previous_hash, header.first_position)))
    }

    fn header_block(&self, name: &str) -> Result<Vec<u8>, VerifyError> {
        let file = self.disk.open_reader(name);
        let mut block = vec![0; BLOCK_BYTES];
        let read = file.and_then(|file| file.read_at(0, &mut block));
        block.truncate(read.map_err(io_error("reading a segment header"))?);
        Ok(block)
    }

    /// Reads the segment's header, and sees what it hangs on.
    pub(super) fn header(&mut self, found: &mut Found<'_>) -> Result<(), VerifyError> {
        let named = segment::parse_file_name(found.name).unwrap_or_default();
        let block = self.header_block(found.name)?;
        match SegmentHeader::decode(&block) {
            Ok(header) => {
                self.place(found, named, &header);
                self.end = Some(ScanEnd {
                    offset: FIRST_FRAME_OFFSET,
                    last_hash: header.previous_hash,
                    next_position: header.first_position,
                    last_committed_at: self.end.and_then(|end| end.last_committed_at),
                });
                self.before = Some((found.index, header.clone()));
                found.header = Some(header);
            }
            Err(BadHeader::NewerFormat(version)) => return Err(newer_format(found.name, version)),
            Err(BadHeader::Damaged(what)) => {
                self.find(found, 0, named, what);
                // Without it, the frames have to follow those of the segment before.
                if let Some(end) = &mut self.end {
                    end.offset = FIRST_FRAME_OFFSET;
                }
            }
        }
        Ok(())
    }

    /// Sees whether the file is as long as it has to be, once its frames are read.
    pub(super) fn length(&mut self, found: &Found<'_>, bytes: u64) {
        let (Some(header), Some(end)) = (&found.header, self.end) else {
            return;
        };
        let capacity = header.capacity_bytes;
        if found.is_last && bytes < capacity {
            let what = format!(
                "the last segment has {bytes} bytes, its header says {capacity}: its end, or all later segments, are missing"
            );
            self.find(found, end.offset, end.next_position, what);
        } else if bytes < end.offset {
            let what = "the end of the last frame's last block is missing; no event is harmed";
            self.note(damage(found.name, bytes, end.next_position, what));
        } else if bytes > capacity {
            let what = format!(
                "the segment has {bytes} bytes, its header says {capacity}; no event is harmed"
            );
            self.note(damage(found.name, capacity, end.next_position, what));
        }
    }

    /// Sees that the segment is the next one, and that the one before led to it.
    fn place(&mut self, found: &Found<'_>, named: Position, header: &SegmentHeader) {
        let first = Position::BEFORE_FIRST.next();
        let store_id = Uuid::from_bytes(header.store_id);
        let known_id = *self.report.store_id.get_or_insert(store_id);
        let expected = match &self.before {
            Some((index, before)) => before.number + (found.index - index) as u64,
            None => found.index as u64,
        };
        let (end_hash, end_position) = match &self.end {
            Some(end) => (end.last_hash, end.next_position),
            None => (segment::genesis_hash(&header.store_id), first),
        };
        let missing = self.end.map_or(first, |end| end.next_position);
        if store_id != known_id {
            let what = format!("the segment belongs to store {store_id}, not to {known_id}");
            self.find(found, 0, missing, what);
        } else if header.first_position != named {
            let what = format!(
                "this is segment number {} from position {}: it has the name of another one",
                header.number, header.first_position
            );
            self.find(found, 0, named, what);
        } else if header.number != expected && (self.before.is_some() || found.index == 0) {
            let what = format!(
                "this is segment number {} from position {named}, but number {expected} was expected here: \
                 a segment is missing or was moved",
                header.number
            );
            self.find(found, 0, missing, what);
        } else if header.previous_hash != end_hash || header.first_position != end_position {
            let what = format!(
                "the segment starts with position {named}, but the one before it ends with {}: \
                 frames at its end are missing, or one of the two is an old copy",
                missing.get().saturating_sub(1)
            );
            self.find(found, 0, missing, what);
        }
    }
}
