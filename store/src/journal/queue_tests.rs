//! The queue alone, with everything that can happen while a writer looks a version up without its lock.

use std::cell::Cell;

use super::queue::{Durable, PendingFrame, Queue, QueueLimits, Resume};
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::clock::Timestamp;
use crate::position::{ExpectedVersion, Version};
use crate::stream_id::StreamId;

fn queue() -> Queue {
    let limits = QueueLimits {
        frame_bytes: 1 << 20,
        queue_bytes: 1 << 20,
        heads: 0,
    };
    let resume = Resume {
        head: Position::BEFORE_FIRST,
        last_recorded_at: Timestamp::default(),
    };
    Queue::new(limits, resume)
}

/// Does something in the middle of the first lookup, after the version was read.
struct Interrupted<'q, F> {
    queue: &'q Queue,
    then: Cell<Option<F>>,
    version: Cell<u64>,
}

impl<F: FnOnce(&Queue) -> u64> Durable for Interrupted<'_, F> {
    fn durable_version(&self, _: &StreamId) -> Result<Version, ReadError> {
        let read = self.version.get();
        if let Some(then) = self.then.take() {
            self.version.set(then(self.queue));
        }
        Ok(Version::new(read))
    }

    fn has_command(&self, _: uuid::Uuid) -> Result<bool, ReadError> {
        Ok(false)
    }
}

struct Empty;

impl Durable for Empty {
    fn durable_version(&self, _: &StreamId) -> Result<Version, ReadError> {
        Ok(Version::EMPTY)
    }

    fn has_command(&self, _: uuid::Uuid) -> Result<bool, ReadError> {
        Ok(false)
    }
}

fn to_a() -> Append {
    Append::to(stream("a"), ExpectedVersion::Any, [event(10)])
}

fn submit_to(queue: &Queue, durable: &impl Durable) {
    queue.submit(to_a(), Box::new(drop), Timestamp::default(), durable);
}

/// The frame and the version that an append gets if `then` happens during its lookup; `then` gives the version that is
/// durable after it.
fn appended_during(then: impl FnOnce(&Queue) -> u64) -> (PendingFrame, u64) {
    let queue = queue();
    let durable = Interrupted {
        queue: &queue,
        then: Cell::new(Some(then)),
        version: Cell::new(0),
    };
    submit_to(&queue, &durable);
    let frame = queue.take().unwrap();
    let version = frame.records.last().unwrap().version.get();
    (frame, version)
}

#[test]
fn a_version_read_before_the_heads_were_dropped_is_not_used_after_it() {
    let (frame, version) = appended_during(|queue| {
        submit_to(queue, &Empty);
        let frame = queue.take().unwrap();
        queue.note_durable(&frame);
        queue.drop_heads_up_to(frame.number);
        1
    });
    assert_eq!((version, frame.first_position.get()), (2, 2));
}

#[test]
fn a_version_read_before_an_append_was_voided_counts_without_it() {
    let (frame, version) = appended_during(|queue| {
        submit_to(queue, &Empty);
        let frame = queue.take().unwrap();
        queue.void(frame, Position::BEFORE_FIRST, None, |_, _| {});
        0
    });
    assert_eq!((version, frame.first_position.get()), (1, 1));
}

#[test]
fn a_version_read_before_another_writer_appended_gives_way_to_the_newer_one() {
    let (frame, version) = appended_during(|queue| {
        submit_to(queue, &Empty);
        0
    });
    assert_eq!((version, frame.records.len()), (2, 2));
}

#[test]
fn what_is_voided_leaves_room_and_what_is_durable_keeps_its_head() {
    let queue = queue();
    submit_to(&queue, &Empty);
    let first = queue.take().unwrap();
    submit_to(&queue, &Empty);
    queue.note_durable(&first);
    let second = queue.take().unwrap();
    submit_to(&queue, &Empty);
    let mut voided = Vec::new();
    queue.void(second, Position::new(1), None, |frame, _| {
        voided.push(frame.number)
    });
    assert_eq!(voided, [2, 3]);
    // The head of the durable event went with the voided ones: it is looked up again.
    let durable = Interrupted {
        queue: &queue,
        then: Cell::new(None::<fn(&Queue) -> u64>),
        version: Cell::new(1),
    };
    submit_to(&queue, &durable);
    let frame = queue.take().unwrap();
    let version = frame.records.last().unwrap().version.get();
    assert_eq!(
        (version, frame.first_position.get(), frame.number),
        (2, 2, 4)
    );
    queue.note_durable(&frame);
    queue.close();
    assert!(queue.take().is_none() && queue.is_ready());
}
