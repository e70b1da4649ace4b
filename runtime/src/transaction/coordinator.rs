use std::sync::Arc;

use foldhouse_store::{
    APPEND_EVENTS_MAX, APPEND_STREAMS_MAX, Append, InvalidAppend, OnSettled, StreamAppend, Verdict,
};
use smallvec::SmallVec;
use uuid::Uuid;

use super::error::TransactionError;
use super::participant::{Failed, Participant};
use super::seal::Seal;
use super::settlement::{Answer, Settlement};
use crate::command::{CommandContext, CommandMeta};
use crate::command_options::CommandOptions;
use crate::deadline::Expiry;
use crate::refusal::{NotRecorded, Refusal};
use crate::slot::Held;
use crate::timer::TimerRecords;

/// What a transaction is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Record,
    /// Only to see what it would lead to.
    DryRun,
}

/// How a transaction is to be carried out.
pub(super) struct Terms {
    pub(super) options: CommandOptions,
    pub(super) until: Expiry,
    pub(super) purpose: Purpose,
    /// If it takes effect once.
    pub(super) seal: Option<Box<Seal>>,
}

/// A transaction on its way: it borrows its aggregates, decides, and gives them back.
///
/// If it is dropped on the way, the aggregates go back as they were, and its caller is told by the channel that closes.
pub(super) struct Coordinator {
    /// In the order of their stream ids.
    participants: Vec<Box<dyn Participant>>,
    command_id: Option<Uuid>,
    meta: Option<Box<CommandMeta>>,
    until: Expiry,
    purpose: Purpose,
    seal: Option<Box<Seal>>,
    answer: Answer,
}

impl Coordinator {
    pub(super) fn new(
        participants: Vec<Box<dyn Participant>>,
        terms: Terms,
        answer: Answer,
    ) -> Self {
        let Terms {
            options,
            until,
            purpose,
            seal,
        } = terms;
        let sealed_id = seal.as_ref().map(|seal| seal.id);
        Self {
            participants,
            command_id: sealed_id.or(options.command_id),
            meta: options.meta,
            until,
            purpose,
            seal,
            answer,
        }
    }

    /// Decides here and now if all aggregates are idle; else it has to wait for its turn at each.
    pub(super) fn try_now(mut self) -> Option<Self> {
        if !self.answer.store().is_ready() {
            return Some(self);
        }
        for participant in &mut self.participants {
            if !participant.try_borrow() {
                // Nothing is kept from others by one who waits outside of the order.
                self.participants
                    .iter_mut()
                    .for_each(|participant| participant.give_back());
                return Some(self);
            }
        }
        self.decide();
        None
    }

    /// Borrows one aggregate behind the other, each on its turn in its mailbox, and decides when it has them all.
    ///
    /// Not to be run on a caller's task: one that is not polled for a while would keep the aggregates from everyone.
    pub(super) async fn gather(mut self) {
        let shared = Arc::clone(self.answer.shared());
        // None is kept from others while one is not even to start.
        for participant in &mut self.participants {
            let backed_off = participant.until_backed_off();
            let in_time = self.until.wait_for(&shared.tokio, backed_off).await;
            if in_time.is_err() {
                let error = TransactionError::refused(participant.stream(), Refusal::Expired);
                return self.abort(error);
            }
        }
        // The first ones are kept until the last one is there.
        for participant in self.participants.iter().skip(1) {
            participant.warm();
        }
        for participant in &mut self.participants {
            let borrowed = self
                .until
                .wait_for(&shared.tokio, participant.borrow())
                .await;
            if let Err(refusal) = borrowed.unwrap_or(Err(Refusal::Expired)) {
                let error = TransactionError::refused(participant.stream(), refusal);
                return self.abort(error);
            }
        }
        self.decide();
    }

    fn decide(mut self) {
        if self.until.has_passed()
            && let Some(first) = self.participants.first()
        {
            let error = TransactionError::refused(first.stream(), Refusal::Expired);
            return self.abort(error);
        }
        // An append on which one of them rests may have failed since it was borrowed. The store cannot tell once another
        // writer has taken the versions of what is gone.
        let mut participants = self.participants.iter();
        if participants.any(|participant| participant.is_voided(false)) {
            let reason = NotRecorded::Voided;
            return self.abort(TransactionError::NotRecorded { reason });
        }
        let (command_id, meta) = (self.command_id, self.meta.take());
        let first = self.participants.first_mut();
        let Some(context) = first.and_then(|first| first.context(command_id, meta)) else {
            return self.abort(TransactionError::Empty);
        };
        let mut event_count = 0_usize;
        for asked in 0..self.participants.len() {
            let Some(participant) = self.participants.get_mut(asked) else {
                break;
            };
            match participant.decide(&context) {
                Ok(events) => event_count = event_count.saturating_add(events),
                Err(Failed::Rejected(error)) => {
                    // The others are not asked any more, and go back before the answer is there.
                    self.participants.truncate(asked.saturating_add(1));
                    return self.confirm(context.command_id, Err(error));
                }
                Err(Failed::Void(error)) => return self.abort(error),
            }
            // The store would refuse the append, and that voids all of them.
            if event_count > APPEND_EVENTS_MAX {
                let stream = participant.stream().clone();
                let error = InvalidAppend::TooManyEvents(event_count).into();
                return self.abort(TransactionError::InvalidEvents { stream, error });
            }
        }
        let has_timers = self
            .participants
            .iter()
            .any(|participant| participant.has_timers());
        let has_nothing = event_count == 0 && !has_timers && self.seal.is_none();
        if has_nothing || self.purpose == Purpose::DryRun {
            return self.confirm(context.command_id, Ok(()));
        }
        self.record(&context, event_count);
    }

    /// Everyone agrees: the events of all go to the store in one append.
    fn record(mut self, context: &CommandContext, event_count: usize) {
        // All that can fail comes before the first state is touched, but for `apply`.
        let stamp = self.seal.as_ref().map(|seal| seal.stamp()).transpose();
        let command = match (stamp, self.participants.first()) {
            (Ok(command), _) => command,
            (Err(error), Some(first)) => {
                let stream = first.stream().clone();
                return self.abort(TransactionError::InvalidEvents { stream, error });
            }
            (Err(_), None) => return self.abort(TransactionError::Empty),
        };
        let mut timers = TimerRecords::default();
        for participant in &mut self.participants {
            if let Err(error) = participant.encode(context, &mut timers) {
                return self.abort(error);
            }
        }
        // The store would refuse it, and that voids all of them.
        if !timers.is_empty()
            && let Some(error) = self.too_much_with(timers.len(), event_count)
        {
            return self.abort(error);
        }
        for applied in 0..self.participants.len() {
            let Some(participant) = self.participants.get_mut(applied) else {
                break;
            };
            if let Err(error) = participant.apply() {
                // What the ones before it have applied will not be recorded.
                for participant in self.participants.iter_mut().take(applied) {
                    participant.end_void();
                }
                return self.abort(error);
            }
        }
        let mut append = Append {
            streams: self.parts(),
            command,
        };
        let shared = (!timers.is_empty()).then(|| Arc::clone(self.answer.shared()));
        if shared.is_some() {
            append.streams.push(*timers.into_part());
        }
        let held = self.hold();
        let store = Arc::clone(self.answer.store());
        let settlement = Settlement::of_record(self.participants, self.answer, context.command_id);
        let settled = settlement.on_settled();
        let settled: OnSettled = match shared {
            None => settled,
            Some(shared) => Box::new(move |outcome| {
                settled(outcome);
                shared.timers.changed();
            }),
        };
        let verdict = store.submit(append, settled);
        // Queued is enough: whatever these actors submit next stands behind it, and falls with it.
        release(held, verdict);
    }

    /// Whether the append has too many streams or events with those of timers.
    fn too_much_with(&self, timers: usize, event_count: usize) -> Option<TransactionError> {
        let first = self.participants.first()?;
        let (streams, events) = (self.participants.len() + 1, event_count + timers);
        let error = match (streams > APPEND_STREAMS_MAX, events > APPEND_EVENTS_MAX) {
            (true, _) => InvalidAppend::TooManyStreams(streams),
            (_, true) => InvalidAppend::TooManyEvents(events),
            _ => return None,
        };
        Some(TransactionError::InvalidEvents {
            stream: first.stream().clone(),
            error: error.into(),
        })
    }

    /// Records nothing, and gives the outcome when everything that it rested on is durable.
    fn confirm(mut self, command_id: Uuid, outcome: Result<(), TransactionError>) {
        let mut participants = self.participants.iter();
        let is_durable = participants.all(|participant| participant.is_durable());
        let streams = match is_durable {
            true => SmallVec::new(),
            false => self.parts(),
        };
        let held = self.hold();
        let store = Arc::clone(self.answer.store());
        let settlement = Settlement::of_check(self.participants, self.answer, command_id, outcome);
        if is_durable {
            release(held, Verdict::Taken);
            return settlement.confirm_at(store.head());
        }
        let append = Append {
            streams: streams.into_iter().map(without_events).collect(),
            command: None,
        };
        let verdict = store.submit(append, settlement.on_settled());
        release(held, verdict);
    }

    /// The parts of the append. The events get their positions in the order of the steps.
    fn parts(&mut self) -> SmallVec<[StreamAppend; 1]> {
        let participants = self.participants.iter().enumerate();
        let mut order: SmallVec<[_; 2]> = participants
            .map(|(index, participant)| (participant.first_step(), index))
            .collect();
        order.sort_unstable();
        let mut parts = SmallVec::with_capacity(order.len());
        for (_, index) in order {
            if let Some(participant) = self.participants.get_mut(index) {
                parts.push(participant.part());
            }
        }
        parts
    }

    fn hold(&mut self) -> SmallVec<[Held; 2]> {
        let participants = self.participants.iter_mut();
        participants
            .filter_map(|participant| participant.hold())
            .collect()
    }

    /// Comes to nothing, for a reason that rests on no state.
    fn abort(self, error: TransactionError) {
        let Self {
            participants,
            answer,
            ..
        } = self;
        // The places first, or who has the answer could still find the limit reached.
        drop(participants);
        answer.send(Err(error));
    }
}

fn without_events(part: StreamAppend) -> StreamAppend {
    StreamAppend {
        events: SmallVec::new(),
        ..part
    }
}

/// Lets the actors go on, unless the store refused what was decided on their state.
fn release(held: SmallVec<[Held; 2]>, verdict: Verdict) {
    if verdict == Verdict::Refused {
        held.into_iter().for_each(Held::end_void);
    }
}
