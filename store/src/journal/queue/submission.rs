//! The way of an append into the queue: the heads of its streams, the version check, and its records in a frame.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::append::{Append, Appended, OnSettled, Verdict};
use crate::clock::Timestamp;
use crate::error::{AppendError, Fault};
use crate::journal::append_record::{self, AppendRecord};
use crate::journal::queue::state::{Head, State};
use crate::journal::queue::{
    AppendPlace, DurableVersions, PendingFrame, Queue, RecordPlace, Waiting,
};
use crate::journal::record;
use crate::position::Position;
use crate::stream_id::StreamId;

/// What a waiting answer counts against the limit of the queue, besides the bytes of its events.
const ANSWER_BYTES: usize = 256;

type Answer = (OnSettled, Result<Appended, AppendError>);

impl Queue {
    /// Takes a valid append in, or answers it at once.
    pub(crate) fn submit(
        &self,
        append: Append,
        settled: OnSettled,
        now: Timestamp,
        durable: &impl DurableVersions,
    ) -> Verdict {
        let (verdict, answer) = match self.lock_with_heads(&append, durable) {
            Ok(state) => self.enqueue(state, append, settled, now),
            Err(refusal) => (Verdict::Refused, Some((settled, Err(refusal)))),
        };
        if let Some((settled, outcome)) = answer {
            settled(outcome);
        }
        verdict
    }

    /// Locks the state with the head of every stream of `append` in it.
    fn lock_with_heads(
        &self,
        append: &Append,
        durable: &impl DurableVersions,
    ) -> Result<MutexGuard<'_, State>, AppendError> {
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
            let unknown = state.unknown(append);
            if unknown.is_empty() {
                return Ok(state);
            }
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
        mut state: MutexGuard<'_, State>,
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
        let rests_on = state.rests_on(&append);
        let recorded_at = now.max(state.last_recorded_at);
        let conflict = state.conflict(&append);
        if conflict.is_some() || append.event_count() == 0 {
            let (verdict, outcome) = match conflict {
                Some(conflict) => (Verdict::Refused, Err(conflict)),
                None => (Verdict::Taken, Ok(state.unchanged(&append, recorded_at))),
            };
            if rests_on <= state.durable_frame {
                return (verdict, Some((settled, outcome)));
            }
            let mut frame = self.open_frame(&mut state, 0);
            frame.waiting.push(Waiting { outcome, settled });
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
        if is_announced(event_count) {
            announce(&mut frame, position, event_count);
        }
        for part in append.streams {
            let Some(head) = state.heads.get_mut(&part.stream) else {
                continue; // lock_with_heads has put every head there, under this same lock.
            };
            for event in &part.events {
                head.version = head.version.next();
                head.frame = frame.number;
                frame.records.push(RecordPlace {
                    stream: part.stream.clone(),
                    version: head.version,
                    offset_in_body: frame.body.len(),
                });
                record::encode(
                    &mut frame.body,
                    &part.stream,
                    head.version,
                    recorded_at,
                    event,
                );
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

/// Looks up the heads of streams that are not in memory.
fn durable_heads<'a>(
    streams: &[&'a StreamId],
    durable: &impl DurableVersions,
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
fn is_announced(event_count: usize) -> bool {
    event_count > 1
}

/// Puts the record that says which events belong together before them.
fn announce(frame: &mut PendingFrame, position: Position, event_count: usize) {
    frame.appends.push(AppendPlace {
        position,
        offset_in_body: frame.body.len(),
    });
    let append = AppendRecord {
        event_count: event_count as u64,
        command: None,
    };
    append_record::encode(&mut frame.body, &append);
}

/// At least what the records of an append take in a frame, and not much more.
pub(crate) fn encoded_bytes_max(append: &Append) -> usize {
    let parts = append.streams.iter();
    let events = parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, event)));
    let announcement = if is_announced(append.event_count()) {
        append_record::encoded_bytes_max(None)
    } else {
        0
    };
    events.fold(announcement, |sum, (stream, event)| {
        sum.saturating_add(record::encoded_bytes_max(stream, event))
    })
}
