//! The file system as the journal sees it, behind a trait so that tests can make it fail.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::block_buffer::BlockBuffer;
use crate::journal::segment::BLOCK_BYTES;

/// How frames reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// `O_DIRECT | O_DSYNC`: one system call writes a frame past the page cache and returns when it is durable.
    Direct,
    /// `O_DSYNC` through the page cache, where the file system refuses `O_DIRECT` (tmpfs does).
    Buffered,
    /// A write followed by `fdatasync`, on systems without `O_DSYNC`.
    WriteThenSync,
}

/// The files of one directory. Every method that changes something returns when the change is durable.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    fn names(&self) -> io::Result<Vec<String>>;
    /// A file of that many zero bytes that are really on disk: a later write changes data, no metadata.
    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()>;
    /// Makes durable what an earlier process may have left half way: the content of the file, and the names of all.
    fn sync(&self, name: &str) -> io::Result<()>;
    fn open_writer(&self, name: &str) -> io::Result<Box<dyn BlockWriter>>;
    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>>;
}

/// Writes whole blocks in place.
pub(crate) trait BlockWriter: fmt::Debug + Send {
    /// Writes `blocks` (starting at a block boundary in the file and in memory, whole blocks) and returns when they are
    /// durable. After an error nothing is known about the content of that range.
    fn write_durably(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()>;
    fn mode(&self) -> WriteMode;
}

/// Reads anywhere.
pub(crate) trait BlockReader: fmt::Debug + Send + Sync {
    fn len_bytes(&self) -> io::Result<u64>;
    /// Reads as many bytes as there are, up to the length of `buffer`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The real thing.
#[derive(Debug)]
pub(crate) struct FsDisk {
    directory: PathBuf,
}

impl FsDisk {
    /// Creates the directory if it is not there.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        create_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// A directory that is there already; nothing is created.
    pub(crate) fn existing(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Creates the directory and those above it that are not there, each with a durable name.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match fs::create_dir(directory) {
        Ok(()) => sync_directory(parent),
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent != directory => {
            create_directory(parent)?;
            fs::create_dir(directory)?;
            sync_directory(parent)
        }
        // Whoever created it may have died before its name was durable; who may not look into the parent did not.
        Err(_) if directory.is_dir() => match sync_directory(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        },
        Err(error) => Err(error),
    }
}

pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Disk for FsDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.directory)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<()> {
        const CHUNK_BYTES: usize = 1 << 20;
        let path = self.path(name);
        let (file, _) = open_for_blocks(&path, true, false)?;
        let mut zeros = BlockBuffer::default();
        let chunk: &[u8] = zeros.zeroed(CHUNK_BYTES);
        let mut offset = 0;
        while offset < bytes {
            let len = usize::try_from(bytes - offset)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            file.write_all_at(chunk.get(..len).unwrap_or(chunk), offset)?;
            offset += len as u64;
        }
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        sync_directory(&self.directory)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(name))?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()?;
        sync_directory(&self.directory)
    }

    fn open_writer(&self, name: &str) -> io::Result<Box<dyn BlockWriter>> {
        let (file, mode) = open_for_blocks(&self.path(name), false, true)?;
        if mode != WriteMode::Direct {
            tracing::warn!(
                file = name,
                ?mode,
                "the file system refuses O_DIRECT; writing through the page cache"
            );
        }
        Ok(Box::new(FsBlockWriter { file, mode }))
    }

    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>> {
        Ok(Arc::new(FsBlockReader {
            file: File::open(self.path(name))?,
        }))
    }
}

#[cfg(target_os = "linux")]
fn open_for_blocks(path: &Path, create: bool, durable: bool) -> io::Result<(File, WriteMode)> {
    use std::os::unix::fs::OpenOptionsExt;

    let sync_flag = if durable { libc::O_DSYNC } else { 0 };
    let open = |flags: i32| {
        OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(create)
            .custom_flags(flags)
            .open(path)
    };
    match open(libc::O_DIRECT | sync_flag) {
        // What tmpfs and some network and encrypted file systems answer.
        Err(refused) if refused.raw_os_error() == Some(libc::EINVAL) => {
            Ok((open(sync_flag)?, WriteMode::Buffered))
        }
        other => Ok((other?, WriteMode::Direct)),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_for_blocks(path: &Path, create: bool, _durable: bool) -> io::Result<(File, WriteMode)> {
    let file = OpenOptions::new()
        .write(true)
        .create(create)
        .truncate(create)
        .open(path)?;
    Ok((file, WriteMode::WriteThenSync))
}

#[derive(Debug)]
struct FsBlockWriter {
    file: File,
    mode: WriteMode,
}

impl BlockWriter for FsBlockWriter {
    fn write_durably(&mut self, offset: u64, blocks: &[u8]) -> io::Result<()> {
        debug_assert!(blocks.len().is_multiple_of(BLOCK_BYTES));
        self.file.write_all_at(blocks, offset)?;
        match self.mode {
            WriteMode::Direct | WriteMode::Buffered => Ok(()),
            WriteMode::WriteThenSync => self.file.sync_data(),
        }
    }

    fn mode(&self) -> WriteMode {
        self.mode
    }
}

#[derive(Debug)]
struct FsBlockReader {
    file: File,
}

impl BlockReader for FsBlockReader {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(open) = buffer.get_mut(filled..).filter(|open| !open.is_empty()) {
            match self.file.read_at(open, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
