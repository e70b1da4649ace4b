use crate::error::Damage;
use crate::journal::frame::FRAME_HEADER_BYTES;
use crate::journal::recovery::path_of;
use crate::journal::scan::ScanEnd;
use crate::journal::segment::SegmentHeader;
use crate::journal::verify::VERIFY_FINDINGS_MAX;
use crate::journal::verify::frame_check::Flaw;
use crate::journal::verify::walk::{Found, Walk};
use crate::position::Position;

/// Where a journal stops to hold: everything before it does.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Break {
    pub(in crate::journal) damage: Damage,
    /// How many segments hold from end to end.
    pub(in crate::journal) whole_segments: usize,
    /// The header of the segment in which it stops, if that holds.
    pub(in crate::journal) header: Option<SegmentHeader>,
    /// The header of the last segment that holds from end to end.
    pub(in crate::journal) before: Option<SegmentHeader>,
    /// The end of what holds; `None` if nothing does.
    pub(in crate::journal) end: Option<ScanEnd>,
}

impl Walk<'_> {
    /// Notes damage. Events may be missing from here on.
    pub(super) fn find(
        &mut self,
        found: &Found<'_>,
        offset: u64,
        position: Position,
        what: impl Into<String>,
    ) {
        let damage = damage(found.name, offset, position, what);
        self.break_at(found, &damage);
        self.check.note_gap();
        self.note(damage);
    }

    /// Notes what cannot be in a frame that holds.
    pub(super) fn find_flaw(&mut self, found: &Found<'_>, frame_offset: u64, flaw: Flaw) {
        let offset_in_frame = flaw
            .offset_in_body
            .map_or(0, |offset| FRAME_HEADER_BYTES + offset);
        let offset = frame_offset + offset_in_frame as u64;
        let damage = damage(found.name, offset, flaw.position, flaw.what);
        self.break_at(found, &damage);
        self.note(damage);
    }

    fn break_at(&mut self, found: &Found<'_>, damage: &Damage) {
        if self.first_break.is_none() {
            self.first_break = Some(Break {
                damage: damage.clone(),
                whole_segments: found.index,
                header: found.header.clone(),
                before: self
                    .before
                    .as_ref()
                    .filter(|(index, _)| index + 1 == found.index)
                    .map(|(_, header)| header.clone()),
                end: self.end,
            });
        }
    }

    /// Notes something that is not as it should be, but costs no event.
    pub(super) fn note(&mut self, damage: Damage) {
        if self.report.findings.len() < VERIFY_FINDINGS_MAX {
            self.report.findings.push(damage);
        } else {
            self.report.findings_left_out += 1;
        }
    }
}

pub(super) fn damage(
    name: &str,
    offset: u64,
    position: Position,
    what: impl Into<String>,
) -> Damage {
    Damage {
        file: path_of(name),
        offset,
        position,
        what: what.into(),
    }
}
