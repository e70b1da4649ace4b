pub(crate) mod validate;

use smallvec::{SmallVec, smallvec};

use crate::clock::Timestamp;
use crate::command::CommandStamp;
use crate::error::AppendError;
use crate::event::NewEvent;
use crate::position::{ExpectedVersion, Position, Version};
use crate::stream_id::StreamId;

pub(crate) use validate::{AppendLimits, metadata_bytes, validate};

/// The most streams that one append may touch.
pub const APPEND_STREAMS_MAX: usize = 4_096;
/// The most events that one append may carry.
pub const APPEND_EVENTS_MAX: usize = 65_536;

/// The part of an [`Append`] that goes to one stream.
#[derive(Clone, Debug)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// What the stream's version must be.
    pub expected: ExpectedVersion,
    /// The events, oldest first. None at all makes this part a check: the append as a whole succeeds only if the
    /// version is met, and is answered only when everything that the version rests on is durable.
    pub events: SmallVec<[NewEvent; 1]>,
}

/// Events for one or several streams, recorded all or not at all, side by side in the order of positions.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The parts, in the order in which they get their positions. A stream may stand here only once.
    pub streams: SmallVec<[StreamAppend; 1]>,
    /// The command that it answers, if a retry of that must not take effect again; see [`Append::answering`].
    pub command: Option<Box<CommandStamp>>,
}

impl Append {
    /// An append to one stream.
    #[must_use]
    pub fn to(
        stream: StreamId,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        let events = events.into_iter().collect();
        Self {
            streams: smallvec![StreamAppend {
                stream,
                expected,
                events
            }],
            command: None,
        }
    }

    /// The same append with one more stream in it.
    #[must_use]
    pub fn and(
        mut self,
        stream: StreamId,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Self {
        let events = events.into_iter().collect();
        self.streams.push(StreamAppend {
            stream,
            expected,
            events,
        });
        self
    }

    /// Checks a stream's version and records nothing; see [`StreamAppend::events`].
    #[must_use]
    pub fn check(stream: StreamId, expected: ExpectedVersion) -> Self {
        Self::to(stream, expected, [])
    }

    /// The same append as the outcome of a command: it is recorded together with the command's id, fingerprint and reply,
    /// even if it carries no events, and an append with the same id is refused from then on as
    /// [`AppendError::Duplicate`]. That is found out before any version is looked at: a retry whose expected version
    /// has moved on hears of the duplicate, not of a conflict.
    ///
    /// A store remembers a limited number of the newest ids, see
    /// [`JournalOptions::commands_remembered`](crate::JournalOptions::commands_remembered).
    ///
    /// ```
    /// use foldhouse_store::{
    ///     Append, AppendError, Clock, CommandReply, CommandStamp, EventStore, EventStoreExt, ExpectedVersion, MemoryStore,
    ///     NewEvent, Payload, StreamId, SystemClock,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let reply = CommandReply { bytes: "25.00 EUR debited".into(), ..CommandReply::default() };
    /// let stamp = CommandStamp { id: SystemClock.new_id(), fingerprint: [7; 16], reply };
    /// let posting = || {
    ///     let debited = NewEvent::new(SystemClock.new_id(), "Debited", Payload::raw("25.00 EUR"));
    ///     let cash = StreamId::new("acme", "gl-account", "1000").unwrap();
    ///     Append::to(cash, ExpectedVersion::Any, [debited]).answering(stamp.clone())
    /// };
    /// store.append(posting()).await?;
    /// let retried = store.append(posting()).await;
    /// assert!(matches!(retried, Err(AppendError::Duplicate { command_id }) if command_id == stamp.id));
    /// let recorded = store.command(stamp.id).await?.expect("it was recorded before");
    /// assert_eq!((recorded.fingerprint, recorded.reply), (stamp.fingerprint, stamp.reply));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn answering(mut self, command: CommandStamp) -> Self {
        self.command = Some(Box::new(command));
        self
    }

    /// Whether it leaves anything behind: events, or the outcome of a command.
    pub(crate) fn is_recording(&self) -> bool {
        self.command.is_some() || self.event_count() > 0
    }

    /// How many events it carries over all streams.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.streams.iter().map(|part| part.events.len()).sum()
    }
}

/// The answer to a durable append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of the last event of this append; for an append without events, a position at or behind
    /// everything that its check rested on.
    pub position: Position,
    /// How many events it recorded; they have the positions up to and including [`Appended::position`].
    pub event_count: u32,
    /// When the store took it.
    pub recorded_at: Timestamp,
    /// The version that each stream has now, in the order of [`Append::streams`].
    pub versions: SmallVec<[Version; 1]>,
}

/// What [`EventStore::submit`](crate::EventStore::submit) can say at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The append is queued. It succeeds unless the store itself fails.
    Taken,
    /// The append is refused: a conflict, a duplicate, a full queue, a closed store. The outcome says why; it may come later than this,
    /// with what it rests on. Who has built on the append must not submit anything further that does.
    Refused,
}

/// Called once with the outcome of a submitted append.
///
/// It may run on the store's committing thread: it must not block and must not panic.
pub type OnSettled = Box<dyn FnOnce(Result<Appended, AppendError>) + Send>;
