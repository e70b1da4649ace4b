use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use crate::error::{Fault, ReadError};
use crate::journal::disk::Disk;
use crate::journal::live_index::LiveSegment;
use crate::journal::queue::Queue;
use crate::journal::reader::JournalReader;
use crate::journal::reindex::index_segment;
use crate::journal::writer::SealedSegment;

/// A segment that was sealed and is to go into the sidecar.
#[derive(Debug)]
pub(crate) struct SealedWork {
    pub(crate) sealed: SealedSegment,
    pub(crate) segment: Arc<LiveSegment>,
    /// The number of the last frame in it (or in one before it).
    pub(crate) last_frame: u64,
}

/// Moves the index of sealed segments from memory into the sidecar, and gives back the unused end of their files.
///
/// If the sidecar fails, the index stays in memory and the store goes on. It is tried again with the next sealed
/// segment, and the next open rebuilds what is missing.
#[derive(Debug)]
pub(crate) struct Indexer {
    pub(crate) work: Receiver<SealedWork>,
    /// What was sealed before the store was opened, oldest first.
    pub(crate) late: Vec<SealedWork>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) reader: Arc<JournalReader>,
    pub(crate) queue: Arc<Queue>,
    /// Nobody else may open the store before the last segment is done.
    pub(crate) _lock: Arc<File>,
}

impl Indexer {
    /// Runs until the committing thread is gone and all its segments are done.
    pub(crate) fn run(mut self) {
        let mut open = VecDeque::from(std::mem::take(&mut self.late));
        open.iter().for_each(|work| self.give_back_unused(work));
        self.index_in_order(&mut open);
        while let Ok(work) = self.work.recv() {
            self.give_back_unused(&work);
            open.push_back(work);
            self.index_in_order(&mut open);
        }
    }

    fn give_back_unused(&self, work: &SealedWork) {
        let file = work.sealed.header.file_name();
        if let Err(error) = self.disk.truncate(&file, work.sealed.length_bytes) {
            tracing::warn!(file, %error, "the unused end of a sealed segment stays");
        }
    }

    /// Indexes the oldest ones, up to one that fails. What is in memory is taken for newer than what is in the sidecar:
    /// a segment must not overtake one before it, or the versions of its events would be given a second time.
    fn index_in_order(&self, open: &mut VecDeque<SealedWork>) {
        while let Some(work) = open.front() {
            if let Err(error) = self.index(work) {
                tracing::error!(
                    file = work.sealed.header.file_name(), %error, segments_in_memory = open.len(),
                    "a sealed segment stays indexed in memory until the next one is sealed or the store is opened again"
                );
                return;
            }
            self.reader.live.remove(work.segment.number);
            self.queue.drop_heads_up_to(work.last_frame);
            open.pop_front();
        }
    }

    fn index(&self, work: &SealedWork) -> Result<(), ReadError> {
        // Unwind safe: a segment counts as indexed only when it is as a whole.
        let index = AssertUnwindSafe(|| {
            let index = |sidecar: &_| index_segment(sidecar, &work.sealed, &work.segment);
            self.reader.beside(index)
        });
        catch_unwind(index)
            .unwrap_or_else(|_| Err(ReadError::Io(Fault::new("indexing it panicked"))))
    }
}
