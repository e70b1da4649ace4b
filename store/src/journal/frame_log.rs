use std::sync::{Mutex, PoisonError};

use crate::journal::frame;

/// How many frames are remembered.
const FRAMES_MAX: usize = 1 << 20;

/// The sizes of the frames that were written, so that a benchmark can measure what the disk alone takes for them.
#[derive(Debug)]
pub(crate) struct FrameLog {
    frames: Option<Mutex<Vec<FrameSize>>>,
}

/// How much one frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSize {
    /// The length of its body in bytes.
    pub body_bytes: u32,
    /// How many events it made durable.
    pub events: u32,
}

impl FrameSize {
    /// How many bytes the frame takes on disk: its body with what is around it, in whole blocks.
    #[must_use]
    pub fn disk_bytes(&self) -> usize {
        frame::padded_bytes(usize::try_from(self.body_bytes).unwrap_or_default())
    }
}

impl FrameLog {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            frames: enabled.then(Mutex::default),
        }
    }

    pub(crate) fn note(&self, body_bytes: usize, events: u32) {
        if let Some(frames) = &self.frames {
            let mut frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
            if frames.len() < FRAMES_MAX {
                let body_bytes = u32::try_from(body_bytes).unwrap_or(u32::MAX);
                frames.push(FrameSize { body_bytes, events });
            }
        }
    }

    pub(crate) fn sizes(&self) -> Vec<FrameSize> {
        let Some(frames) = &self.frames else {
            return Vec::new();
        };
        frames
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
