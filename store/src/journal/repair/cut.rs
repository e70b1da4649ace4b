use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::Fault;
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::disk::sync_directory;
use crate::journal::recovery::path_of;
use crate::journal::repair::{RepairError, RepairStep};
use crate::journal::scan::ScanEnd;
use crate::journal::segment::{FIRST_FRAME_OFFSET, SegmentHeader};
use crate::journal::verify::{Break, Walked};
use crate::position::Position;

/// The new segment before it has its name. One that a kill left is written anew.
const UNFINISHED_NAME: &str = "repair.unfinished";
const INDEX_DIRECTORY: &str = "index";
/// How many damaged journals or indexes a directory may hold.
const ASIDE_MAX: u32 = 1_000;
const ZEROS_BYTES: usize = 1 << 20;

/// Going on from before the first damage.
pub(super) struct Cut {
    pub(super) step: RepairStep,
    last: LastSegment,
    /// The segments that are moved aside, in order.
    names: Vec<String>,
    index_to: Option<PathBuf>,
}

/// The segment that the journal will end with.
struct LastSegment {
    header: SegmentHeader,
    end: ScanEnd,
    /// The file that its frames are copied from; if none, it is empty.
    copy_of: Option<String>,
    /// How many segments before it stay.
    kept: usize,
}

impl Cut {
    /// `None` if the journal is whole.
    pub(super) fn of(directory: &Path, walked: &Walked) -> Result<Option<Self>, RepairError> {
        let Some(found) = &walked.first_break else {
            return Ok(None);
        };
        let Some(last) = LastSegment::of(found, walked) else {
            return Err(RepairError::NothingHolds(found.damage.clone()));
        };
        let names: Vec<_> = walked.names.iter().skip(last.kept).cloned().collect();
        let failed = |error| failed("looking for a free name", error);
        let to = free_name(directory, "journal.damaged").map_err(failed)?;
        let index_to = if directory.join(INDEX_DIRECTORY).exists() {
            Some(free_name(directory, "index.damaged").map_err(failed)?)
        } else {
            None
        };
        let head = Position::new(last.end.next_position.get().saturating_sub(1));
        let mut moves: Vec<_> = names.iter().map(|name| path_of(name)).collect();
        moves.extend(index_to.iter().map(|_| PathBuf::from(INDEX_DIRECTORY)));
        let step = RepairStep {
            damage: found.damage.clone(),
            head,
            lost_up_to: walked.report.head.max(head),
            readable: walked.events_behind_break,
            moves,
            to,
        };
        Ok(Some(Self {
            step,
            last,
            names,
            index_to,
        }))
    }

    /// Does it. A kill leaves the damaged journal, or one that ends where this one is to end.
    ///
    /// In this order: the new segment is written in full; the index, which can be made anew, goes first, so that it never
    /// knows of events that are gone; then the segments from the last one on, so that the damage stays in the journal
    /// until the new segment takes its place in one step.
    pub(super) fn make(&self, directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>, RepairError> {
        let journal = directory.join(JOURNAL_DIRECTORY);
        let unfinished = journal.join(UNFINISHED_NAME);
        self.last
            .write(&journal, &unfinished)
            .map_err(|error| failed("writing the part of the segment that holds", error))?;
        let moved = self
            .move_aside(directory, &journal)
            .map_err(|error| failed("moving aside what is given up", error))?;
        fs::rename(&unfinished, journal.join(self.last.header.file_name()))
            .and_then(|()| sync_directory(&journal))
            .map_err(|error| failed("putting the new segment in its place", error))?;
        Ok(moved)
    }

    fn move_aside(&self, directory: &Path, journal: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let mut moved = Vec::new();
        if let Some(to) = &self.index_to {
            fs::rename(directory.join(INDEX_DIRECTORY), directory.join(to))?;
            moved.push((PathBuf::from(INDEX_DIRECTORY), to.clone()));
        }
        let aside = directory.join(&self.step.to);
        if !self.names.is_empty() {
            fs::create_dir(&aside)?;
        }
        sync_directory(directory)?;
        let new_name = self.last.header.file_name();
        for name in self.names.iter().rev() {
            let (from, to) = (journal.join(name), aside.join(name));
            if *name == new_name {
                keep_under_another_name(&from, &to)?;
            } else {
                fs::rename(&from, &to)?;
            }
            sync_directory(&aside)?;
            sync_directory(journal)?;
            moved.push((path_of(name), self.step.to.join(name)));
        }
        Ok(moved)
    }
}

impl LastSegment {
    /// `None` if no part of the journal can be kept.
    fn of(found: &Break, walked: &Walked) -> Option<Self> {
        let end = found.end?;
        if let Some(header) = &found.header {
            let name = walked.names.get(found.whole_segments)?;
            return Some(Self {
                header: header.clone(),
                end,
                copy_of: Some(name.clone()),
                kept: found.whole_segments,
            });
        }
        // The segment has no header that could be kept.
        let before = found.before.as_ref()?;
        if before.first_position == end.next_position {
            // Without an event in it, the next segment would take its name.
            let kept = found.whole_segments.checked_sub(1)?;
            return Some(Self {
                header: before.clone(),
                end,
                copy_of: Some(walked.names.get(kept)?.clone()),
                kept,
            });
        }
        let header = SegmentHeader {
            number: before.number + 1,
            first_position: end.next_position,
            previous_hash: end.last_hash,
            created_at: end.last_committed_at.unwrap_or(before.created_at),
            ..before.clone()
        };
        Some(Self {
            header,
            end,
            copy_of: None,
            kept: found.whole_segments,
        })
    }

    /// Header, the frames that hold, and zeros up to the capacity.
    fn write(&self, journal: &Path, unfinished: &Path) -> io::Result<()> {
        let mut out = File::create(unfinished)?;
        out.write_all(&self.header.encode())?;
        let mut written = FIRST_FRAME_OFFSET;
        if let Some(name) = &self.copy_of {
            let mut source = File::open(journal.join(name))?.take(self.end.offset);
            io::copy(&mut (&mut source).take(written), &mut io::sink())?;
            written += io::copy(&mut source, &mut out)?;
            if written != self.end.offset {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let zeros = vec![0; ZEROS_BYTES];
        while written < self.header.capacity_bytes {
            let left = usize::try_from(self.header.capacity_bytes - written).unwrap_or(ZEROS_BYTES);
            let zeros = zeros.get(..left).unwrap_or(&zeros);
            out.write_all(zeros)?;
            written += zeros.len() as u64;
        }
        out.sync_all()
    }
}

/// Gives the file a second name, so that a new one can take the first in one step.
fn keep_under_another_name(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| {
        // A file system without hard links: a whole copy is as good.
        fs::copy(from, to)?;
        File::open(to)?.sync_all()
    })
}

fn free_name(directory: &Path, stem: &str) -> io::Result<PathBuf> {
    for number in 1..=ASIDE_MAX {
        let name = PathBuf::from(format!("{stem}-{number}"));
        match fs::symlink_metadata(directory.join(&name)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(name),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "{} holds {ASIDE_MAX} of {stem}-*; move some of them elsewhere",
        directory.display()
    )))
}

fn failed(what: &str, error: io::Error) -> RepairError {
    RepairError::Io(Fault::io(what, error))
}
