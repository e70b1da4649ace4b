use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::simulation::AppendObserver;
use foldhouse_store::{Append, AppendError, Appended, Position, StreamId, Version};
use uuid::Uuid;

use super::trace::Trace;
use crate::command_error::CommandError;
use crate::committed::Committed;
use crate::event_id::EventIds;
use crate::query_error::QueryError;
use crate::transaction::{Transacted, TransactionError};

/// One command, transaction or query of a caller, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Which caller.
    pub caller: usize,
    /// The stream; `None` for a transaction.
    pub stream: Option<StreamId>,
    /// The id that the ids of its events follow from; `None` for a query.
    pub command_id: Option<Uuid>,
    /// The step of the run at which it was made.
    pub called_at: u64,
    /// The answer, and the step at which it came. `None` if the process died before.
    pub answer: Option<(Answer, u64)>,
}

/// What a caller heard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It took effect, or for a query: it was answered.
    Done {
        /// The position of its last event, or one at or behind all that it rested on; `None` for a query.
        position: Option<Position>,
        /// The aggregate's version behind it; `None` for a transaction.
        version: Option<Version>,
    },
    /// A rule of the domain forbade it.
    Rejected(String),
    /// Nothing was recorded, for another reason than a rule.
    NotRecorded(String),
    /// It may have been recorded.
    Unknown(String),
}

impl Answer {
    pub(super) fn to_command<T, R: std::fmt::Display>(
        outcome: &Result<Committed<T>, CommandError<R>>,
    ) -> Self {
        match outcome {
            Ok(committed) => Self::Done {
                position: Some(committed.position),
                version: Some(committed.version),
            },
            Err(CommandError::Rejected(rejection)) => Self::Rejected(rejection.to_string()),
            Err(error @ CommandError::Unknown { .. }) => Self::Unknown(error.to_string()),
            Err(error) => Self::NotRecorded(error.to_string()),
        }
    }

    pub(super) fn to_transaction<T>(outcome: &Result<Transacted<T>, TransactionError>) -> Self {
        match outcome {
            Ok(transacted) => Self::Done {
                position: Some(transacted.position),
                version: None,
            },
            Err(TransactionError::Rejected { rejection, .. }) => {
                Self::Rejected(rejection.to_string())
            }
            Err(error @ TransactionError::Unknown { .. }) => Self::Unknown(error.to_string()),
            Err(error) => Self::NotRecorded(error.to_string()),
        }
    }

    pub(super) fn to_query<T>(outcome: &Result<(T, Version), QueryError>) -> Self {
        match outcome {
            Ok((_, version)) => Self::Done {
                position: None,
                version: Some(*version),
            },
            Err(error) => Self::NotRecorded(error.to_string()),
        }
    }
}

/// An append that the runtime has submitted.
#[derive(Debug)]
pub(super) struct Submitted {
    /// The call that it comes from, if it has events of one.
    pub(super) call: Option<usize>,
    /// Stream and id of each event.
    pub(super) events: Vec<(StreamId, Uuid)>,
    pub(super) outcome: Option<Settled>,
}

/// What the store has said of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Recorded(Position),
    NotRecorded,
    Unknown,
}

/// What was called and answered, and what the runtime submitted for it.
#[derive(Debug)]
pub(super) struct History {
    trace: Arc<Trace>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) calls: Vec<Call>,
    pub(super) appends: Vec<Submitted>,
    by_command: HashMap<Uuid, usize>,
}

/// A command has fewer events than this, or is not recognised by its later ones.
const EVENTS_LOOKED_AT: u32 = 64;

impl History {
    pub(super) fn new(trace: Arc<Trace>) -> Self {
        Self {
            trace,
            entries: Mutex::default(),
        }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; gives back its number.
    pub(super) fn called(
        &self,
        caller: usize,
        stream: Option<&StreamId>,
        command_id: Option<Uuid>,
        what: &str,
    ) -> usize {
        let called_at = match stream {
            Some(stream) => self
                .trace
                .note(format_args!("caller {caller}: {what} to {stream}")),
            None => self.trace.note(format_args!("caller {caller}: {what}")),
        };
        let mut entries = self.entries();
        let number = entries.calls.len();
        entries.calls.push(Call {
            caller,
            stream: stream.cloned(),
            command_id,
            called_at,
            answer: None,
        });
        if let Some(id) = command_id {
            entries.by_command.insert(id, number);
        }
        number
    }

    pub(super) fn answered(&self, call: usize, answer: Answer) {
        let mut entries = self.entries();
        let Some(call) = entries.calls.get_mut(call) else {
            return;
        };
        let caller = call.caller;
        let at = self
            .trace
            .note(format_args!("caller {caller} hears {answer:?}"));
        call.answer = Some((answer, at));
    }
}

impl Entries {
    fn call_of(&self, stream: &StreamId, event: Uuid) -> Option<usize> {
        let ids = EventIds::of(stream);
        // What makes an event's id of a command's makes a command's of an event's.
        let mut commands = (0..EVENTS_LOOKED_AT).map(|index| ids.id(event, index));
        commands.find_map(|id| self.by_command.get(&id).copied())
    }
}

impl AppendObserver for History {
    fn submitted(&self, append: &Append) -> usize {
        let mut entries = self.entries();
        let parts = append.streams.iter();
        let events: Vec<_> = parts
            .flat_map(|part| {
                let stream = &part.stream;
                part.events
                    .iter()
                    .map(move |event| (stream.clone(), event.id))
            })
            .collect();
        let first = events.first();
        let call = first.and_then(|(stream, id)| entries.call_of(stream, *id));
        entries.appends.push(Submitted {
            call,
            events,
            outcome: None,
        });
        entries.appends.len() - 1
    }

    fn settled(&self, append: usize, outcome: &Result<Appended, AppendError>) {
        let mut entries = self.entries();
        let Some(append) = entries.appends.get_mut(append) else {
            return;
        };
        append.outcome = Some(match outcome {
            Ok(appended) => Settled::Recorded(appended.position),
            Err(AppendError::Unknown(_)) => Settled::Unknown,
            Err(_) => Settled::NotRecorded,
        });
    }
}
