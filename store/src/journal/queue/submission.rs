//! The way of an append into the queue: the heads of its streams, the version check, and its records in a frame.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::append::{Append, Appended, OnSettled, Verdict};
use crate::clock::Timestamp;
use crate::command::CommandStamp;
use crate::error::{AppendError, Fault};
use crate::journal::append_record::{self, AppendRecord, CommandFields};
use crate::journal::queue::commands::{Judged, LookUp};
use crate::journal::queue::state::{Head, HeadsVerdict, State};
use crate::journal::queue::{AppendPlace, Durable, PendingFrame, Queue, RecordPlace, Waiting};
use crate::journal::record;
use crate::position::Position;
use crate::stream_id::StreamId;

/// What a waiting answer counts against the limit of the queue, besides the bytes of its events.
const ANSWER_BYTES: usize = 256;

type Answer = (OnSettled, Result<Appended, AppendError>);

/// An append that is judged, and the lock under which that holds.
struct Admitted<'q> {
    state: MutexGuard<'q, State>,
    /// The last frame that the judgement rests on.
    rests_on: u64,
    refusal: Option<AppendError>,
}

impl Queue {
    /// Takes a valid append in, or answers it at once.
    pub(crate) fn submit(
        &self,
        append: Append,
        settled: OnSettled,
        now: Timestamp,
        durable: &impl Durable,
    ) -> Verdict {
        let (verdict, answer) = match self.admit(&append, durable) {
            Ok(admitted) => self.enqueue(admitted, append, settled, now),
            Err(refusal) => (Verdict::Refused, Some((settled, Err(refusal)))),
        };
        if let Some((settled, outcome)) = answer {
            settled(outcome);
        }
        verdict
    }

    /// Locks the state, brings the head of each of the append's streams into it, and judges the append by them, unless it
    /// is a duplicate.
    fn admit(&self, append: &Append, durable: &impl Durable) -> Result<Admitted<'_>, AppendError> {
        let mut look_up = LookUp::of(append, &self.commands_dropped, durable)?;
        let mut state = self.lock();
        state.drop_heads_beyond(self.limits.heads_max());
        loop {
            while let Some(thread) = state.voiding {
                // An answer that submits: waiting for itself it would wait for ever.
                if thread == std::thread::current().id() {
                    return Err(AppendError::NotRecorded(Fault::new(
                        "it was submitted while appends that failed are voided",
                    )));
                }
                state = self
                    .voided
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if let Some(fault) = &state.refusal {
                return Err(AppendError::NotRecorded(fault.clone()));
            }
            match look_up.map(|look_up| look_up.judge(&state.commands, &self.commands_dropped)) {
                None | Some(Judged::Fresh) => {}
                Some(Judged::Duplicate(rests_on)) => {
                    return Ok(Admitted {
                        state,
                        rests_on,
                        refusal: append.command.as_deref().map(duplicate),
                    });
                }
                Some(Judged::Stale) => {
                    drop(state);
                    look_up = LookUp::of(append, &self.commands_dropped, durable)?;
                    state = self.lock();
                    continue;
                }
            }
            let unknown = match state.judge(append) {
                Ok(HeadsVerdict { rests_on, conflict }) => {
                    return Ok(Admitted {
                        state,
                        rests_on,
                        refusal: conflict,
                    });
                }
                Err(unknown) => unknown,
            };
            let dropped_before = state.heads_dropped;
            drop(state);
            let found = durable_heads(&unknown, durable)?;
            state = self.lock();
            if state.heads_dropped == dropped_before {
                for (stream, head) in found {
                    state.heads.entry(stream.clone()).or_insert(head);
                }
            }
        }
    }

    fn enqueue(
        &self,
        Admitted {
            mut state,
            rests_on,
            refusal,
        }: Admitted<'_>,
        append: Append,
        settled: OnSettled,
        now: Timestamp,
    ) -> (Verdict, Option<Answer>) {
        let bytes_max = encoded_bytes_max(&append);
        let queued_bytes_max = bytes_max.saturating_add(ANSWER_BYTES);
        let queued_bytes = self.queued_bytes.load(Ordering::Relaxed);
        let limit_bytes = self.limits.queue_bytes.saturating_mul(2);
        if queued_bytes > 0 && queued_bytes.saturating_add(queued_bytes_max) > limit_bytes {
            let overloaded = AppendError::Overloaded {
                queued_bytes,
                limit_bytes,
            };
            return (Verdict::Refused, Some((settled, Err(overloaded))));
        }
        let recorded_at = now.max(state.last_recorded_at);
        if refusal.is_some() || !append.is_recording() {
            let (verdict, outcome) = match refusal {
                Some(refusal) => (Verdict::Refused, Err(refusal)),
                None => (Verdict::Taken, Ok(state.unchanged(&append, recorded_at))),
            };
            if rests_on <= state.durable_frame {
                return (verdict, Some((settled, outcome)));
            }
            let mut frame = self.open_frame(&mut state, 0);
            frame.waiting.push(Waiting {
                outcome,
                settled,
                is_recording: false,
            });
            self.put_back(&mut state, frame, ANSWER_BYTES);
            self.wake_committer(state);
            return (verdict, None);
        }
        state.last_recorded_at = recorded_at;
        self.record(&mut state, append, settled, recorded_at, bytes_max);
        self.wake_committer(state);
        (Verdict::Taken, None)
    }

    fn record(
        &self,
        state: &mut State,
        append: Append,
        settled: OnSettled,
        recorded_at: Timestamp,
        bytes_max: usize,
    ) {
        let mut versions = SmallVec::new();
        let event_count = append.event_count();
        let mut position = state.next_position;
        let mut frame = self.open_frame(state, bytes_max);
        let bytes_before = frame.body.len();
        let command = append.command.as_deref();
        if is_announced(event_count, command) {
            announce(&mut frame, position, event_count, command);
        }
        if let Some(command) = command {
            state.commands.insert(command.id, frame.number);
            state
                .commands
                .drop_durable(state.durable_frame, &self.commands_dropped);
        }
        for part in append.streams {
            let Some(head) = state.heads.get_mut(&part.stream) else {
                continue; // admit has put every head there, under this same lock.
            };
            // The last one takes the name itself: a clone would be counted on a line of memory that all threads share.
            let names = std::iter::repeat_n(part.stream, part.events.len());
            for (event, stream) in part.events.iter().zip(names) {
                head.version = head.version.next();
                head.frame = frame.number;
                let offset_in_body = frame.body.len();
                record::encode(&mut frame.body, &stream, head.version, recorded_at, event);
                frame.records.push(RecordPlace {
                    stream,
                    version: head.version,
                    offset_in_body,
                });
                position = position.next();
            }
            versions.push(head.version);
        }
        state.next_position = position;
        let appended = Appended {
            position: Position::new(position.get() - 1),
            event_count: u32::try_from(event_count).unwrap_or(u32::MAX),
            recorded_at,
            versions,
        };
        frame.waiting.push(Waiting {
            outcome: Ok(appended),
            settled,
            is_recording: true,
        });
        frame.last_recorded_at = recorded_at;
        let bytes = frame.body.len() - bytes_before;
        self.put_back(state, frame, bytes + ANSWER_BYTES);
    }

    /// Takes out the frame that the next append goes into: the newest one, or a new one if that is full or none is
    /// queued. The caller puts it back behind the others.
    fn open_frame(&self, state: &mut State, bytes: usize) -> PendingFrame {
        let has_room = |frame: &PendingFrame| {
            frame.body.is_empty()
                || frame.body.len().saturating_add(bytes) <= self.limits.frame_bytes
        };
        match state.pending.pop_back() {
            Some(newest) if has_room(&newest) => return newest,
            Some(full) => state.pending.push_back(full),
            None => {}
        }
        let mut frame = state.recycled.take().unwrap_or_else(PendingFrame::empty);
        frame.number = state.next_frame;
        frame.first_position = state.next_position;
        frame.last_recorded_at = state.last_recorded_at;
        state.next_frame += 1;
        frame
    }

    /// Puts a frame back with so many bytes more in it.
    fn put_back(&self, state: &mut State, mut frame: PendingFrame, bytes: usize) {
        frame.queued_bytes += bytes;
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        state.pending.push_back(frame);
        self.queued_frames
            .store(state.pending.len(), Ordering::Release);
    }

    fn wake_committer(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.committer_sleeps) {
            drop(state);
            self.filled.notify_one();
        }
    }
}

fn duplicate(command: &CommandStamp) -> AppendError {
    AppendError::Duplicate {
        command_id: command.id,
    }
}

/// Looks up the heads of streams that are not in memory.
fn durable_heads<'a>(
    streams: &[&'a StreamId],
    durable: &impl Durable,
) -> Result<SmallVec<[(&'a StreamId, Head); 1]>, AppendError> {
    let found = streams.iter().map(|stream| {
        let version = durable.durable_version(stream).map_err(|error| {
            AppendError::NotRecorded(Fault::new(format!(
                "the version of stream {stream} cannot be read: {error}"
            )))
        })?;
        Ok((*stream, Head { version, frame: 0 }))
    });
    found.collect()
}

/// Whether a record stands before the events of an append: a single one is an append of its own without it.
fn is_announced(event_count: usize, command: Option<&CommandStamp>) -> bool {
    event_count > 1 || command.is_some()
}

/// Puts the record that says which events belong together before them.
fn announce(
    frame: &mut PendingFrame,
    position: Position,
    event_count: usize,
    command: Option<&CommandStamp>,
) {
    frame.appends.push(AppendPlace {
        position,
        command: command.map(|command| command.id),
        offset_in_body: frame.body.len(),
    });
    let append = AppendRecord {
        event_count: event_count as u64,
        command: command.map(|command| CommandFields {
            id: command.id,
            fingerprint: command.fingerprint,
            reply_codec: command.reply.codec.byte(),
            reply: &command.reply.bytes,
        }),
    };
    append_record::encode(&mut frame.body, &append);
}

/// At least what the records of an append take in a frame, and not much more.
pub(crate) fn encoded_bytes_max(append: &Append) -> usize {
    let parts = append.streams.iter();
    let events = parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, event)));
    let command = append.command.as_deref();
    let announcement = if is_announced(append.event_count(), command) {
        append_record::encoded_bytes_max(command.map(|command| command.reply.bytes.len()))
    } else {
        0
    };
    events.fold(announcement, |sum, (stream, event)| {
        sum.saturating_add(record::encoded_bytes_max(stream, event))
    })
}
