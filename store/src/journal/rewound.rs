//! A journal whose newest part is missing looks whole by itself. What follows it knows better.

use std::path::Path;

use crate::error::{Damage, OpenError};
use crate::journal::recovery::path_of;
use crate::journal::scan::ScanEnd;
use crate::journal::segment::{self, SegmentHeader};
use crate::position::Position;
use crate::sidecar::{Sidecar, Witness};

/// Refuses a journal that ends before an event that the index or a read model follows.
///
/// Both are only ever written for events that are durable, so no crash explains it. A store that was restored from a
/// backup, or whose index was moved away, has no such witness and opens.
pub(super) fn refuse_if_older(
    directory: &Path,
    active: &SegmentHeader,
    end: &ScanEnd,
    sidecar: &Sidecar,
) -> Result<(), OpenError> {
    let witness = sidecar.witness().map_err(OpenError::Io)?;
    let Some(Witness { what, position }) =
        witness.filter(|witness| witness.position >= end.next_position)
    else {
        return Ok(());
    };
    let head = end.next_position.get().saturating_sub(1);
    let what = format!(
        "{what} knows of position {position}, but the journal ends with position {head}: \
         its newest segments are missing, or an older copy of it was put back"
    );
    Err(older(
        directory,
        &active.file_name(),
        end.offset,
        end.next_position,
        what,
    ))
}

/// Refuses to begin a new journal beside an index that was made from one.
pub(super) fn refuse_if_all_is_gone(directory: &Path) -> Result<(), OpenError> {
    if !Sidecar::is_in(directory).map_err(OpenError::Io)? {
        return Ok(());
    }
    let first = Position::BEFORE_FIRST.next();
    let what = "there is no segment, but an index that was made from some".to_owned();
    Err(older(directory, &segment::file_name(first), 0, first, what))
}

fn older(
    directory: &Path,
    file_name: &str,
    offset: u64,
    position: Position,
    what: String,
) -> OpenError {
    OpenError::OlderThanIndex {
        damage: Damage {
            file: path_of(file_name),
            offset,
            position,
            what,
        },
        index: directory.join("index"),
    }
}
