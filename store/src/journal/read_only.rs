//! A journal opened for reading only, beside whoever writes it.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::{Damage, OpenError};
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::disk::{Disk, FsDisk};
use crate::journal::follower::{Follower, Look, SegmentEnd};
use crate::journal::live_index::{LiveIndex, LiveSegment};
use crate::journal::reader::JournalReader;
use crate::journal::recovery::{io_error, read_headers, take_frame};
use crate::journal::segment::SegmentHeader;
use crate::journal::segments::Segments;
use crate::position::Position;

mod event_store;
mod first_scan;

use first_scan::scan_sealed_segments;

/// The events of a store for reading only: beside the process that writes it, of a closed store, of a backup, of a
/// directory that is mounted for reading only.
///
/// It takes no lock, changes nothing on disk and does not touch the index in sled. It implements
/// [`EventStore`](crate::EventStore) for everything that reads; `submit` is refused with
/// [`AppendError::ReadOnly`](crate::AppendError::ReadOnly). It has no snapshots and no read models.
///
/// It shows the journal as it was when it was opened or last refreshed. [`ReadOnlyJournal::refresh`] takes in what has
/// become durable since and moves the head; call it as often as you want to be up to date. An append appears as a whole
/// or not at all, and nothing appears before it is durable. It may appear a moment before the writing process has
/// acknowledged it: whoever compares the two waits until the writer's head has come to this one's.
///
/// # What it costs
/// Opening reads the whole journal once and checks every frame (with two threads where there are several segments). The
/// index is kept in memory: 8 bytes for each event, and for each stream about 200 bytes in every segment that has events
/// of it, so it is bounded by what the journal holds. A refresh reads what is new, and nothing else.
///
/// Opening and refreshing block; do them outside of async code or on a blocking thread.
///
/// ```
/// use foldhouse_store::{EventStore, JournalOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let writer = JournalOptions::new().segment_bytes(1 << 20).open(directory)?;
/// let auditor = JournalOptions::new().open_read_only(directory)?;
/// assert_eq!(auditor.refresh()?, writer.head());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadOnlyJournal {
    pub(super) reader: Arc<JournalReader>,
    follower: Mutex<Follower>,
    head: watch::Sender<Position>,
    directory: PathBuf,
}

impl fmt::Debug for ReadOnlyJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyJournal")
            .field("directory", &self.directory)
            .field("head", &*self.head.borrow())
            .finish_non_exhaustive()
    }
}

/// The headers of all segments, read beside whoever may be adding one.
pub(crate) fn headers_beside_a_writer(
    disk: &Arc<dyn Disk>,
    directory: &Path,
) -> Result<Vec<SegmentHeader>, OpenError> {
    let no_journal = || OpenError::NoJournal {
        directory: directory.to_owned(),
    };
    match disk.names() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_journal()),
        Err(error) => return Err(io_error("listing the journal")(error)),
    }
    // A list of names may lack one that is just being given, and have the one after it.
    let headers = read_headers(disk).or_else(|_| read_headers(disk))?;
    if headers.is_empty() {
        return Err(no_journal());
    }
    Ok(headers)
}

impl ReadOnlyJournal {
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(FsDisk::existing(&directory.join(JOURNAL_DIRECTORY)));
        Self::open_on(disk, directory)
    }

    pub(super) fn open_on(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self, OpenError> {
        let headers = headers_beside_a_writer(&disk, directory)?;
        let live = LiveIndex::default();
        for segment in scan_sealed_segments(&disk, &headers)? {
            live.push(segment);
        }
        let Some(last) = headers.last().cloned() else {
            return Err(OpenError::NoJournal {
                directory: directory.to_owned(),
            });
        };
        live.push(Arc::new(LiveSegment::new(last.number, last.first_position)));
        let first_positions = headers.iter().map(|header| header.first_position);
        let segments = Segments::new(Arc::clone(&disk), first_positions.collect());
        let follower = Follower::new(disk, last);
        let opened = Self {
            head: watch::Sender::new(follower.end().head()),
            reader: Arc::new(JournalReader::of_live_segments(segments, live)),
            follower: Mutex::new(follower),
            directory: directory.to_owned(),
        };
        opened.take_in(Look::Thorough)?;
        Ok(opened)
    }

    /// The directory that the store is in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes in what has become durable since it was opened or last refreshed, and gives back the head. Blocks.
    ///
    /// A write that is under way, or did not complete, is the end for now. Whatever the writing process does meanwhile
    /// (sealing segments, dying, cutting off a torn write and going on in its place) is followed.
    ///
    /// # Errors
    /// The same as those of opening: what follows is damaged, has a newer format, or cannot be read. What was there
    /// before stays readable, and refreshing can be tried again. Zeros in place of the first block of a frame look like
    /// the end until the segment is sealed; opening looks closer.
    pub fn refresh(&self) -> Result<Position, OpenError> {
        self.take_in(Look::Brief)
    }

    fn take_in(&self, look: Look) -> Result<Position, OpenError> {
        let mut place = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Aside until it is taken in as a whole: after an error the next refresh starts here again.
            let mut follower = place.clone();
            let number = follower.header().number;
            let new = LiveSegment::new(number, follower.header().first_position);
            let end = follower.follow::<OpenError>(look, |frame| {
                let what = "a record of the frame cannot be decoded";
                take_frame(frame, &new)
                    .map(ControlFlow::Continue)
                    .ok_or_else(|| {
                        undecodable(&place, frame.offset, frame.header.first_position, what)
                    })
            })?;
            let next = match end {
                SegmentEnd::Sealed(next) => Some(next),
                SegmentEnd::Open | SegmentEnd::Stopped => None,
            };
            let head = follower.end().head();
            if head > place.end().head() {
                // The frames of a sealed segment are durable: the next one is not begun before.
                if next.is_none() {
                    follower.sync()?;
                }
                if let Some(segment) = self.reader.live.view().segment(number) {
                    segment.absorb(new);
                }
                self.head.send_replace(head);
            }
            let Some(next) = next else {
                *place = follower;
                return Ok(head);
            };
            if let Some(segment) = self.reader.live.view().segment(number) {
                segment.shrink();
            }
            self.reader.segments.push(next.first_position);
            self.reader
                .live
                .push(Arc::new(LiveSegment::new(next.number, next.first_position)));
            follower.enter(next);
            *place = follower;
        }
    }
}

fn undecodable(place: &Follower, offset: u64, position: Position, what: &str) -> OpenError {
    OpenError::Corrupt(Damage {
        file: Path::new(JOURNAL_DIRECTORY).join(place.header().file_name()),
        offset,
        position,
        what: what.to_owned(),
    })
}

#[cfg(test)]
mod tests;
