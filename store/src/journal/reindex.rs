//! The sidecar brought up to date with the journal: the index of sealed segments, and read models that lost rows.

use std::sync::Arc;

use crate::error::{Fault, OpenError};
use crate::journal::disk::{BlockReader, Disk};
use crate::journal::live_index::LiveSegment;
use crate::journal::progress::{OnProgress, OpenStep, StepProgress};
use crate::journal::recovery::{damaged, io_error, scan_frames};
use crate::journal::scan::SegmentScan;
use crate::journal::segment::SegmentHeader;
use crate::journal::writer::SealedSegment;
use crate::position::Position;
use crate::sidecar::{SegmentMark, Sidecar};

/// Sees to it that every sealed segment is in the index, whole, and that the index tells of no other history. Gives back
/// how many segments had to be read again.
pub(super) fn index_sealed_segments(
    disk: &Arc<dyn Disk>,
    headers: &[SegmentHeader],
    sidecar: &Sidecar,
    on_progress: Option<&OnProgress>,
) -> Result<usize, OpenError> {
    let marks = sidecar.indexed_segments().map_err(OpenError::Io)?;
    // sled can lose a part of what it holds and open all the same; a missing place would be a wrong version.
    let damaged = sidecar.damaged_segments().map_err(OpenError::Io)?;
    let sealed: Vec<_> = headers.iter().zip(headers.iter().skip(1)).collect();
    let mut current = 0;
    for (header, next) in &sealed {
        let mark = marks.iter().find(|mark| mark.number == header.number);
        let file = open_segment(disk, header)?;
        if !mark.is_some_and(|mark| is_current(mark, header, next, &*file)) {
            break;
        }
        current += 1;
    }
    // The index is built in the order of the segments: behind one that is missing nothing is kept.
    let mut has_others = marks.iter().any(|mark| mark.number >= current);
    let mut forget_others = || {
        if !std::mem::take(&mut has_others) {
            return Ok(());
        }
        tracing::warn!(
            from_segment = current,
            "the index is not that of this journal from here on"
        );
        sidecar.forget_segments_from(current).map_err(OpenError::Io)
    };
    let mut again = Vec::new();
    let mut bytes_total = 0;
    for (header, next) in sealed {
        if header.number >= current || damaged.contains(&header.number) {
            let file_bytes = open_segment(disk, header)?.len_bytes();
            let file_bytes = file_bytes.map_err(io_error("reading a segment"))?;
            again.push((header, next, file_bytes));
            bytes_total += file_bytes;
        }
    }
    if again.is_empty() {
        forget_others()?;
        return Ok(0);
    }
    let step = OpenStep::IndexSealedSegments;
    let mut progress = StepProgress::begin(on_progress, step, again.len(), bytes_total);
    for (header, next, file_bytes) in &again {
        tracing::info!(segment = %header.file_name(), "indexing a sealed segment again");
        let segment = LiveSegment::new(header.number, header.first_position);
        let file = open_segment(disk, header)?;
        let sealed = scan_sealed(file, header, next, &segment, &mut progress)?;
        // Not before the segment was found whole.
        forget_others()?;
        index_segment(sidecar, &sealed, &segment).map_err(OpenError::Io)?;
        progress.segment_done(*file_bytes);
    }
    Ok(again.len())
}

fn open_segment(
    disk: &Arc<dyn Disk>,
    header: &SegmentHeader,
) -> Result<Arc<dyn BlockReader>, OpenError> {
    disk.open_reader(&header.file_name())
        .map_err(io_error("opening a segment"))
}

/// Forgets the read models that have lost a row: their projections start over.
pub(super) fn reset_damaged_projections(sidecar: &Sidecar) -> Result<Vec<String>, OpenError> {
    let damaged = sidecar.damaged_projections().map_err(OpenError::Io)?;
    for projection in &damaged {
        tracing::warn!(
            projection,
            "a read model has lost rows; it is made anew from the journal"
        );
        sidecar.reset(projection).map_err(OpenError::Io)?;
    }
    Ok(damaged)
}

fn is_current(
    mark: &SegmentMark,
    header: &SegmentHeader,
    next: &SegmentHeader,
    file: &dyn BlockReader,
) -> bool {
    mark.first_position == header.first_position
        && mark.last_position.next() == next.first_position
        && mark.last_frame_hash == next.previous_hash
        && file
            .len_bytes()
            .is_ok_and(|bytes| bytes >= mark.length_bytes)
}

/// Writes the index of a sealed segment into the sidecar.
pub(crate) fn index_segment(
    sidecar: &Sidecar,
    sealed: &SealedSegment,
    segment: &LiveSegment,
) -> Result<(), Fault> {
    let places = segment.read();
    let count: usize = places
        .streams
        .values()
        .map(|stream| stream.events.len())
        .sum();
    let mark = SegmentMark {
        number: sealed.header.number,
        first_position: sealed.header.first_position,
        last_position: Position::new(sealed.header.first_position.get() + count as u64 - 1),
        length_bytes: sealed.length_bytes,
        last_frame_hash: sealed.last_hash,
    };
    // In the order of the keys, which is how a tree is filled fastest.
    let mut streams: Vec<_> = places.streams.iter().collect();
    streams.sort_unstable_by_key(|(stream, _)| *stream);
    let mut streams = streams
        .into_iter()
        .map(|(stream, places)| (stream, places.first_version, places.events.as_slice()));
    sidecar.index_segment(&mark, &places.frames, &mut streams)
}

fn scan_sealed(
    file: Arc<dyn BlockReader>,
    header: &SegmentHeader,
    next: &SegmentHeader,
    segment: &LiveSegment,
    progress: &mut StepProgress<'_>,
) -> Result<SealedSegment, OpenError> {
    let mut scan = SegmentScan::new(file, header);
    let found = scan_frames(&mut scan, header, segment, progress)?;
    let end = scan.end();
    if end.last_hash != next.previous_hash || end.next_position != next.first_position {
        return Err(damaged(header, end.offset, end.next_position, found));
    }
    Ok(SealedSegment {
        header: header.clone(),
        length_bytes: end.offset,
        last_hash: end.last_hash,
    })
}
