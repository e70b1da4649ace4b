use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use crate::error::{Fault, ReadError};
use crate::journal::disk::Disk;
use crate::journal::live_index::LiveSegment;
use crate::journal::queue::Queue;
use crate::journal::reader::JournalReader;
use crate::journal::reindex::index_segment;
use crate::journal::writer::SealedSegment;
use crate::sidecar::Sidecar;

/// How long nothing is sealed before the facts of sealed segments are seen to: they are made from the segments' files, and
/// who appends as fast as the disk takes it is not to share that with them.
const REST: Duration = Duration::from_secs(1);
/// With more segments than this without facts, it is seen to them also while others are being sealed.
const WITHOUT_FACTS_MAX: usize = 16;

/// A segment that was sealed and is to go into the sidecar.
#[derive(Debug)]
pub(crate) struct SealedWork {
    pub(crate) sealed: SealedSegment,
    pub(crate) segment: Arc<LiveSegment>,
    /// The number of the last frame in it (or in one before it).
    pub(crate) last_frame: u64,
}

/// Moves the index of sealed segments from memory into the sidecar, and gives back the unused end of their files. When
/// there is time it adds what events are looked up by (`facts`), also for segments that were sealed long ago.
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
        let mut facts = LackingFacts::of(&self.reader);
        loop {
            match self.next_work(&mut facts) {
                Next::Sealed(work) => {
                    facts.is_resting = false;
                    self.give_back_unused(&work);
                    open.push_back(work);
                    facts.lacking.extend(self.index_in_order(&mut open));
                }
                Next::Rest => {
                    facts.is_resting = true;
                    facts.make_next(&self.reader, || self.poll_work());
                }
                Next::End => return,
            }
        }
    }

    fn next_work(&self, facts: &mut LackingFacts) -> Next {
        if let Some(sealed) = facts.sealed_meanwhile.pop_front() {
            return Next::Sealed(sealed);
        }
        if facts.lacking.is_empty() {
            return self.work.recv().map_or(Next::End, Next::Sealed);
        }
        if facts.is_resting || facts.lacking.len() > WITHOUT_FACTS_MAX {
            return match self.poll_work() {
                Polled::Nothing => Next::Rest,
                Polled::Sealed(work) => Next::Sealed(work),
                Polled::End => Next::End,
            };
        }
        match self.work.recv_timeout(REST) {
            Ok(work) => Next::Sealed(work),
            Err(RecvTimeoutError::Timeout) => Next::Rest,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn poll_work(&self) -> Polled {
        match self.work.try_recv() {
            Ok(work) => Polled::Sealed(work),
            Err(TryRecvError::Empty) => Polled::Nothing,
            Err(TryRecvError::Disconnected) => Polled::End,
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
    /// Gives the numbers of those that are indexed now.
    fn index_in_order(&self, open: &mut VecDeque<SealedWork>) -> Vec<u64> {
        let mut indexed = Vec::new();
        while let Some(work) = open.front() {
            if let Err(error) = self.index(work) {
                tracing::error!(
                    file = work.sealed.header.file_name(), %error, segments_in_memory = open.len(),
                    "a sealed segment stays indexed in memory until the next one is sealed or the store is opened again"
                );
                return indexed;
            }
            indexed.push(work.segment.number);
            self.reader.live.remove(work.segment.number);
            self.queue.drop_heads_up_to(work.last_frame);
            open.pop_front();
        }
        indexed
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

/// What comes next.
enum Next {
    Sealed(SealedWork),
    /// There is time for what is not urgent.
    Rest,
    End,
}

/// What came meanwhile.
enum Polled {
    Nothing,
    Sealed(SealedWork),
    End,
}

/// The sealed segments that have no facts yet. Until they have, who looks for something reads them.
#[derive(Debug)]
struct LackingFacts {
    /// The newest is seen to first: it is the one that is looked through most.
    lacking: Vec<u64>,
    /// What was sealed while facts were being made.
    sealed_meanwhile: VecDeque<SealedWork>,
    /// Whether nothing was sealed for a while.
    is_resting: bool,
}

impl LackingFacts {
    fn of(reader: &JournalReader) -> Self {
        let lacking = reader.beside(Sidecar::segments_without_facts);
        Self {
            lacking: lacking.unwrap_or_default(),
            sealed_meanwhile: VecDeque::new(),
            is_resting: false,
        }
    }

    /// Makes the facts of one segment. If another one is sealed meanwhile, it is left for later, unless there are many.
    fn make_next(&mut self, reader: &JournalReader, poll: impl Fn() -> Polled) {
        let Some(segment) = self.lacking.pop() else {
            return;
        };
        let is_urgent = self.lacking.len() >= WITHOUT_FACTS_MAX;
        let sealed_meanwhile = &mut self.sealed_meanwhile;
        let goes_on = || match poll() {
            Polled::Nothing => true,
            Polled::Sealed(work) => {
                sealed_meanwhile.push_back(work);
                is_urgent
            }
            Polled::End => false,
        };
        // Unwind safe: facts count only as a whole.
        let make = AssertUnwindSafe(|| make_facts(reader, segment, goes_on));
        match catch_unwind(make) {
            Ok(Ok(true)) => reader.forget_facts(segment),
            Ok(Ok(false)) => self.lacking.push(segment),
            Ok(Err(error)) => {
                tracing::warn!(segment, %error, "a sealed segment has no facts; who looks for something reads it");
            }
            Err(_) => tracing::error!(segment, "making the facts of a sealed segment panicked"),
        }
    }
}

/// Whether they were made, or `goes_on` said no.
fn make_facts(
    reader: &JournalReader,
    segment: u64,
    goes_on: impl FnMut() -> bool,
) -> Result<bool, ReadError> {
    let Some(mark) = reader.beside(|sidecar| Ok(sidecar.segment_mark(segment)))? else {
        return Ok(true);
    };
    let Some(facts) = reader.sealed_facts(segment, goes_on)? else {
        return Ok(false);
    };
    reader.beside(|sidecar| sidecar.put_facts(&mark, &facts))?;
    Ok(true)
}
