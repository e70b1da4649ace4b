//! What the lock of the queue guards: the frames that wait, and the head of each stream that they change.

use std::collections::{HashMap, VecDeque};
use std::thread::ThreadId;

use smallvec::SmallVec;

use crate::append::{Append, Appended};
use crate::clock::Timestamp;
use crate::error::{AppendError, Fault};
use crate::journal::queue::commands::HeldCommands;
use crate::journal::queue::{PendingFrame, Resume};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// What the queue keeps behind its lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) pending: VecDeque<PendingFrame>,
    /// A used frame whose memory the next one takes over.
    pub(super) recycled: Option<PendingFrame>,
    pub(super) heads: HashMap<StreamId, Head, ahash::RandomState>,
    /// With more heads than this, those that are durable are dropped.
    heads_max: usize,
    /// Grows whenever heads are dropped: a head read from the index before that must not be put in after it.
    pub(super) heads_dropped: u64,
    pub(super) commands: HeldCommands,
    pub(super) next_position: Position,
    pub(super) next_frame: u64,
    pub(super) durable_frame: u64,
    pub(super) last_recorded_at: Timestamp,
    pub(super) refusal: Option<Fault>,
    /// The thread that voids failed appends.
    pub(super) voiding: Option<ThreadId>,
    pub(super) closing: bool,
    pub(super) committer_sleeps: bool,
}

/// The version of a stream including what is queued, and the last frame that it rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) frame: u64,
}

/// What the heads of its streams say of an append.
#[derive(Debug, Default)]
pub(super) struct HeadsVerdict {
    /// The last frame that any of them rests on.
    pub(super) rests_on: u64,
    pub(super) conflict: Option<AppendError>,
}

impl State {
    pub(super) fn new(resume: Resume, heads_max: usize) -> Self {
        Self {
            pending: VecDeque::new(),
            recycled: None,
            heads: HashMap::default(),
            heads_max,
            heads_dropped: 0,
            commands: HeldCommands::default(),
            next_position: resume.head.next(),
            next_frame: 1,
            durable_frame: 0,
            last_recorded_at: resume.last_recorded_at,
            refusal: None,
            voiding: None,
            closing: false,
            committer_sleeps: false,
        }
    }

    /// Looks at the head of each of the append's streams once; without a verdict it gives those that are not in memory.
    pub(super) fn judge<'a>(
        &self,
        append: &'a Append,
    ) -> Result<HeadsVerdict, SmallVec<[&'a StreamId; 1]>> {
        let mut unknown = SmallVec::new();
        let mut verdict = HeadsVerdict::default();
        for part in &append.streams {
            let Some(head) = self.heads.get(&part.stream) else {
                unknown.push(&part.stream);
                continue;
            };
            verdict.rests_on = verdict.rests_on.max(head.frame);
            if verdict.conflict.is_none() && !part.expected.is_met_by(head.version) {
                verdict.conflict = Some(AppendError::Conflict {
                    stream: part.stream.clone(),
                    expected: part.expected,
                    actual: head.version,
                });
            }
        }
        match unknown.is_empty() {
            true => Ok(verdict),
            false => Err(unknown),
        }
    }

    /// Checks leave heads behind, too, and no segment is ever sealed for them.
    pub(super) fn drop_heads_beyond(&mut self, heads_max: usize) {
        if self.heads.len() <= self.heads_max {
            return;
        }
        let durable_frame = self.durable_frame;
        self.heads.retain(|_, head| head.frame > durable_frame);
        self.heads_dropped += 1;
        // Those that wait for the disk stay: going through them again for each append would stall everyone.
        self.heads_max = heads_max.max(self.heads.len().saturating_mul(2));
    }

    fn version(&self, stream: &StreamId) -> Version {
        self.heads
            .get(stream)
            .map_or(Version::EMPTY, |head| head.version)
    }

    /// The answer to a check that holds.
    pub(super) fn unchanged(&self, append: &Append, recorded_at: Timestamp) -> Appended {
        Appended {
            position: Position::new(self.next_position.get() - 1),
            event_count: 0,
            recorded_at,
            versions: append
                .streams
                .iter()
                .map(|part| self.version(&part.stream))
                .collect(),
        }
    }
}
