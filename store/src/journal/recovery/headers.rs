//! The headers of all segments, read and checked against each other.

use std::sync::Arc;

use crate::error::{Damage, OpenError};
use crate::journal::disk::Disk;
use crate::journal::recovery::{damaged, io_error, newer_format, path_of};
use crate::journal::segment::{self, BLOCK_BYTES, BadHeader, SegmentHeader};
use crate::position::Position;

/// The headers of all segments, which must make one unbroken series.
pub(crate) fn read_headers(disk: &Arc<dyn Disk>) -> Result<Vec<SegmentHeader>, OpenError> {
    let names = disk.names().map_err(io_error("listing the journal"))?;
    let mut positions: Vec<_> = names
        .iter()
        .filter_map(|name| segment::parse_file_name(name))
        .collect();
    positions.sort_unstable();
    let mut headers: Vec<SegmentHeader> = Vec::with_capacity(positions.len());
    for first_position in positions {
        let name = segment::file_name(first_position);
        let header = read_header(disk, &name, first_position)?;
        let expected = match headers.last() {
            None => (0, Position::BEFORE_FIRST.next(), header.store_id),
            Some(before) => (before.number + 1, first_position, before.store_id),
        };
        let found = (header.number, header.first_position, header.store_id);
        if found.2 != expected.2 {
            return Err(damaged(
                &header,
                0,
                first_position,
                "the segment belongs to another store",
            ));
        }
        if found != expected || header.first_position != first_position {
            let what = format!(
                "this is segment number {} from position {}, but number {} was expected here: \
                 a segment is missing or was moved",
                found.0, found.1, expected.0
            );
            return Err(damaged(&header, 0, first_position, what));
        }
        headers.push(header);
    }
    Ok(headers)
}

pub(crate) fn read_header(
    disk: &Arc<dyn Disk>,
    name: &str,
    first_position: Position,
) -> Result<SegmentHeader, OpenError> {
    let error = io_error("reading a segment header");
    let mut block = vec![0; BLOCK_BYTES];
    let file = disk.open_reader(name).map_err(&error)?;
    let read = file.read_at(0, &mut block).map_err(&error)?;
    block.truncate(read);
    SegmentHeader::decode(&block).map_err(|bad| match bad {
        BadHeader::NewerFormat(found) => newer_format(name, found),
        BadHeader::Damaged(what) => OpenError::Corrupt(Damage {
            file: path_of(name),
            offset: 0,
            position: first_position,
            what: what.to_owned(),
        }),
    })
}
