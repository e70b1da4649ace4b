//! The sidecar brought up to date with the journal: the index of sealed segments, and read models that lost rows.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Fault, OpenError};
use crate::journal::disk::{BlockReader, Disk};
use crate::journal::indexer::SealedWork;
use crate::journal::live_index::LiveSegment;
use crate::journal::progress::{OnProgress, OpenStep, StepProgress};
use crate::journal::recovery::{OpeningTimes, damaged, io_error, scan_frames, timed};
use crate::journal::scan::SegmentScan;
use crate::journal::segment::SegmentHeader;
use crate::journal::writer::SealedSegment;
use crate::position::Position;
use crate::sidecar::{SegmentMark, Sidecar};

/// How many of the newest sealed segments, if the index does not have them, are left to the indexing thread: as many as
/// may wait for it when a process is killed. Until it has come to them their index is in memory, as it was then.
const LATE_SEGMENTS_MAX: usize = 6;

/// What bringing the index up to date came to.
#[derive(Debug)]
pub(super) struct Reindexed {
    /// How many segments had to be read again.
    pub(super) again: usize,
    /// From where on the index told of another history.
    pub(super) other_history_from: Option<Position>,
    /// Those that are still to go into the index, oldest first.
    pub(super) late: Vec<SealedWork>,
}

/// Sees to it that every sealed segment is in the index, whole, or will be, and that the index tells of no other history.
pub(super) fn index_sealed_segments(
    disk: &Arc<dyn Disk>,
    headers: &[SegmentHeader],
    sidecar: &Sidecar,
    times: &mut OpeningTimes,
    on_progress: Option<&OnProgress>,
) -> Result<Reindexed, OpenError> {
    let marks = sidecar.indexed_segments().map_err(OpenError::Io)?;
    let sealed: Vec<_> = headers.iter().zip(headers.iter().skip(1)).collect();
    let (current, other_history_from) = count_current(disk, &sealed, &marks)?;
    // The index is built in the order of the segments: behind one that is missing nothing is kept.
    let mut forget_others = ForgetOthers {
        sidecar,
        from: current as u64,
        pending: marks.iter().any(|mark| mark.number >= current as u64),
    };
    let first_late = current.max(sealed.len().saturating_sub(LATE_SEGMENTS_MAX));
    let (missing, late) = sealed.split_at(first_late);
    let (late, damaged) = read_late_while_checking(disk, late, sidecar, times, on_progress)?;
    let start = Instant::now();
    let missing: Vec<_> = (0_u64..)
        .zip(missing)
        .filter(|(number, _)| *number >= current as u64 || damaged.contains(number))
        .map(|(_, pair)| *pair)
        .collect();
    let again = late.len() + missing.len();
    let mut reading = Reading::begin(disk, &missing, OpenStep::IndexSealedSegments, on_progress)?;
    for (header, next) in &missing {
        tracing::info!(segment = %header.file_name(), "indexing a sealed segment again");
        let work = reading.read_sealed(header, next)?;
        // Not before the segment was found whole.
        forget_others.once()?;
        index_segment(sidecar, &work.sealed, &work.segment).map_err(OpenError::Io)?;
    }
    forget_others.once()?;
    times.segments_again += start.elapsed();
    if let Some(position) = other_history_from {
        tracing::error!(
            from_position = %position,
            "the index told of another history than the journal; it was built anew, and events that only the former \
             journal had are not there any more"
        );
    }
    Ok(Reindexed {
        again,
        other_history_from,
        late,
    })
}

/// Reads the segments that are left to the indexing thread, and looks beside that which segments the index has lost a
/// part of: sled can do so and open all the same, and a missing place would be a wrong version.
fn read_late_while_checking(
    disk: &Arc<dyn Disk>,
    late: &[SealedPair<'_>],
    sidecar: &Sidecar,
    times: &mut OpeningTimes,
    on_progress: Option<&OnProgress>,
) -> Result<(Vec<SealedWork>, Vec<u64>), OpenError> {
    let OpeningTimes {
        index_check,
        segments_again,
        ..
    } = times;
    std::thread::scope(|scope| {
        let checking = std::thread::Builder::new()
            .name("foldhouse-index-check".to_owned())
            .spawn_scoped(scope, || timed(index_check, || sidecar.damaged_segments()))
            .map_err(io_error("starting a thread"))?;
        let late: Result<Vec<_>, _> = timed(segments_again, || {
            let mut reading = Reading::begin(disk, late, OpenStep::ReadLastSegments, on_progress)?;
            late.iter()
                .map(|(header, next)| reading.read_sealed(header, next))
                .collect()
        });
        let damaged = checking
            .join()
            .unwrap_or_else(|_| Err(Fault::new("checking the index panicked")))
            .map_err(OpenError::Io)?;
        Ok((late?, damaged))
    })
}

/// Reads all sealed segments, for a journal without an index.
#[cfg(feature = "simulation")]
pub(super) fn read_sealed_segments(
    disk: &Arc<dyn Disk>,
    headers: &[SegmentHeader],
) -> Result<Vec<SealedWork>, OpenError> {
    let sealed: Vec<_> = headers.iter().zip(headers.iter().skip(1)).collect();
    let mut reading = Reading::begin(disk, &sealed, OpenStep::ReadLastSegments, None)?;
    sealed
        .iter()
        .map(|(header, next)| reading.read_sealed(header, next))
        .collect()
}

/// A sealed segment's header, and that of the segment behind it.
type SealedPair<'h> = (&'h SegmentHeader, &'h SegmentHeader);

/// How many segments from the first one on are in the index as the journal has them, and from where on it told of
/// another history.
fn count_current(
    disk: &Arc<dyn Disk>,
    sealed: &[SealedPair<'_>],
    marks: &[SegmentMark],
) -> Result<(usize, Option<Position>), OpenError> {
    let mut current = 0;
    for (header, next) in sealed {
        let mark = marks.iter().find(|mark| mark.number == header.number);
        let file = open_segment(disk, header)?;
        if !mark.is_some_and(|mark| is_current(mark, header, next, &*file)) {
            let is_other = |mark: &&SegmentMark| mark.last_frame_hash != next.previous_hash;
            let other_history_from = mark.filter(is_other).map(|mark| mark.first_position);
            return Ok((current, other_history_from));
        }
        current += 1;
    }
    Ok((current, None))
}

/// What the index tells of segments that are not this journal's.
struct ForgetOthers<'s> {
    sidecar: &'s Sidecar,
    from: u64,
    pending: bool,
}

impl ForgetOthers<'_> {
    fn once(&mut self) -> Result<(), OpenError> {
        if !std::mem::take(&mut self.pending) {
            return Ok(());
        }
        tracing::warn!(
            from_segment = self.from,
            "the index is not that of this journal from here on"
        );
        self.sidecar
            .forget_segments_from(self.from)
            .map_err(OpenError::Io)
    }
}

/// Reads sealed segments whole, and tells how far it has come.
struct Reading<'a> {
    disk: &'a Arc<dyn Disk>,
    /// None if there is nothing to read.
    progress: Option<StepProgress<'a>>,
}

impl<'a> Reading<'a> {
    fn begin(
        disk: &'a Arc<dyn Disk>,
        segments: &[SealedPair<'_>],
        step: OpenStep,
        on_progress: Option<&'a OnProgress>,
    ) -> Result<Self, OpenError> {
        let mut bytes_total = 0;
        for (header, _) in segments {
            bytes_total += file_bytes(&*open_segment(disk, header)?)?;
        }
        let count = segments.len();
        let progress =
            (count > 0).then(|| StepProgress::begin(on_progress, step, count, bytes_total));
        Ok(Self { disk, progress })
    }

    /// Reads the next one, and makes its index in memory.
    fn read_sealed(
        &mut self,
        header: &SegmentHeader,
        next: &SegmentHeader,
    ) -> Result<SealedWork, OpenError> {
        let segment = Arc::new(LiveSegment::new(header.number, header.first_position));
        let file = open_segment(self.disk, header)?;
        let bytes = file_bytes(&*file)?;
        let sealed = scan_sealed(file, header, next, &segment, |offset| {
            if let Some(progress) = &mut self.progress {
                progress.read_up_to(offset);
            }
        })?;
        if let Some(progress) = &mut self.progress {
            progress.segment_done(bytes);
        }
        Ok(SealedWork {
            sealed,
            segment,
            // Before every frame of this process.
            last_frame: 0,
        })
    }
}

fn file_bytes(file: &dyn BlockReader) -> Result<u64, OpenError> {
    file.len_bytes().map_err(io_error("reading a segment"))
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
    let mut commands: Vec<_> = places
        .commands
        .iter()
        .map(|(id, place)| (*id, *place))
        .collect();
    commands.sort_unstable_by_key(|(id, _)| *id);
    sidecar.index_segment(&mark, &places.frames, &mut streams, &commands)
}

pub(super) fn scan_sealed(
    file: Arc<dyn BlockReader>,
    header: &SegmentHeader,
    next: &SegmentHeader,
    segment: &LiveSegment,
    read_up_to: impl FnMut(u64),
) -> Result<SealedSegment, OpenError> {
    let mut scan = SegmentScan::new(file, header);
    let found = scan_frames(&mut scan, header, segment, read_up_to)?;
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
