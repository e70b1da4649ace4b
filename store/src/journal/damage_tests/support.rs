use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::error::{Damage, OpenError};
use crate::event::RecordedEvent;
use crate::event_store::{EventStore, StreamQuery};
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::disk::{BlockReader, BlockWriter, Disk};
use crate::journal::frame::{FrameHeader, HeaderCheck};
use crate::journal::segment::FIRST_FRAME_OFFSET;
use crate::journal::test_support::{append, options};
use crate::journal::verify::{Walk, Walked};
use crate::position::Position;

/// A frame in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) start: usize,
    /// Behind the footer.
    pub(super) end: usize,
    /// Behind the padding.
    pub(super) padded_end: usize,
    pub(super) header: FrameHeader,
}

/// The frames of a segment file.
pub(super) fn frames(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut start = usize::try_from(FIRST_FRAME_OFFSET).unwrap();
    while let Some(at) = bytes.get(start..)
        && let HeaderCheck::Sound(header) = FrameHeader::check(at)
    {
        let (end, padded_end) = (start + header.frame_bytes(), start + header.padded_bytes());
        places.push(Place {
            start,
            end,
            padded_end,
            header,
        });
        start = padded_end;
    }
    places
}

/// The segment files of a store by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A store on disk that was closed, and what it answers.
pub(super) struct Subject {
    pub(super) directory: tempfile::TempDir,
    pub(super) files: Files,
    pub(super) events: Vec<RecordedEvent>,
}

impl Subject {
    /// Of so many appends of one event each, to three streams.
    pub(super) fn new(appends: usize) -> Self {
        Self::of_payloads((0..appends).map(|number| 300 + number % 7 * 900))
    }

    /// The same with events of a few dozen bytes, one frame to a block.
    pub(super) fn of_small_frames(appends: usize) -> Self {
        Self::of_payloads((0..appends).map(|number| number % 120))
    }

    fn of_payloads(payloads: impl Iterator<Item = usize>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = options().open(directory.path()).unwrap();
        for (number, bytes) in payloads.enumerate() {
            append(&store, &(number % 3).to_string(), bytes).unwrap();
        }
        drop(store);
        Self::of(directory)
    }

    /// Of what lies in `directory`.
    pub(super) fn of(directory: tempfile::TempDir) -> Self {
        let files = segment_files(directory.path());
        // Opened as a copy: opening writes.
        let copy = copy_of(directory.path());
        let events = read(copy.path()).unwrap();
        Self {
            directory,
            files,
            events,
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// A copy of the store with these segments in place of its own.
    pub(super) fn with(&self, files: &Files) -> tempfile::TempDir {
        let copy = copy_of(self.directory.path());
        let journal = copy.path().join(JOURNAL_DIRECTORY);
        for name in self.files.keys() {
            let _ = fs::remove_file(journal.join(name));
        }
        for (name, bytes) in files {
            fs::write(journal.join(name), bytes).unwrap();
        }
        copy
    }
}

pub(super) fn segment_files(directory: &Path) -> Files {
    let journal = directory.join(JOURNAL_DIRECTORY);
    let entries = fs::read_dir(&journal).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".segment"))
        .map(|name| (name.clone(), fs::read(journal.join(&name)).unwrap()))
        .collect()
}

pub(super) fn copy_of(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(directory, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().starts_with("spare") {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// All that a store answers, or the damage that it names.
pub(super) fn read(directory: &Path) -> Result<Vec<RecordedEvent>, Damage> {
    let store = options().open(directory).map_err(|error| match error {
        OpenError::Corrupt(damage) | OpenError::OlderThanIndex { damage, .. } => damage,
        other => panic!("{other}"),
    })?;
    assert_eq!(store.recovery().torn_tail, None, "cut off silently");
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.reader.read_all(after, store.head(), 1_000);
        let page = page.map_err(read_damage)?;
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    for id in ["0", "1", "2"] {
        let query = StreamQuery::whole(crate::journal::test_support::stream(id), 10_000);
        let page = store.reader.read_stream(&query).map_err(read_damage)?;
        let expected = events
            .iter()
            .filter(|event| event.stream.aggregate_id() == id);
        assert!(page.events.iter().eq(expected), "stream {id} differs");
    }
    Ok(events)
}

fn read_damage(error: crate::error::ReadError) -> Damage {
    match error {
        crate::error::ReadError::Corrupt(damage) => damage,
        other => panic!("{other}"),
    }
}

/// Segments in memory, as many as one likes, for verifying many of them fast.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryDisk {
    pub(super) files: BTreeMap<String, MemoryFile>,
}

/// A file whose bits can be flipped under its readers.
#[derive(Clone, Debug)]
pub(super) struct MemoryFile(pub(super) Arc<Mutex<Vec<u8>>>);

impl MemoryDisk {
    pub(super) fn new(files: &Files) -> Self {
        let shared = |bytes: &Vec<u8>| MemoryFile(Arc::new(Mutex::new(bytes.clone())));
        Self {
            files: files
                .iter()
                .map(|(name, bytes)| (name.clone(), shared(bytes)))
                .collect(),
        }
    }

    pub(super) fn walk(&self) -> Walked {
        let disk: Arc<dyn Disk> = Arc::new(self.clone());
        Walk::new(disk, &|| false, &mut |_| ()).run().unwrap()
    }
}

impl BlockReader for MemoryFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap();
        let rest = &bytes[bytes.len().min(usize::try_from(offset).unwrap())..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn open_reader(&self, name: &str) -> io::Result<Arc<dyn BlockReader>> {
        Ok(Arc::new(self.files[name].clone()))
    }

    fn create_zeroed(&self, _: &str, _: u64) -> io::Result<()> {
        unimplemented!("verifying only reads")
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        unimplemented!("verifying only reads")
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        unimplemented!("verifying only reads")
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        unimplemented!("verifying only reads")
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        unimplemented!("verifying only reads")
    }

    fn open_writer(&self, _: &str) -> io::Result<Box<dyn BlockWriter>> {
        unimplemented!("verifying only reads")
    }
}
