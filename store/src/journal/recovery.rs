//! Opening a journal: its segments are checked, a torn tail is cut off, the index is brought up to date.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bytes_io::Fields;
use crate::clock::Clock;
use crate::error::{Damage, Fault, OpenError};
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::append_record::{self, Announced};
use crate::journal::disk::Disk;
use crate::journal::frame::FRAME_HEADER_BYTES;
use crate::journal::indexer::SealedWork;
use crate::journal::live_index::{LiveIndex, LiveSegment};
use crate::journal::progress::{OnProgress, OpenStep, StepProgress};
use crate::journal::queue::{AppendPlace, RecordPlace, Resume};
use crate::journal::record::{self, RawRecord};
use crate::journal::reindex::{index_sealed_segments, reset_damaged_projections};
use crate::journal::rewound::{refuse_if_all_is_gone, refuse_if_older};
use crate::journal::scan::{ScanEnd, Scanned, ScannedFrame, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{self, FIRST_FRAME_OFFSET, FORMAT_VERSION, SegmentHeader};
use crate::journal::spare::{SPARE_NAME, UNFINISHED_SPARE_NAME, prepare_spare};
use crate::journal::writer::place_segment;
use crate::position::Position;
use crate::sidecar::{FramePlace, OpenOutcome, Sidecar};

mod cut_off;
mod headers;

pub(super) use cut_off::cut_off;
pub(crate) use headers::{read_header, read_headers};

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// How many segments the journal has.
    pub segments: usize,
    /// The position of the last event.
    pub head: Position,
    /// The write that did not complete when the last process died, if there was one. It was never acked.
    pub torn_tail: Option<TornTail>,
    /// Where the files of an index that could not be used were moved to, and why.
    pub index_moved_aside: Option<(PathBuf, String)>,
    /// How many sealed segments were read again because the index did not have them. The last few of them go into it in
    /// the background.
    pub segments_indexed_again: usize,
    /// From where on the index told of another history than the journal, if it did: the journal's files were replaced by
    /// those of a copy of the store that went on differently. The index was built anew from the journal; events that only
    /// the former one had are not in it.
    pub other_history_from: Option<Position>,
    /// The projections whose rows were damaged: they start over.
    pub read_models_reset: Vec<String>,
    /// How long opening took.
    pub duration: Duration,
    /// Where that time went.
    pub times: OpeningTimes,
}

/// How long each part of opening a store took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpeningTimes {
    /// Reading the header of every segment.
    pub headers: Duration,
    /// Reading and checking the active segment.
    pub active_segment: Duration,
    /// Opening the index: most of it is sled's own recovery.
    pub index_open: Duration,
    /// Checking that the index has lost nothing; beside it segments are read again.
    pub index_check: Duration,
    /// Reading the sealed segments that the index does not have, and writing the older ones of them into it.
    pub segments_again: Duration,
    /// Checking that the read models have lost nothing.
    pub read_models: Duration,
}

/// An incomplete frame at the end of the journal that was overwritten with zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file, relative to the store's directory.
    pub file: PathBuf,
    /// Where the incomplete frame started.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// A journal that is ready to go on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) first_positions: Vec<Position>,
    pub(crate) active: SegmentHeader,
    pub(crate) end: ScanEnd,
    pub(crate) live: LiveIndex,
    /// The sealed segments that are in the live index and not in the sidecar yet, oldest first.
    pub(crate) late: Vec<SealedWork>,
    /// None if the journal goes without.
    pub(crate) sidecar: Option<Sidecar>,
    pub(crate) spare_is_there: bool,
    pub(crate) report: RecoveryReport,
}

impl Recovered {
    pub(crate) fn resume(&self) -> Resume {
        let last_committed_at = self.end.last_committed_at.unwrap_or(self.active.created_at);
        Resume {
            head: self.report.head,
            last_recorded_at: last_committed_at,
        }
    }
}

/// Opens the journal in `directory`: checks every segment's header and the whole active segment, cuts off a torn tail,
/// and brings the index up to date.
pub(crate) fn recover(
    directory: &Path,
    disk: &Arc<dyn Disk>,
    segment_bytes: u64,
    index_cache_bytes: u64,
    commands_remembered: usize,
    clock: &dyn Clock,
    on_progress: Option<&OnProgress>,
) -> Result<Recovered, OpenError> {
    let start = Instant::now();
    let mut report = RecoveryReport::default();
    let may_begin = || refuse_if_all_is_gone(directory);
    let times = &mut report.times;
    let found = find(disk, segment_bytes, clock, on_progress, times, may_begin)?;
    // Nothing is changed before the journal is known to be whole.
    let open = |report: &mut RecoveryReport| {
        let (sidecar, outcome) = timed(&mut report.times.index_open, || {
            Sidecar::open(directory, found.active.store_id, index_cache_bytes)
                .map_err(OpenError::Io)
        })?;
        if let OpenOutcome::MovedAside { to, why } = outcome {
            report.index_moved_aside = Some((to, why));
        }
        refuse_if_older(directory, &found.active, &found.end, &sidecar)?;
        Ok(sidecar)
    };
    let mut sidecar = open(&mut report)?;
    let headers = &found.headers;
    let mut caught_up = catch_up(disk, headers, &sidecar, on_progress, &mut report);
    if caught_up.is_err() && sidecar.is_condemned() {
        // Some damage shows only when everything is read. What is condemned is moved aside when it is opened again.
        drop(sidecar);
        sidecar = open(&mut report)?;
        caught_up = catch_up(disk, headers, &sidecar, on_progress, &mut report);
    }
    let late = caught_up?;
    sidecar
        .remember_commands(commands_remembered)
        .map_err(OpenError::Io)?;
    let mut recovered = found.make_ready(disk, segment_bytes, late, report)?;
    recovered.sidecar = Some(sidecar);
    recovered.report.duration = start.elapsed();
    Ok(recovered)
}

/// The same for a journal without an index beside it: all its segments are in the live index.
#[cfg(feature = "simulation")]
pub(crate) fn recover_without_index(
    disk: &Arc<dyn Disk>,
    segment_bytes: u64,
    clock: &dyn Clock,
) -> Result<Recovered, OpenError> {
    let mut report = RecoveryReport::default();
    let found = find(disk, segment_bytes, clock, None, &mut report.times, || {
        Ok(())
    })?;
    let late = crate::journal::reindex::read_sealed_segments(disk, &found.headers)?;
    found.make_ready(disk, segment_bytes, late, report)
}

/// A journal as it was found: its headers and its active segment hold.
#[derive(Debug)]
struct Found {
    headers: Vec<SegmentHeader>,
    active: SegmentHeader,
    live_segment: Arc<LiveSegment>,
    end: ScanEnd,
    /// Where an incomplete frame behind the end ends.
    torn_end: Option<u64>,
    spare_is_there: bool,
}

/// Finds the journal; begins one if there is none and `may_begin` does not object.
fn find(
    disk: &Arc<dyn Disk>,
    segment_bytes: u64,
    clock: &dyn Clock,
    on_progress: Option<&OnProgress>,
    times: &mut OpeningTimes,
    may_begin: impl FnOnce() -> Result<(), OpenError>,
) -> Result<Found, OpenError> {
    let mut spare_is_there = tidy_spares(disk, segment_bytes)?;
    let mut headers = timed(&mut times.headers, || read_headers(disk))?;
    if headers.is_empty() {
        may_begin()?;
        headers.push(create_first_segment(
            &**disk,
            segment_bytes,
            spare_is_there,
            clock,
        )?);
        spare_is_there = false;
    }
    let Some(active) = headers.last().cloned() else {
        return Err(OpenError::Io(Fault::new("the journal has no segment")));
    };
    let live_segment = Arc::new(LiveSegment::new(active.number, active.first_position));
    let (end, torn_end) = timed(&mut times.active_segment, || {
        scan_active(disk, &active, &live_segment, on_progress)
    })?;
    Ok(Found {
        headers,
        active,
        live_segment,
        end,
        torn_end,
        spare_is_there,
    })
}

impl Found {
    /// Cuts off what is torn, and makes the rest durable and the active segment large enough.
    fn make_ready(
        self,
        disk: &Arc<dyn Disk>,
        segment_bytes: u64,
        late: Vec<SealedWork>,
        mut report: RecoveryReport,
    ) -> Result<Recovered, OpenError> {
        let Self {
            headers,
            mut active,
            live_segment,
            end,
            torn_end,
            mut spare_is_there,
        } = self;
        if let Some(end_offset) = torn_end {
            let torn = cut_off(&**disk, &active, &end, end_offset)?;
            tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes,
                "cut off a write that did not complete; it was never acknowledged");
            report.torn_tail = Some(torn);
        }
        // The last process may have died between a write or a rename and its sync: what is read now must not be lost later.
        disk.sync(&active.file_name())
            .map_err(io_error("making durable what the last process left"))?;
        if end.offset == FIRST_FRAME_OFFSET && active.capacity_bytes < segment_bytes {
            active.capacity_bytes = segment_bytes;
            prepare_segment(&**disk, &active, spare_is_there)
                .map_err(io_error("replacing an empty segment by a larger one"))?;
            spare_is_there = false;
        }
        let live = LiveIndex::default();
        for work in &late {
            live.push(Arc::clone(&work.segment));
        }
        live.push(live_segment);
        report.segments = headers.len();
        report.head = Position::new(end.next_position.get() - 1);
        let first_positions = headers.iter().map(|header| header.first_position).collect();
        Ok(Recovered {
            first_positions,
            active,
            end,
            live,
            late,
            sidecar: None,
            spare_is_there,
            report,
        })
    }
}

/// Adds how long `part` takes to `time`.
pub(super) fn timed<T>(time: &mut Duration, part: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let given = part();
    *time += start.elapsed();
    given
}

/// Brings the sidecar up to date with the journal; gives back the segments that are still to go into it.
fn catch_up(
    disk: &Arc<dyn Disk>,
    headers: &[SegmentHeader],
    sidecar: &Sidecar,
    on_progress: Option<&OnProgress>,
    report: &mut RecoveryReport,
) -> Result<Vec<SealedWork>, OpenError> {
    let times = &mut report.times;
    let reindexed = index_sealed_segments(disk, headers, sidecar, times, on_progress)?;
    report.segments_indexed_again = reindexed.again;
    report.other_history_from = reindexed.other_history_from;
    report.read_models_reset = timed(&mut report.times.read_models, || {
        reset_damaged_projections(sidecar)
    })?;
    Ok(reindexed.late)
}

pub(super) fn io_error(what: &str) -> impl Fn(io::Error) -> OpenError + '_ {
    move |error| OpenError::Io(Fault::io(what, error))
}

pub(super) fn path_of(name: &str) -> PathBuf {
    Path::new(JOURNAL_DIRECTORY).join(name)
}

pub(super) fn damaged(
    header: &SegmentHeader,
    offset: u64,
    position: Position,
    what: impl Into<String>,
) -> OpenError {
    let file = path_of(&header.file_name());
    OpenError::Corrupt(Damage {
        file,
        offset,
        position,
        what: what.into(),
    })
}

/// Removes a spare that was never finished or has another size; tells whether a good one is there.
fn tidy_spares(disk: &Arc<dyn Disk>, segment_bytes: u64) -> Result<bool, OpenError> {
    let error = io_error("tidying prepared segments");
    let names = disk.names().map_err(&error)?;
    if names.iter().any(|name| name == UNFINISHED_SPARE_NAME) {
        disk.remove(UNFINISHED_SPARE_NAME).map_err(&error)?;
    }
    if !names.iter().any(|name| name == SPARE_NAME) {
        return Ok(false);
    }
    let bytes = disk
        .open_reader(SPARE_NAME)
        .and_then(|file| file.len_bytes())
        .map_err(&error)?;
    if bytes != segment_bytes {
        disk.remove(SPARE_NAME).map_err(&error)?;
    }
    Ok(bytes == segment_bytes)
}

pub(super) fn newer_format(name: &str, found: u16) -> OpenError {
    OpenError::NewerFormat {
        file: path_of(name),
        found,
        newest: FORMAT_VERSION,
    }
}

fn create_first_segment(
    disk: &dyn Disk,
    segment_bytes: u64,
    spare_is_there: bool,
    clock: &dyn Clock,
) -> Result<SegmentHeader, OpenError> {
    let store_id = clock.new_id().into_bytes();
    let header = SegmentHeader {
        store_id,
        number: 0,
        first_position: Position::BEFORE_FIRST.next(),
        capacity_bytes: segment_bytes,
        created_at: clock.now(),
        previous_hash: segment::genesis_hash(&store_id),
    };
    prepare_segment(disk, &header, spare_is_there)
        .map_err(io_error("creating the first segment"))?;
    Ok(header)
}

/// Makes an empty segment with that header, in place of one that has its name.
fn prepare_segment(
    disk: &dyn Disk,
    header: &SegmentHeader,
    spare_is_there: bool,
) -> io::Result<()> {
    if !spare_is_there {
        prepare_spare(disk, header.capacity_bytes)?;
    }
    place_segment(disk, header).map(drop)
}

/// Reads the active segment into `segment`; gives back where its frames end, and where an incomplete one behind them does.
fn scan_active(
    disk: &Arc<dyn Disk>,
    header: &SegmentHeader,
    segment: &LiveSegment,
    on_progress: Option<&OnProgress>,
) -> Result<(ScanEnd, Option<u64>), OpenError> {
    let error = io_error("reading the active segment");
    let file = disk.open_reader(&header.file_name()).map_err(&error)?;
    let file_bytes = file.len_bytes().map_err(&error)?;
    let step = OpenStep::ScanActiveSegment;
    let mut progress = StepProgress::begin(on_progress, step, 1, file_bytes);
    let mut scan = SegmentScan::new(Arc::clone(&file), header);
    let found = scan_frames(&mut scan, header, segment, |offset| {
        progress.read_up_to(offset)
    })?;
    let end = scan.end();
    let tail = judge_tail(&file, &end, found).map_err(&error)?;
    progress.segment_done(file_bytes);
    if file_bytes < header.capacity_bytes {
        let what = "the active segment is shorter than its header says";
        return Err(damaged(header, end.offset, end.next_position, what));
    }
    match tail {
        Tail::Clean => Ok((end, None)),
        Tail::Torn { end_offset } => Ok((end, Some(end_offset))),
        Tail::Damaged(what) => Err(damaged(header, end.offset, end.next_position, what)),
    }
}

/// Takes every frame that holds into `segment`; gives back why the next one does not.
pub(super) fn scan_frames(
    scan: &mut SegmentScan,
    header: &SegmentHeader,
    segment: &LiveSegment,
    mut read_up_to: impl FnMut(u64),
) -> Result<&'static str, OpenError> {
    loop {
        let before = scan.end();
        match scan.next_frame().map_err(io_error("reading a segment"))? {
            Scanned::Frame(frame) => {
                take_frame(&frame, segment).ok_or_else(|| {
                    let what = "a record of the frame cannot be decoded";
                    damaged(header, before.offset, before.next_position, what)
                })?;
                read_up_to(scan.end().offset);
            }
            Scanned::NoFrame(why) => return Ok(why),
            Scanned::NewerFormat(found) => return Err(newer_format(&header.file_name(), found)),
        }
    }
}

pub(super) fn take_frame(frame: &ScannedFrame<'_>, segment: &LiveSegment) -> Option<()> {
    let mut fields = Fields::new(frame.body);
    let mut records = Vec::new();
    let mut appends = Vec::new();
    let mut position = frame.header.first_position;
    // So many events of the append that was announced last are still to come.
    let mut announced = 0;
    while !fields.rest().is_empty() {
        let offset_in_body = frame.body.len() - fields.rest().len();
        let raw = RawRecord::next(&mut fields)?;
        if raw.is_foreign() {
            return None;
        }
        if raw.is_event() {
            let (parts, version) =
                record::decode_place(raw.content).filter(|_| raw.is_intact(position))?;
            records.push(RecordPlace {
                stream: parts.to_stream_id()?,
                version,
                offset_in_body,
            });
            position = position.next();
            announced = u64::saturating_sub(announced, 1);
        } else if let Announced::Append(append) = append_record::decode(raw.content)? {
            if !raw.is_intact(position) || announced != 0 {
                return None;
            }
            announced = append.event_count;
            appends.push(AppendPlace {
                position,
                command: append.command.map(|command| command.id),
                offset_in_body,
            });
        }
    }
    if position != frame.header.next_position() || announced != 0 {
        return None;
    }
    let body_offset = frame.offset + FRAME_HEADER_BYTES as u64;
    segment.add_commands(body_offset, appends.into_iter());
    if records.is_empty() {
        return Some(()); // No reader looks for a frame without events.
    }
    let place = FramePlace {
        first_position: frame.header.first_position,
        offset: u32::try_from(frame.offset).ok()?,
    };
    segment.add_frame(place, body_offset, records.into_iter());
    Some(())
}
