use std::collections::HashMap;
use std::fmt;

use foldhouse_store::{AppendError, Payload, Position, ReadError, StreamId, Version};
use uuid::Uuid;

/// All that was tried in a run, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) streams: Vec<StreamId>,
    /// Snapshots and read models that were not kept.
    pub(crate) failed_beside: Vec<ReadError>,
    /// How often something was acked by a store one of whose writes had failed.
    pub(crate) acked_after_a_failed_write: usize,
}

/// One append.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) answer: Answer,
    pub(crate) events: Vec<Told>,
}

/// What the store said.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It is recorded, said at this step of the log.
    Acked {
        step: usize,
    },
    Refused(AppendError),
}

/// An event as it was handed in.
pub(crate) struct Told {
    pub(crate) id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) payload: Payload,
    /// Where the store said that it is.
    pub(crate) place: Option<(Version, Position)>,
}

impl Attempt {
    /// Whether it was acked before the cut.
    pub(crate) fn is_promised(&self, cut_at: usize) -> bool {
        matches!(self.answer, Answer::Acked { step } if step < cut_at)
    }

    pub(crate) fn is_acked(&self) -> bool {
        matches!(self.answer, Answer::Acked { .. })
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.answer, Answer::Refused(AppendError::Unknown(_)))
    }

    /// Whether the store said that nothing of it is there.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(&self.answer, Answer::Refused(error) if !matches!(error, AppendError::Unknown(_)))
    }
}

impl Witness {
    /// Every event that was ever handed in.
    pub(crate) fn by_id(&self) -> HashMap<Uuid, &Told> {
        let events = self.attempts.iter().flat_map(|attempt| &attempt.events);
        events.map(|event| (event.id, event)).collect()
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.payload.bytes.len();
        write!(f, "event {} of {bytes} bytes for {}", self.id, self.stream)?;
        match self.place {
            Some((version, position)) => write!(f, " (version {version}, position {position})"),
            None => Ok(()),
        }
    }
}
