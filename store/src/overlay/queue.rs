use std::collections::VecDeque;
use std::sync::Arc;

use super::known::{KnownCommands, Missing, missing, note_version};
use super::{Inner, lock};
use crate::append::validate::event_bytes;
use crate::append::{Append, Appended, OnSettled, Verdict, validate};
use crate::clock::Timestamp;
use crate::error::{AppendError, Fault, InvalidAppend, ReadError};
use crate::memory::log::Log;
use crate::memory::settlements::{Settlements, settle_all};
use crate::position::{ExpectedVersion, Position, Version};
use crate::stream_id::StreamId;

/// The most bytes that may wait until what they rest on was looked up.
const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an event takes besides what it carries, about.
const EVENT_BYTES: usize = 256;

/// What was appended to the fork, and what waits to be.
pub(super) struct Tail {
    pub(super) log: Log,
    pub(super) commands: KnownCommands,
    /// What it takes in memory.
    pub(super) bytes: usize,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// Whether somebody looks up what the queue waits for.
    is_looking_up: bool,
    settlements: Settlements,
    /// Versions that a writer may count on although the append that leads to them was refused: it was told that it was
    /// taken, and not yet of its end.
    refused: Vec<(StreamId, Version)>,
}

/// An append whose streams are not all known.
struct Queued {
    append: Append,
    settled: OnSettled,
    valid: Result<(), InvalidAppend>,
    bytes: usize,
    /// It was built on one that is refused.
    is_void: bool,
}

type Outcome = Result<Appended, AppendError>;

impl Tail {
    pub(super) fn behind(at: Position, last_recorded_at: Option<Timestamp>) -> Self {
        Self {
            log: Log::behind(at, last_recorded_at),
            commands: KnownCommands::default(),
            bytes: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_looking_up: false,
            settlements: Settlements::default(),
            refused: Vec::new(),
        }
    }

    /// Records an append of which all is known, or says why not.
    fn take(&mut self, append: Append, now: Timestamp, bytes_max: usize) -> Outcome {
        if let Some(command) = &append.command
            && self.commands.has(command.id)
        {
            let command_id = command.id;
            return Err(AppendError::Duplicate { command_id });
        }
        let bytes = append_bytes(&append);
        if append.is_recording() && self.bytes.saturating_add(bytes) > bytes_max {
            return Err(AppendError::NotRecorded(Fault::new(format!(
                "the fork holds {} bytes of events in memory, its limit is {bytes_max}: fork anew with a higher limit",
                self.bytes
            ))));
        }
        let appended = self.log.append(append, now)?;
        self.bytes += bytes;
        Ok(appended)
    }

    /// Whether it builds on an append whose writer does not know yet that it was refused.
    fn is_void(&self, append: &Append) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|(stream, version)| builds_on(append, stream, *version))
    }

    /// An append came to nothing after its writer was told that it was taken: whatever was built on it must not be recorded,
    /// even if another writer's events stand at the very versions that it counts on.
    fn refuse_late(&mut self, mut refused: Vec<(StreamId, Version)>) {
        for queued in &mut self.queue {
            let builds = |(stream, version): &(StreamId, Version)| {
                builds_on(&queued.append, stream, *version)
            };
            if refused.iter().any(builds) {
                queued.is_void = true;
                refused.extend(versions_behind(&queued.append));
            }
        }
        self.refused.extend(refused);
    }
}

fn builds_on(append: &Append, stream: &StreamId, version: Version) -> bool {
    let mut parts = append.streams.iter();
    parts.any(|part| part.stream == *stream && part.expected == ExpectedVersion::Exact(version))
}

/// The versions that an append leads to, as far as its writer knows them.
fn versions_behind(append: &Append) -> Vec<(StreamId, Version)> {
    let parts = append.streams.iter().filter_map(|part| {
        let before = match part.expected {
            ExpectedVersion::Exact(version) => version.get(),
            ExpectedVersion::NoStream => 0,
            _ => return None,
        };
        let version = Version::new(before.saturating_add(part.events.len() as u64));
        (!part.events.is_empty()).then(|| (part.stream.clone(), version))
    });
    parts.collect()
}

fn append_bytes(append: &Append) -> usize {
    let events = append.streams.iter().flat_map(|part| &part.events);
    let events = events.map(|event| EVENT_BYTES + event_bytes(event));
    let reply = append.command.as_ref();
    let reply = reply.map_or(0, |command| EVENT_BYTES + command.reply.bytes.len());
    events.fold(reply, usize::saturating_add)
}

impl Inner {
    pub(super) fn submit(self: &Arc<Self>, append: Append, settled: OnSettled) -> Verdict {
        let valid = validate(&append, &self.limits);
        let mut tail = lock(&self.tail);
        let is_known = valid.is_err() || missing(&append, &tail.log, &tail.commands).is_none();
        if tail.queue.is_empty() && is_known {
            let outcome = match valid {
                Ok(()) if tail.is_void(&append) => Err(void()),
                Ok(()) => tail.take(append, self.clock.now(), self.bytes_max),
                Err(rule) => Err(rule.into()),
            };
            let verdict = match outcome {
                Ok(_) => Verdict::Taken,
                Err(_) => Verdict::Refused,
            };
            let settles = self.tell(&mut tail, settled, outcome);
            drop(tail);
            if settles {
                self.settle();
            }
            return verdict;
        }
        let bytes = append_bytes(&append);
        let queued_bytes = tail.queued_bytes.saturating_add(bytes);
        if queued_bytes > QUEUED_BYTES_MAX && !tail.queue.is_empty() {
            let queued_bytes = tail.queued_bytes;
            drop(tail);
            settled(Err(AppendError::Overloaded {
                queued_bytes,
                limit_bytes: QUEUED_BYTES_MAX,
            }));
            return Verdict::Refused;
        }
        tail.queue.push_back(Queued {
            append,
            settled,
            valid,
            bytes,
            is_void: false,
        });
        tail.queued_bytes = queued_bytes;
        self.queued.send_replace(queued_bytes);
        if !std::mem::replace(&mut tail.is_looking_up, true) {
            let inner = Arc::clone(self);
            self.tokio.spawn(async move { inner.look_up().await });
        }
        Verdict::Taken
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.queued.borrow() < QUEUED_BYTES_MAX
    }

    pub(super) async fn ready(&self) {
        let mut queued = self.queued.subscribe();
        // The sender is in `self`, so it does not close.
        let _ = queued.wait_for(|bytes| *bytes < QUEUED_BYTES_MAX).await;
    }

    /// Looks up what the queue waits for, until it is empty.
    async fn look_up(self: Arc<Self>) {
        while let Some(unknown) = self.take_what_is_known() {
            let failed = match &unknown {
                Missing::Version(stream) => {
                    let version = self.base.version(stream).await;
                    let mut tail = lock(&self.tail);
                    version.map(|version| note_version(&mut tail.log, stream.clone(), version))
                }
                Missing::Command(id) => {
                    let command = self.base.command(*id).await;
                    let mut tail = lock(&self.tail);
                    command.map(|command| tail.commands.insert(*id, command.is_some()))
                }
            };
            if let Err(error) = failed {
                self.fail_first(&error);
            }
        }
    }

    /// Takes appends from the front of the queue, up to one that something is missing for.
    fn take_what_is_known(&self) -> Option<Missing> {
        let mut tail = lock(&self.tail);
        let mut settles = false;
        let unknown = loop {
            let Some(first) = tail.queue.front() else {
                tail.is_looking_up = false;
                break None;
            };
            let unknown = missing(&first.append, &tail.log, &tail.commands);
            if first.valid.is_ok() && !first.is_void && unknown.is_some() {
                break unknown;
            }
            let Some(first) = tail.queue.pop_front() else {
                break None;
            };
            tail.queued_bytes = tail.queued_bytes.saturating_sub(first.bytes);
            let versions = versions_behind(&first.append);
            let outcome = match first.valid {
                Ok(()) if first.is_void => Err(void()),
                Ok(()) => tail.take(first.append, self.clock.now(), self.bytes_max),
                Err(rule) => Err(rule.into()),
            };
            if outcome.is_err() && !first.is_void {
                tail.refuse_late(versions);
            }
            settles |= self.tell(&mut tail, first.settled, outcome);
        };
        self.queued.send_replace(tail.queued_bytes);
        drop(tail);
        if settles {
            self.settle();
        }
        lock(&self.tail).refused.clear();
        unknown
    }

    /// What the first one waits for could not be looked up.
    fn fail_first(&self, error: &ReadError) {
        let mut tail = lock(&self.tail);
        if let Some(first) = tail.queue.pop_front() {
            tail.queued_bytes = tail.queued_bytes.saturating_sub(first.bytes);
            let fault = Fault::new(format!("the store under the fork failed: {error}"));
            tail.refuse_late(versions_behind(&first.append));
            let outcome = Err(AppendError::NotRecorded(fault));
            let settles = self.tell(&mut tail, first.settled, outcome);
            drop(tail);
            if settles {
                self.settle();
            }
        }
    }

    /// Puts an outcome into its turn. If it answers true, the caller must settle what waits, outside the lock.
    #[must_use]
    fn tell(&self, tail: &mut Tail, settled: OnSettled, outcome: Outcome) -> bool {
        // Under the lock, or the head could step back; before the outcome, so that who hears of it finds it.
        self.move_head(tail);
        tail.settlements.push(settled, outcome)
    }

    fn move_head(&self, tail: &Tail) {
        let head = tail.log.head();
        self.head.send_if_modified(|before| {
            let moved = *before != head;
            *before = head;
            moved
        });
    }

    /// Tells the writers their outcomes, outside the lock: a callback may submit again.
    fn settle(&self) {
        settle_all(|| lock(&self.tail).settlements.next());
    }
}

fn void() -> AppendError {
    AppendError::NotRecorded(Fault::new("it was built on an append that was refused"))
}
