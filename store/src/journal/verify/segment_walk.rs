use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::journal::disk::BlockReader;
use crate::journal::recovery::{TornTail, path_of};
use crate::journal::scan::{ScanEnd, Scanned, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{BLOCK_BYTES, FIRST_FRAME_OFFSET};
use crate::journal::verify::findings::damage;
use crate::journal::verify::walk::{Found, Walk, newer_format};
use crate::journal::verify::{VerifiedTail, VerifyError, io_error};
use crate::position::Position;

/// How often the end of a journal that is being written is read again before it is believed.
const READ_AGAIN_MAX: usize = 20;
const READ_AGAIN_PAUSE: Duration = Duration::from_millis(5);

impl Walk<'_> {
    /// Walks all frames of a segment from where the chain stands; whatever does not hold becomes a finding.
    pub(super) fn frames(
        &mut self,
        found: &Found<'_>,
        file: &Arc<dyn BlockReader>,
    ) -> Result<(), VerifyError> {
        let from = self.end.unwrap_or(ScanEnd {
            offset: FIRST_FRAME_OFFSET,
            last_hash: [0; 32],
            next_position: Position::BEFORE_FIRST.next(),
            last_committed_at: None,
        });
        let mut scan = SegmentScan::resume(Arc::clone(file), from);
        let error = io_error("reading a segment");
        loop {
            let before = scan.end();
            self.end = Some(before);
            let frame_end = match scan.next_frame().map_err(&error)? {
                Scanned::NewerFormat(version) => return Err(newer_format(found.name, version)),
                Scanned::NoFrame(why) => {
                    let goes_on = if found.is_last {
                        self.at_the_end(found, file, &mut scan, why)?
                    } else {
                        self.behind(found, file, &mut scan, why)?
                    };
                    if !goes_on {
                        self.end = Some(scan.end());
                        return Ok(());
                    }
                    continue;
                }
                Scanned::Frame(frame) => {
                    let mut flaws = Vec::new();
                    self.check.check(&frame, &mut flaws);
                    for flaw in flaws {
                        self.find_flaw(found, frame.offset, flaw);
                    }
                    self.count(frame.header.event_count);
                    frame.offset + frame.header.frame_bytes() as u64
                }
            };
            let end = scan.end();
            if !scan.is_zero(frame_end, end.offset).map_err(&error)? {
                let what = "what fills the frame's last block up is not zeros; no event is harmed";
                self.note(damage(found.name, frame_end, before.next_position, what));
            }
            self.end = Some(end);
            self.tell(end.offset, found.name, false);
        }
    }

    fn count(&mut self, events: u32) {
        self.report.frames += 1;
        self.report.events += u64::from(events);
        if self.first_break.is_some() {
            self.events_behind_break += u64::from(events);
        }
    }

    /// Decides what stands behind the last frame of the last segment; tells whether to go on.
    fn at_the_end(
        &mut self,
        found: &Found<'_>,
        file: &Arc<dyn BlockReader>,
        scan: &mut SegmentScan,
        why: &'static str,
    ) -> Result<bool, VerifyError> {
        let error = io_error("reading the last segment");
        let end = scan.end();
        let mut tail = judge_tail(file, &end, why).map_err(&error)?;
        // A store in use may have written on since: what looks unfinished, or out of place, is read again.
        let mut again = 0;
        while tail != Tail::Clean && again < READ_AGAIN_MAX && (self.in_use)() {
            self.report.in_use = true;
            let mut fresh = SegmentScan::resume(Arc::clone(file), end);
            if matches!(fresh.next_frame().map_err(&error)?, Scanned::Frame(_)) {
                *scan = SegmentScan::resume(Arc::clone(file), end);
                return Ok(true);
            }
            thread::sleep(READ_AGAIN_PAUSE);
            tail = judge_tail(file, &end, why).map_err(&error)?;
            again += 1;
        }
        match tail {
            Tail::Clean => Ok(false),
            Tail::Torn { end_offset } => {
                let torn = TornTail {
                    file: path_of(found.name),
                    offset: end.offset,
                    bytes: end_offset - end.offset,
                };
                self.report.tail = if self.report.in_use {
                    VerifiedTail::InFlight(torn)
                } else {
                    VerifiedTail::Torn(torn)
                };
                Ok(false)
            }
            Tail::Damaged(_) => self.behind(found, file, scan, why),
        }
    }

    /// Finds out where to go on where no frame holds; tells whether there is such a place.
    fn behind(
        &mut self,
        found: &Found<'_>,
        file: &Arc<dyn BlockReader>,
        scan: &mut SegmentScan,
        why: &'static str,
    ) -> Result<bool, VerifyError> {
        let error = io_error("reading a segment");
        let end = scan.end();
        let file_bytes = file.len_bytes().map_err(&error)?;
        let is_complete = found.leads_to == Some((end.last_hash, end.next_position));
        if scan.is_zero(end.offset, file_bytes).map_err(&error)? {
            return Ok(false);
        }
        if is_complete {
            let what =
                "what stands behind the segment's last frame is not zeros; no event is harmed";
            self.note(damage(found.name, end.offset, end.next_position, what));
            return Ok(false);
        }
        let here = scan.frame_at(end.offset).map_err(&error)?;
        let Some((header, is_intact)) = here else {
            return self.search(found, file_bytes, scan, why);
        };
        let after = end.offset + header.padded_bytes() as u64;
        let (first, next) = (header.first_position, end.next_position);
        if is_intact && first < next {
            let what = format!(
                "a frame from position {first} stands here, but {next} is the next one: it was copied or moved"
            );
            self.find(found, end.offset, next, what);
            scan.set_end(ScanEnd {
                offset: after,
                ..end
            });
        } else if is_intact {
            let what = format!("{why}: it starts with position {first}, {next} is the next one");
            self.find(found, end.offset, next, what);
            scan.set_end(ScanEnd {
                last_hash: header.previous_hash,
                next_position: first,
                ..end
            });
        } else if header.previous_hash == end.last_hash && first == next {
            let last = header.next_position().get().saturating_sub(1);
            let what = format!("{why}; it holds positions {first} to {last}");
            self.find(found, end.offset, next, what);
            scan.set_end(ScanEnd {
                offset: after,
                last_hash: header.hash,
                next_position: header.next_position(),
                ..end
            });
        } else {
            return self.search(found, file_bytes, scan, why);
        }
        Ok(true)
    }

    /// Looks for the next whole frame, block by block.
    fn search(
        &mut self,
        found: &Found<'_>,
        file_bytes: u64,
        scan: &mut SegmentScan,
        why: &'static str,
    ) -> Result<bool, VerifyError> {
        let end = scan.end();
        let from = end.offset + BLOCK_BYTES as u64;
        for offset in (from..file_bytes).step_by(BLOCK_BYTES) {
            let there = scan
                .frame_at(offset)
                .map_err(io_error("reading a segment"))?;
            let Some((header, _)) = there.filter(|(header, is_intact)| {
                *is_intact && header.first_position >= end.next_position
            }) else {
                continue;
            };
            let what = format!(
                "{why}; the next whole frame is at offset {offset} and starts with position {}",
                header.first_position
            );
            self.find(found, end.offset, end.next_position, what);
            scan.set_end(ScanEnd {
                offset,
                last_hash: header.previous_hash,
                next_position: header.first_position,
                ..end
            });
            return Ok(true);
        }
        let what = format!("{why}, and no whole frame follows in this segment");
        self.find(found, end.offset, end.next_position, what);
        Ok(false)
    }
}
