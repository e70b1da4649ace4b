//! What a backup and a restore share: segments copied frame by frame, each checked on the way, into a directory that
//! gets its name when all of it is durable.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{CopyError, Fault};
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::disk::{Disk, FsDisk, sync_directory};
use crate::journal::recovery::{damaged, io_error};
use crate::journal::segment::{BLOCK_BYTES, BadHeader, SegmentHeader};
use crate::position::Position;

mod target;

pub(super) use target::{Target, lock_target};

/// What a file is called until all of it is durable.
const UNFINISHED_SUFFIX: &str = ".unfinished";
const BUFFER_BYTES: usize = 1 << 20;

/// How far a backup or a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// The bytes of the source that are done, copied or not.
    pub bytes_done: u64,
    /// All bytes of the source, as far as they are known; a restore to an earlier point needs less.
    pub bytes_total: u64,
    /// The position of the last event that is done.
    pub position: Position,
}

/// Whoever watches a copy, and may stop it.
pub(super) type Watcher<'a> = Option<Box<dyn FnMut(&CopyProgress) -> ControlFlow<()> + 'a>>;

/// Counts what is done, and tells whoever wants to know.
pub(super) struct Progress<'a> {
    told: CopyProgress,
    watcher: Watcher<'a>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        headers: &[SegmentHeader],
        watcher: Watcher<'a>,
    ) -> Result<Self, CopyError> {
        let mut bytes_total = 0;
        for header in headers {
            let bytes = disk
                .open_reader(&header.file_name())
                .and_then(|file| file.len_bytes())
                .map_err(|error| CopyError::Source(io_error("opening a segment")(error)))?;
            bytes_total += bytes;
        }
        let told = CopyProgress {
            bytes_done: 0,
            bytes_total,
            position: Position::BEFORE_FIRST,
        };
        Ok(Self { told, watcher })
    }

    /// Notes that so many more bytes are done, up to and including `position`.
    pub(super) fn add(&mut self, bytes: u64, position: Position) -> Result<(), CopyError> {
        self.told.bytes_done += bytes;
        self.told.position = position;
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        if watcher(&self.told).is_break() {
            return Err(CopyError::Stopped);
        }
        Ok(())
    }
}

/// The journal of a store that is only read.
pub(super) fn source_disk(from: &Path) -> Arc<dyn Disk> {
    Arc::new(FsDisk::existing(&from.join(JOURNAL_DIRECTORY)))
}

/// A failure in the directory that is copied to.
pub(super) fn writing(path: &Path) -> impl Fn(io::Error) -> CopyError + '_ {
    move |error| CopyError::Io(Fault::io(format!("writing {}", path.display()), error))
}

/// A segment that is being copied.
#[derive(Debug)]
pub(super) struct SegmentCopy {
    /// The name that it will have.
    path: PathBuf,
    unfinished: PathBuf,
    out: BufWriter<File>,
    length_bytes: u64,
    capacity_bytes: u64,
}

impl SegmentCopy {
    /// Begins with the header block of `header` as it is in the source.
    pub(super) fn begin(
        source: &Arc<dyn Disk>,
        header: &SegmentHeader,
        directory: &Path,
    ) -> Result<Self, CopyError> {
        let (block, capacity_bytes) = read_block(source, header)?;
        let path = directory.join(header.file_name());
        let unfinished = unfinished_path(&path);
        // Removed, never overwritten: it can be a link to a segment of the source.
        remove_if_there(&unfinished)?;
        let file = File::create_new(&unfinished).map_err(writing(&unfinished))?;
        let mut copy = Self {
            path,
            unfinished,
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            length_bytes: 0,
            capacity_bytes,
        };
        copy.put(&block)?;
        Ok(copy)
    }

    /// Adds a frame (or another part of whole blocks but for its padding).
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let padding = bytes.len().next_multiple_of(BLOCK_BYTES) - bytes.len();
        let padding = ZEROS.get(..padding).unwrap_or_default();
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.write_all(padding))
            .map_err(writing(&self.unfinished))?;
        self.length_bytes += (bytes.len() + padding.len()) as u64;
        Ok(())
    }

    pub(super) fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Makes all of it durable, at its full capacity if it is to be the last segment of a journal, and gives it its name.
    fn place(self, is_last: bool) -> Result<Placed, CopyError> {
        let place = || {
            let file = self.out.into_inner().map_err(|error| error.into_error())?;
            if is_last {
                file.set_len(self.capacity_bytes.max(self.length_bytes))?;
            }
            file.sync_all()?;
            fs::rename(&self.unfinished, &self.path)
        };
        place().map_err(writing(&self.path))?;
        Ok(Placed {
            path: self.path,
            length_bytes: self.length_bytes,
            capacity_bytes: self.capacity_bytes,
        })
    }
}

/// A copied segment that has its name.
#[derive(Debug)]
struct Placed {
    path: PathBuf,
    /// Where its frames end.
    length_bytes: u64,
    capacity_bytes: u64,
}

impl Placed {
    fn set_length(&self, bytes: u64) -> Result<(), CopyError> {
        let set_length = || {
            let file = File::options().write(true).open(&self.path)?;
            file.set_len(bytes)?;
            file.sync_all()
        };
        set_length().map_err(writing(&self.path))
    }
}

/// The header block of a segment, byte for byte, and the capacity that it tells.
fn read_block(source: &Arc<dyn Disk>, header: &SegmentHeader) -> Result<(Vec<u8>, u64), CopyError> {
    let mut block = vec![0; BLOCK_BYTES];
    let read = source
        .open_reader(&header.file_name())
        .and_then(|file| file.read_at(0, &mut block))
        .map_err(|error| CopyError::Source(io_error("reading a segment header")(error)))?;
    block.truncate(read);
    // An empty segment may just have been replaced by a larger one.
    match SegmentHeader::decode(&block) {
        Ok(now) => Ok((block, now.capacity_bytes)),
        Err(bad) => {
            let what = match bad {
                BadHeader::Damaged(what) => what,
                BadHeader::NewerFormat(_) => "the segment header has become one of a newer format",
            };
            let error = damaged(header, 0, header.first_position, what);
            Err(CopyError::Source(error))
        }
    }
}

fn unfinished_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED_SUFFIX);
    path.with_file_name(name)
}

fn remove_if_there(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(writing(path)(error)),
        _ => Ok(()),
    }
}

/// The segments of the copy, which are placed one behind the other.
#[derive(Debug)]
pub(super) struct JournalCopy {
    directory: PathBuf,
    /// It must be a journal at every moment, and not only when it is finished: its last segment always has its full
    /// capacity, and each name is durable before the next one is given.
    is_live: bool,
    /// The copied segment that is the last one.
    last: Option<Placed>,
}

impl JournalCopy {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            directory: target.segments().to_owned(),
            is_live: !target.is_unfinished(),
            last: None,
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Places a segment behind the others. The one before is sealed now, and needs no room for more.
    pub(super) fn place(&mut self, copy: SegmentCopy) -> Result<(), CopyError> {
        let placed = copy.place(self.is_live)?;
        if self.is_live {
            self.sync_names()?;
            if let Some(sealed) = &self.last {
                sealed.set_length(sealed.length_bytes)?;
            }
        }
        self.last = Some(placed);
        Ok(())
    }

    /// Places a sealed segment as another name of the file in the source, behind which another one will be copied.
    pub(super) fn link(&mut self, from: &Path, header: &SegmentHeader) -> Result<(), CopyError> {
        let path = self.directory.join(header.file_name());
        let unfinished = unfinished_path(&path);
        remove_if_there(&unfinished)?;
        fs::hard_link(from.join(header.file_name()), &unfinished)
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(writing(&path))
    }

    /// Makes it a whole journal.
    pub(super) fn finish(&self) -> Result<(), CopyError> {
        if let Some(last) = &self.last {
            last.set_length(last.capacity_bytes.max(last.length_bytes))?;
        }
        self.sync_names()
    }

    fn sync_names(&self) -> Result<(), CopyError> {
        sync_directory(&self.directory).map_err(writing(&self.directory))
    }
}
