//! What an earlier backup in the same place holds already.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::CopyError;
use crate::journal::disk::{Disk, FsDisk};
use crate::journal::recovery::{io_error, read_headers};
use crate::journal::scan::{ScanEnd, Scanned, ScannedFrame, SegmentScan};
use crate::journal::segment::{FIRST_FRAME_OFFSET, SegmentHeader};

/// The segments of an earlier backup, none for a new one.
#[derive(Debug)]
pub(super) struct Earlier {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    headers: Vec<SegmentHeader>,
}

/// Where the last segment of an earlier backup ends: the source must come by there.
#[derive(Debug)]
pub(super) struct KnownEnd {
    end: ScanEnd,
    was_passed: bool,
}

impl KnownEnd {
    pub(super) fn pass(&mut self, frame: &ScannedFrame<'_>) {
        self.was_passed |= frame.header.hash == self.end.last_hash;
    }

    pub(super) fn was_passed(&self) -> bool {
        self.was_passed
    }
}

impl Earlier {
    /// Reads what is in `segments`, which must be the beginning of the journal with the headers `source`.
    pub(super) fn read(
        directory: &Path,
        segments: &Path,
        source: &[SegmentHeader],
    ) -> Result<Self, CopyError> {
        let disk: Arc<dyn Disk> = Arc::new(FsDisk::existing(segments));
        let headers = read_headers(&disk).map_err(CopyError::Target)?;
        let earlier = Self {
            directory: directory.to_owned(),
            disk,
            headers,
        };
        for (index, header) in earlier.headers.iter().enumerate() {
            match source.get(index) {
                Some(of_source) if header.store_id != of_source.store_id => {
                    return Err(CopyError::OtherStore {
                        directory: earlier.directory,
                    });
                }
                Some(of_source) if is_same_place(header, of_source) => {}
                _ => return Err(earlier.other_history(header)),
            }
        }
        Ok(earlier)
    }

    pub(super) fn other_history(&self, header: &SegmentHeader) -> CopyError {
        CopyError::OtherHistory {
            directory: self.directory.clone(),
            position: header.first_position,
        }
    }

    /// The length of the segment's file if it is there, and holds all that it does in the source.
    pub(super) fn whole_segment(
        &self,
        header: &SegmentHeader,
        next: &SegmentHeader,
    ) -> Result<Option<u64>, CopyError> {
        if !self.headers.contains(header) {
            return Ok(None);
        }
        let end = self.scan(header)?;
        let is_whole =
            end.last_hash == next.previous_hash && end.next_position == next.first_position;
        Ok(is_whole.then_some(end.offset))
    }

    /// Where the frames of this segment end here, if it is the last one here.
    pub(super) fn end_in(&self, header: &SegmentHeader) -> Option<KnownEnd> {
        let last = self.headers.last()?;
        if last.number != header.number {
            return None;
        }
        // What cannot be read is copied anew.
        let end = self.scan(last).ok()?;
        Some(KnownEnd {
            end,
            was_passed: end.offset == FIRST_FRAME_OFFSET,
        })
    }

    fn scan(&self, header: &SegmentHeader) -> Result<ScanEnd, CopyError> {
        let error = |error| CopyError::Target(io_error("reading the earlier backup")(error));
        let file = self.disk.open_reader(&header.file_name()).map_err(error)?;
        let mut scan = SegmentScan::new(file, header);
        while let Scanned::Frame(_) = scan.next_frame().map_err(error)? {}
        Ok(scan.end())
    }
}

/// Whether two segments follow the same frame. (An empty one may have another capacity.)
fn is_same_place(one: &SegmentHeader, other: &SegmentHeader) -> bool {
    let place =
        |header: &SegmentHeader| (header.number, header.first_position, header.previous_hash);
    place(one) == place(other)
}
