//! Reading durable events back: `stream` reads one stream, `all` reads the events of all, `look_up` those that have
//! something in common; what they need is here.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::{Damage, Fault, ReadError};
use crate::journal::disk::BlockReader;
use crate::journal::live_index::LiveIndex;
use crate::journal::names::Names;
use crate::journal::queue::Durable;
use crate::journal::recent_frames::RecentFrames;
use crate::journal::segments::Segments;
use crate::position::{Position, Version};
use crate::sidecar::Sidecar;
use crate::stream_id::StreamId;

mod all;
mod command;
mod facts;
mod look_up;
mod rescue;
mod stream;

use all::Stop;
use facts::HeldFacts;
use rescue::Rescue;

/// A page holds no more than about this much payload (one event may take more).
const PAGE_BYTES: usize = 8 << 20;
/// One read of the disk takes no more than this, unless a single frame or record does.
const CHUNK_BYTES: usize = 1 << 20;
/// How often a store that closes looks whether the last reads are done.
const UNDER_WAY_PAUSE: Duration = Duration::from_millis(1);

/// Reads durable events back; many threads at a time.
#[derive(Debug)]
pub(crate) struct JournalReader {
    pub(crate) segments: Segments,
    pub(crate) live: LiveIndex,
    pub(crate) recent: RecentFrames,
    sidecar: RwLock<Beside>,
    /// Where readers of all events stopped, so that the next page starts there without a search.
    stops: Mutex<VecDeque<Stop>>,
    names: Mutex<Names>,
    rescue: Rescue,
    facts: HeldFacts,
}

/// What knows of the segments that are not in the live index.
#[derive(Clone, Debug)]
enum Beside {
    Sidecar(Arc<Sidecar>),
    /// There is none: all segments are in the live index.
    Nothing,
    /// The store is closed.
    Closed,
}

impl JournalReader {
    pub(crate) fn new(
        segments: Segments,
        live: LiveIndex,
        recent: RecentFrames,
        sidecar: Option<Sidecar>,
    ) -> Self {
        let beside = sidecar.map_or(Beside::Nothing, |sidecar| {
            Beside::Sidecar(Arc::new(sidecar))
        });
        Self::beside_which(segments, live, recent, beside)
    }

    /// A reader of a journal whose segments are all in the live index, for as long as it is there.
    pub(crate) fn of_live_segments(segments: Segments, live: LiveIndex) -> Self {
        Self::beside_which(segments, live, RecentFrames::new(0), Beside::Nothing)
    }

    fn beside_which(
        segments: Segments,
        live: LiveIndex,
        recent: RecentFrames,
        beside: Beside,
    ) -> Self {
        Self {
            segments,
            live,
            recent,
            sidecar: RwLock::new(beside),
            stops: Mutex::default(),
            names: Mutex::default(),
            rescue: Rescue::default(),
            facts: HeldFacts::default(),
        }
    }

    /// Runs `work` with the sidecar, unless the store is closed.
    pub(crate) fn beside<T>(
        &self,
        work: impl FnOnce(&Sidecar) -> Result<T, Fault>,
    ) -> Result<T, ReadError> {
        match self.sidecar() {
            Beside::Sidecar(sidecar) => work(&sidecar).map_err(ReadError::Io),
            Beside::Nothing | Beside::Closed => Err(ReadError::Closed),
        }
    }

    /// What the sidecar knows of sealed segments; nothing if they are all in the live index.
    fn indexed<T: Default>(
        &self,
        work: impl FnOnce(&Sidecar) -> Result<T, Fault>,
    ) -> Result<T, ReadError> {
        match self.sidecar() {
            Beside::Sidecar(sidecar) => work(&sidecar).map_err(ReadError::Io),
            Beside::Nothing => Ok(T::default()),
            Beside::Closed => Err(ReadError::Closed),
        }
    }

    /// Not under the lock: a call into the sidecar may never come back.
    fn sidecar(&self) -> Beside {
        self.sidecar
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.sidecar(), Beside::Closed)
    }

    /// Whether the sidecar answers nothing any more.
    pub(crate) fn is_index_broken(&self) -> bool {
        matches!(self.sidecar(), Beside::Sidecar(sidecar) if sidecar.is_broken())
    }

    /// Lets go of the sidecar's files, once the reads under way are done. `head` is the journal's last event.
    pub(crate) fn close(&self, head: Position) -> Result<(), Fault> {
        let mut beside = self.sidecar.write().unwrap_or_else(PoisonError::into_inner);
        let closed = std::mem::replace(&mut *beside, Beside::Closed);
        drop(beside);
        let Beside::Sidecar(mut sidecar) = closed else {
            return Ok(());
        };
        loop {
            match Arc::try_unwrap(sidecar) {
                Ok(alone) => {
                    alone.note_journal_head(head)?;
                    return alone.close();
                }
                // A call that hangs keeps its files; the process has to end before they can be opened again.
                Err(in_use) if in_use.is_broken() => return Err(in_use.why_broken()),
                Err(in_use) => sidecar = in_use,
            }
            std::thread::sleep(UNDER_WAY_PAUSE);
        }
    }

    /// Runs `decode` with the shared names, or with fresh ones while another reader has those.
    fn with_names<T>(&self, decode: impl FnOnce(&mut Names) -> T) -> T {
        match self.names.try_lock() {
            Ok(mut names) => decode(&mut names),
            Err(_) => decode(&mut Names::default()),
        }
    }

    pub(crate) fn stream_version(&self, stream: &StreamId) -> Result<Version, ReadError> {
        match self.live.view().stream_version(stream) {
            Some(version) => Ok(version),
            None => self.beside_or(
                |sidecar| sidecar.stream_version(stream),
                || self.scanned_version(stream),
            ),
        }
    }

    pub(crate) fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<StreamId>, ReadError> {
        let prefix = format!("{tenant}/{aggregate_type}/");
        let mut found = self.live.view().streams(&prefix, after, limit);
        found.extend(self.beside_or(
            |sidecar| sidecar.streams(tenant, aggregate_type, after, limit),
            || self.scanned_streams(&prefix, after, limit),
        )?);
        Ok(found.into_iter().take(limit).collect())
    }

    fn open(&self, segment: u64) -> Result<Arc<dyn BlockReader>, ReadError> {
        self.segments
            .file(segment)
            .map_err(|error| self.io("opening", segment, error))
    }

    fn read(
        &self,
        file: &dyn BlockReader,
        segment: u64,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ReadError> {
        let mut buffer = vec![0; len];
        let read = file
            .read_at(offset, &mut buffer)
            .map_err(|error| self.io("reading", segment, error))?;
        buffer.truncate(read);
        Ok(buffer.into())
    }

    fn io(&self, what: &str, segment: u64, error: io::Error) -> ReadError {
        let path = self.segments.path(segment);
        ReadError::Io(Fault::io(format!("{what} {}", path.display()), error))
    }

    fn damage(&self, segment: u64, offset: u64, position: Position, what: &str) -> ReadError {
        let file = self.segments.path(segment);
        ReadError::Corrupt(Damage {
            file,
            offset,
            position,
            what: what.to_owned(),
        })
    }
}

impl Durable for JournalReader {
    fn durable_version(&self, stream: &StreamId) -> Result<Version, ReadError> {
        self.stream_version(stream)
    }

    fn has_command(&self, id: Uuid) -> Result<bool, ReadError> {
        self.has_command(id)
    }
}
