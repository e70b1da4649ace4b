//! What the tests of failing and racing stores share.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::faulty_disk::{Faults, FaultyDisk};
use super::*;
use crate::append::{Append, Appended};
use crate::error::AppendError;
use crate::event::{NewEvent, Payload, RecordedEvent};
use crate::event_store::EventStore;
use crate::journal::closing_mark::KIND_CLOSED;
use crate::journal::disk::FsDisk;
use crate::journal::frame::{FRAME_HEADER_BYTES, FrameHeader, HeaderCheck};
use crate::journal::opening::lock;
use crate::journal::record::RECORD_PREFIX_BYTES;
use crate::journal::segment::BLOCK_BYTES;
use crate::position::ExpectedVersion;
use crate::stream_id::StreamId;

pub(super) type Outcome = Result<Appended, AppendError>;

pub(super) const SEGMENT_BYTES: u64 = 256 << 10;

/// Longer than anything takes that is not stuck.
const STUCK: Duration = Duration::from_secs(60);

pub(super) fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(SEGMENT_BYTES)
}

pub(super) fn try_open(
    directory: &Path,
    options: &JournalOptions,
    faults: &Arc<Faults>,
) -> Result<JournalStore, OpenError> {
    let disk = FsDisk::open(&directory.join(JOURNAL_DIRECTORY)).unwrap();
    let disk = Arc::new(FaultyDisk::new(Arc::new(disk), Arc::clone(faults)));
    JournalStore::start_on(disk, directory, options, lock(directory).unwrap())
}

pub(super) fn open(directory: &Path, faults: &Arc<Faults>) -> JournalStore {
    try_open(directory, &options(), faults).unwrap()
}

pub(super) fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "gl-account", id).unwrap()
}

pub(super) fn event_of(payload: Vec<u8>) -> NewEvent {
    NewEvent::new(
        crate::clock::SystemClock.new_id(),
        "Debited",
        Payload::raw(payload),
    )
}

pub(super) fn event(bytes: usize) -> NewEvent {
    event_of(vec![0x5a; bytes])
}

pub(super) fn submit(store: &JournalStore, append: Append) -> Receiver<Outcome> {
    let (sender, receiver) = channel();
    let settled = move |outcome| drop(sender.send(outcome));
    store.submit(append, Box::new(settled));
    receiver
}

/// The answer to a submitted append; fails the test if there is none.
pub(super) fn answer(receiver: &Receiver<Outcome>) -> Outcome {
    receiver.recv_timeout(STUCK).expect("an answer")
}

/// Appends one event of that size behind whatever is there, and waits for the answer.
pub(super) fn append(store: &JournalStore, id: &str, bytes: usize) -> Outcome {
    let append = Append::to(stream(id), ExpectedVersion::Any, [event(bytes)]);
    answer(&submit(store, append))
}

pub(super) fn all_events(store: &JournalStore, limit: usize) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.reader.read_all(after, store.head(), limit).unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(events.len() as u64, store.head().get());
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position.get(), position);
    }
    events
}

pub(super) fn segment_files(directory: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(directory.join(JOURNAL_DIRECTORY)).unwrap();
    let mut paths: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "segment"));
    paths.sort();
    paths
}

/// Ends a store as a process that dies does: without the mark of a clean close behind its last frame.
pub(super) fn die(store: JournalStore) {
    let directory = store.directory().to_owned();
    drop(store);
    let path = segment_files(&directory).pop().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (mut offset, mut mark) = (BLOCK_BYTES, None);
    while let Some(HeaderCheck::Sound(header)) = bytes.get(offset..).map(FrameHeader::check) {
        // A frame without events may also be that of a command.
        let kind = bytes[offset + FRAME_HEADER_BYTES + RECORD_PREFIX_BYTES];
        mark = (kind == KIND_CLOSED).then_some(offset);
        offset += header.padded_bytes();
    }
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    if let Some(mark) = mark {
        file.write_all_at(&[0; BLOCK_BYTES], mark as u64).unwrap();
    }
}
