use std::sync::Arc;
use std::time::Instant;

use crate::journal::disk::Disk;
use crate::journal::recovery::path_of;
use crate::journal::scan::ScanEnd;
use crate::journal::segment::{self, FORMAT_VERSION, Hash, SegmentHeader};
use crate::journal::spare::{SPARE_NAME, UNFINISHED_SPARE_NAME};
use crate::journal::verify::findings::Break;
use crate::journal::verify::frame_check::FrameCheck;
use crate::journal::verify::{VerifiedTail, VerifyError, VerifyProgress, VerifyReport, io_error};
use crate::position::Position;

/// How many bytes pass between two calls of the progress callback.
const PROGRESS_BYTES: u64 = 1 << 20;

/// One verification under way.
pub(in crate::journal) struct Walk<'a> {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) in_use: &'a dyn Fn() -> bool,
    progress: &'a mut dyn FnMut(&VerifyProgress),
    progress_at: u64,
    bytes_total: u64,
    bytes_before: u64,
    start: Instant,
    pub(super) report: VerifyReport,
    pub(super) check: FrameCheck,
    /// The place and the header of the segment read last, damaged ones left out.
    pub(super) before: Option<(usize, SegmentHeader)>,
    /// Where the chain stands: what the next frame has to follow.
    pub(super) end: Option<ScanEnd>,
    pub(super) first_break: Option<Break>,
    pub(super) events_behind_break: u64,
}

/// A verification that is done.
#[derive(Debug)]
pub(in crate::journal) struct Walked {
    pub(in crate::journal) report: VerifyReport,
    pub(in crate::journal) names: Vec<String>,
    pub(in crate::journal) first_break: Option<Break>,
    /// How many events of those behind the break can still be read.
    pub(in crate::journal) events_behind_break: u64,
    /// The header of the last segment and the end of its frames.
    pub(in crate::journal) last: Option<(SegmentHeader, ScanEnd)>,
}

/// A segment's file as it is found.
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    /// Its number in the order of the names.
    pub(super) index: usize,
    pub(super) header: Option<SegmentHeader>,
    /// The hash of its last frame and the position behind its last event, as the next segment tells them.
    pub(super) leads_to: Option<(Hash, Position)>,
    pub(super) is_last: bool,
}

impl<'a> Walk<'a> {
    pub(in crate::journal) fn new(
        disk: Arc<dyn Disk>,
        in_use: &'a dyn Fn() -> bool,
        progress: &'a mut dyn FnMut(&VerifyProgress),
    ) -> Self {
        let report = VerifyReport {
            store_id: None,
            segments: 0,
            frames: 0,
            events: 0,
            streams: 0,
            head: Position::BEFORE_FIRST,
            last_hash: [0; 32],
            tail: VerifiedTail::Clean,
            in_use: false,
            findings: Vec::new(),
            findings_left_out: 0,
            other_files: Vec::new(),
            bytes: 0,
            duration: std::time::Duration::ZERO,
        };
        Self {
            disk,
            in_use,
            progress,
            progress_at: 0,
            bytes_total: 0,
            bytes_before: 0,
            start: Instant::now(),
            report,
            check: FrameCheck::new(),
            before: None,
            end: None,
            first_break: None,
            events_behind_break: 0,
        }
    }

    pub(in crate::journal) fn run(mut self) -> Result<Walked, VerifyError> {
        self.report.in_use = (self.in_use)();
        let mut names = self.list()?;
        for name in &names {
            let file = self.disk.open_reader(name);
            let bytes = file.and_then(|file| file.len_bytes());
            self.bytes_total += bytes.map_err(io_error("reading a segment"))?;
        }
        let mut index = 0;
        while let Some(name) = names.get(index).cloned() {
            let next = names.get(index + 1).cloned();
            names = self.segment(index, &name, next, names)?;
            index += 1;
        }
        self.finish(names)
    }

    fn finish(mut self, names: Vec<String>) -> Result<Walked, VerifyError> {
        self.report.segments = names.len() as u64;
        self.report.streams = self.check.streams.len();
        self.report.bytes = self.bytes_before;
        if let Some(end) = &self.end {
            self.report.head = Position::new(end.next_position.get().saturating_sub(1));
            self.report.last_hash = end.last_hash;
        }
        self.report.duration = self.start.elapsed();
        Ok(Walked {
            report: self.report,
            names,
            first_break: self.first_break,
            events_behind_break: self.events_behind_break,
            last: self.before.map(|(_, header)| header).zip(self.end),
        })
    }

    /// The names of the segments in order; what else there is goes into the report.
    fn list(&mut self) -> Result<Vec<String>, VerifyError> {
        let names = self.disk.names().map_err(io_error("listing the journal"))?;
        let (mut segments, mut others): (Vec<_>, Vec<_>) = names
            .into_iter()
            .filter(|name| name != SPARE_NAME && name != UNFINISHED_SPARE_NAME)
            .partition(|name| segment::parse_file_name(name).is_some());
        segments.sort_unstable();
        others.sort_unstable();
        self.report.other_files = others;
        Ok(segments)
    }

    /// Checks one segment; gives back the names of all segments, of which there are more if the store went on meanwhile.
    fn segment(
        &mut self,
        index: usize,
        name: &str,
        next: Option<String>,
        mut names: Vec<String>,
    ) -> Result<Vec<String>, VerifyError> {
        let error = io_error("reading a segment");
        let file = self.disk.open_reader(name).map_err(&error)?;
        let mut found = Found {
            name,
            index,
            header: None,
            leads_to: self.leads_to(next.as_deref())?,
            is_last: next.is_none(),
        };
        self.header(&mut found)?;
        self.frames(&found, &file)?;
        let mut bytes = file.len_bytes().map_err(&error)?;
        if found.is_last {
            names = self.list()?;
            if let Some(next) = names.get(index + 1) {
                // The store has gone on in a new one: what was the end may have changed.
                found.is_last = false;
                found.leads_to = self.leads_to(Some(next))?;
                self.report.tail = VerifiedTail::Clean;
                self.frames(&found, &file)?;
                bytes = file.len_bytes().map_err(&error)?;
            }
        }
        self.length(&found, bytes);
        self.bytes_before += bytes;
        self.tell(0, name, true);
        Ok(names)
    }

    /// Tells how far it has come: `offset` bytes into the segment.
    pub(super) fn tell(&mut self, offset: u64, name: &str, always: bool) {
        let bytes_done = self.bytes_before + offset;
        if !always && bytes_done < self.progress_at {
            return;
        }
        self.progress_at = bytes_done + PROGRESS_BYTES;
        let next = self.end.map_or(0, |end| end.next_position.get());
        (self.progress)(&VerifyProgress {
            bytes_done,
            bytes_total: self.bytes_total.max(bytes_done),
            file: path_of(name),
            position: Position::new(next.saturating_sub(1)),
        });
    }
}

pub(super) fn newer_format(name: &str, found: u16) -> VerifyError {
    VerifyError::NewerFormat {
        file: path_of(name),
        found,
        newest: FORMAT_VERSION,
    }
}
