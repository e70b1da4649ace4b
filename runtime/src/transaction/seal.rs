use std::sync::{Arc, OnceLock};

use foldhouse_store::{CommandStamp, StreamId, Version};
use serde::Serialize;
use uuid::Uuid;

use super::idempotent_steps::IdempotentSteps;
use crate::command_error::InvalidEvents;
use crate::once::{Fingerprint, WrittenReply, encode_reply, stored_reply};

/// What the steps ask for, and the shape that their replies will have.
#[derive(Debug)]
pub struct Description {
    pub(super) fingerprint: Fingerprint,
    shape: Vec<Shape>,
    first: Option<StreamId>,
}

/// The shape of replies within each other, read from the front.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One reply.
    Reply,
    /// A list, with so many of what follows.
    List(usize),
}

impl Description {
    pub(super) fn of(
        steps: &impl IdempotentSteps,
    ) -> Result<Self, (Option<StreamId>, InvalidEvents)> {
        let mut description = Self {
            fingerprint: Fingerprint::of_transaction(),
            shape: Vec::new(),
            first: None,
        };
        match steps.describe(&mut description) {
            Ok(()) => Ok(description),
            Err(error) => Err((description.first, error)),
        }
    }

    pub(super) fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint.finish()
    }

    /// The stream of the first step, if there is one.
    pub(super) fn first_stream(&self) -> Option<&StreamId> {
        self.first.as_ref()
    }

    pub(super) fn step(&mut self, stream: &StreamId, name: &str) {
        self.first.get_or_insert_with(|| stream.clone());
        self.fingerprint.add_address(stream, name);
        self.shape.push(Shape::Reply);
    }

    pub(super) fn list(&mut self, count: usize) {
        self.fingerprint.add_count(count);
        self.shape.push(Shape::List(count));
    }
}

type Slots = Arc<[OnceLock<Result<WrittenReply, InvalidEvents>>]>;

/// Where the replies are written down as the steps decide.
#[derive(Debug)]
pub struct KeptReplies {
    slots: Slots,
    enlisted: usize,
}

impl KeptReplies {
    pub(super) fn new(description: &Description) -> Self {
        let replies = description.shape.iter();
        let count = replies
            .filter(|shape| matches!(shape, Shape::Reply))
            .count();
        Self {
            slots: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            enlisted: 0,
        }
    }

    pub(super) fn next(&mut self) -> KeptReply {
        let slots = Arc::clone(&self.slots);
        let index = self.enlisted;
        self.enlisted += 1;
        KeptReply { slots, index }
    }
}

/// Where one step's reply is written down.
pub(super) struct KeptReply {
    slots: Slots,
    index: usize,
}

impl KeptReply {
    pub(super) fn keep<R: Serialize>(&self, reply: &R) {
        if let Some(slot) = self.slots.get(self.index) {
            // A step decides once.
            let _ = slot.set(encode_reply(reply));
        }
    }
}

/// What is recorded with a transaction that takes effect once, when all its steps have decided.
pub(super) struct Seal {
    pub(super) id: Uuid,
    fingerprint: [u8; 16],
    shape: Vec<Shape>,
    slots: Slots,
}

impl Seal {
    pub(super) fn new(id: Uuid, description: Description, replies: KeptReplies) -> Self {
        Self {
            id,
            fingerprint: description.fingerprint(),
            shape: description.shape,
            slots: replies.slots,
        }
    }

    /// The replies in the shape in which the steps were given, as one MessagePack value.
    pub(super) fn stamp(&self) -> Result<Box<CommandStamp>, InvalidEvents> {
        let mut bytes = Vec::new();
        let mut replies = self.slots.iter();
        for shape in &self.shape {
            match shape {
                Shape::List(count) => write_list_head(&mut bytes, *count),
                Shape::Reply => {
                    let reply = replies.next().and_then(OnceLock::get);
                    let reply = reply.cloned().unwrap_or_else(|| Err(missing()))?;
                    bytes.extend_from_slice(&reply);
                }
            }
        }
        Ok(Box::new(CommandStamp {
            id: self.id,
            fingerprint: self.fingerprint,
            reply: stored_reply(Version::EMPTY, &bytes)?,
        }))
    }
}

/// Every step replies before its participant agrees.
fn missing() -> InvalidEvents {
    let error = "it is missing; this is a bug of foldhouse".to_owned();
    InvalidEvents::Unwritable {
        what: "reply",
        error,
    }
}

/// As serde writes the head of a tuple or list.
fn write_list_head(bytes: &mut Vec<u8>, count: usize) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(few @ 0..16), _) => bytes.push(0x90 | few),
        (_, Ok(many)) => {
            bytes.push(0xdc);
            bytes.extend_from_slice(&many.to_be_bytes());
        }
        _ => {
            bytes.push(0xdd);
            // More than any transaction has aggregates or any reply has bytes.
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    }
}
