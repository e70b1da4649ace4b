use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::position::Position;

/// The newest frames, kept in memory for readers that have caught up: a direct write leaves nothing in the page cache,
/// so each of them would read the frame back from the disk.
#[derive(Debug)]
pub(crate) struct RecentFrames {
    frames: Mutex<Held>,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    frames: VecDeque<RecentFrame>,
    bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct RecentFrame {
    pub(crate) first_position: Position,
    pub(crate) next_position: Position,
    pub(crate) body: Bytes,
}

impl RecentFrames {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            frames: Mutex::default(),
            limit_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, frame: RecentFrame) {
        let mut held = self.lock();
        held.bytes += frame.body.len();
        held.frames.push_back(frame);
        while held.bytes > self.limit_bytes
            && let Some(oldest) = held.frames.pop_front()
        {
            held.bytes -= oldest.body.len();
        }
    }

    /// Forgets everything: what comes next does not follow what is here.
    pub(crate) fn clear(&self) {
        *self.lock() = Held::default();
    }

    /// The frames from the one with `position` on, if that one is here.
    pub(crate) fn since(&self, position: Position, count_max: usize) -> Vec<RecentFrame> {
        let held = self.lock();
        let start = held
            .frames
            .partition_point(|frame| frame.next_position <= position);
        match held.frames.get(start) {
            Some(first) if first.first_position <= position => held
                .frames
                .iter()
                .skip(start)
                .take(count_max)
                .cloned()
                .collect(),
            _ => Vec::new(),
        }
    }
}
