//! The queue alone, with everything that can happen while a writer looks for its command without the queue's lock.

use std::cell::Cell;
use std::sync::mpsc::channel;

use uuid::Uuid;

use super::command_tests::command;
use super::queue::{Durable, PendingFrame, Queue, QueueLimits, Resume};
use super::test_support::*;
use super::*;
use crate::append::Verdict;
use crate::clock::Timestamp;
use crate::error::AppendError;
use crate::position::Version;
use crate::stream_id::StreamId;

fn queue() -> Queue {
    let limits = QueueLimits {
        frame_bytes: 1 << 20,
        queue_bytes: 1 << 30,
        heads: 1 << 10,
    };
    let resume = Resume {
        head: Position::BEFORE_FIRST,
        last_recorded_at: Timestamp::default(),
    };
    Queue::new(limits, resume)
}

/// Does something in the middle of the first look-up for a command, after the answer was read; gives what is durable
/// from then on.
struct Interrupted<'q, F> {
    queue: &'q Queue,
    then: Cell<Option<F>>,
    is_durable: Cell<bool>,
    look_ups: Cell<u32>,
}

impl<F: FnOnce(&Queue) -> bool> Durable for Interrupted<'_, F> {
    fn durable_version(&self, _: &StreamId) -> Result<Version, ReadError> {
        Ok(Version::EMPTY)
    }

    fn has_command(&self, _: Uuid) -> Result<bool, ReadError> {
        self.look_ups.set(self.look_ups.get() + 1);
        let read = self.is_durable.get();
        if let Some(then) = self.then.take() {
            self.is_durable.set(then(self.queue));
        }
        Ok(read)
    }
}

struct Empty;

impl Durable for Empty {
    fn durable_version(&self, _: &StreamId) -> Result<Version, ReadError> {
        Ok(Version::EMPTY)
    }

    fn has_command(&self, _: Uuid) -> Result<bool, ReadError> {
        Ok(false)
    }
}

fn submit_to(queue: &Queue, id: u128, durable: &impl Durable) -> (Verdict, Option<Outcome>) {
    let (sender, receiver) = channel();
    let settled = Box::new(move |outcome| drop(sender.send(outcome)));
    let verdict = queue.submit(command(id, 1, 1), settled, Timestamp::default(), durable);
    (verdict, receiver.try_recv().ok())
}

fn make_durable(queue: &Queue) -> PendingFrame {
    let frame = queue.take().unwrap();
    queue.note_durable(&frame);
    frame
}

/// What a command is told if `then` happens during its look-up, and how often it is looked for.
fn submitted_during(then: impl FnOnce(&Queue) -> bool) -> ((Verdict, Option<Outcome>), u32) {
    let queue = queue();
    let durable = Interrupted {
        queue: &queue,
        then: Cell::new(Some(then)),
        is_durable: Cell::new(false),
        look_ups: Cell::new(0),
    };
    let told = submit_to(&queue, 1, &durable);
    (told, durable.look_ups.get())
}

fn is_duplicate(told: &Option<Outcome>) -> bool {
    matches!(told, Some(Err(AppendError::Duplicate { .. })))
}

#[test]
fn a_command_that_another_writer_queues_during_the_look_up_is_a_duplicate_that_waits() {
    let ((verdict, told), _) = submitted_during(|queue| {
        assert_eq!(submit_to(queue, 1, &Empty).0, Verdict::Taken);
        false
    });
    assert!(verdict == Verdict::Refused && told.is_none(), "{told:?}");
}

#[test]
fn a_command_that_becomes_durable_during_the_look_up_is_a_duplicate_at_once() {
    let ((verdict, told), look_ups) = submitted_during(|queue| {
        submit_to(queue, 1, &Empty);
        make_durable(queue);
        true
    });
    assert!(
        verdict == Verdict::Refused && is_duplicate(&told),
        "{told:?}"
    );
    assert_eq!(look_ups, 1);
}

#[test]
fn a_command_that_is_durable_and_dropped_during_the_look_up_is_looked_for_again() {
    let ((verdict, told), look_ups) = submitted_during(|queue| {
        submit_to(queue, 1, &Empty);
        make_durable(queue);
        // More than are held in memory.
        for id in 2..70_000 {
            assert_eq!(submit_to(queue, id, &Empty).0, Verdict::Taken);
        }
        true
    });
    assert!(
        verdict == Verdict::Refused && is_duplicate(&told),
        "{told:?}"
    );
    assert_eq!(look_ups, 2);
}

#[test]
fn a_command_that_is_voided_during_the_look_up_can_be_taken() {
    let ((verdict, told), _) = submitted_during(|queue| {
        submit_to(queue, 1, &Empty);
        let frame = queue.take().unwrap();
        queue.void(frame, Position::BEFORE_FIRST, None, |_, _| {});
        false
    });
    assert!(verdict == Verdict::Taken && told.is_none(), "{told:?}");
}
