use foldhouse_store::{APPEND_EVENTS_MAX, Append, InvalidAppend, Store, StreamAppend, Verdict};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::error::TransactionError;
use super::hold::Release;
use super::once::Seal;
use super::participant::Participant;
use super::settlement::{Answer, Settlement};
use super::stake::Stake;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::command::{CommandContext, CommandMeta};
use crate::command_options::CommandOptions;
use crate::deadline::Expiry;
use crate::refusal::NotRecorded;

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

/// A transaction on its way from actor to actor. Whoever has it decides, and hands it on.
///
/// If it is dropped on the way, its caller and the actors that it holds are told by the channels that close.
pub(super) struct Baton {
    /// Those that have not been asked, the next one last.
    waiting: Vec<Box<dyn Participant>>,
    parts: SmallVec<[Part; 2]>,
    stakes: SmallVec<[Box<dyn Stake>; 2]>,
    /// The actors that hold their mailboxes.
    held: SmallVec<[oneshot::Sender<Release>; 2]>,
    command_id: Option<Uuid>,
    meta: Option<Box<CommandMeta>>,
    /// One for all, from the first participant on.
    context: Option<CommandContext>,
    /// The events of all that have agreed.
    event_count: usize,
    until: Expiry,
    purpose: Purpose,
    seal: Option<Box<Seal>>,
    answer: Answer,
}

/// One participant's part of the append.
pub(super) struct Part {
    /// The number of its first step: the events get their positions in the order of the steps.
    pub(super) first_step: usize,
    pub(super) append: StreamAppend,
}

impl Baton {
    /// Starts with the first of the participants, which are in their order.
    pub(super) fn start(mut participants: Vec<Box<dyn Participant>>, terms: Terms, answer: Answer) {
        let Terms {
            options,
            until,
            purpose,
            seal,
        } = terms;
        participants.reverse();
        let first = participants.pop();
        let baton = Box::new(Self {
            waiting: participants,
            parts: SmallVec::new(),
            stakes: SmallVec::new(),
            held: SmallVec::new(),
            command_id: seal.as_ref().map(|seal| seal.id).or(options.command_id),
            meta: options.meta,
            context: None,
            event_count: 0,
            until,
            purpose,
            seal,
            answer,
        });
        match first {
            Some(first) => first.hand_over(baton),
            None => baton.abort(TransactionError::Empty),
        }
    }

    /// Whether it is too late to decide it.
    pub(super) fn is_expired(&self) -> bool {
        self.until.has_passed()
    }

    /// Counts a participant's events. Asked before the append, which the store would refuse: that voids all participants.
    pub(super) fn add_events(&mut self, count: usize) -> Result<(), InvalidAppend> {
        self.event_count = self.event_count.saturating_add(count);
        if self.event_count > APPEND_EVENTS_MAX {
            return Err(InvalidAppend::TooManyEvents(self.event_count));
        }
        Ok(())
    }

    /// What all steps may know: one time and one command id.
    pub(super) fn context<A: Aggregate>(&mut self, cell: &mut Cell<A>) -> CommandContext {
        let (command_id, meta) = (self.command_id, &mut self.meta);
        self.context
            .get_or_insert_with(|| cell.context(command_id, meta.take()))
            .clone()
    }

    /// One more participant agrees, and its actor waits for `release`. If it was the last one the transaction is
    /// decided here; else it goes on to the next.
    pub(super) fn agree(
        mut self: Box<Self>,
        store: &dyn Store,
        part: Part,
        stake: Box<dyn Stake>,
        release: oneshot::Sender<Release>,
    ) {
        self.parts.push(part);
        self.stakes.push(stake);
        self.held.push(release);
        match self.waiting.pop() {
            Some(next) => next.hand_over(self),
            None => self.decide(store),
        }
    }

    fn decide(self: Box<Self>, store: &dyn Store) {
        let has_nothing = self.event_count == 0 && self.seal.is_none();
        if has_nothing || self.purpose == Purpose::DryRun {
            self.confirm(store, Ok(()));
            return;
        }
        // The actors that hold could not look themselves. The store cannot tell once another writer has taken the
        // versions of what is gone.
        if self.stakes.iter().any(|stake| stake.is_voided(false)) {
            let reason = NotRecorded::Voided;
            return self.abort(TransactionError::NotRecorded { reason });
        }
        let stamp = self.seal.as_ref().map(|seal| seal.stamp()).transpose();
        let command = match (stamp, self.stakes.first()) {
            (Ok(command), _) => command,
            (Err(error), Some(first)) => {
                let stream = first.stream().clone();
                return self.abort(TransactionError::InvalidEvents { stream, error });
            }
            (Err(_), None) => return self.abort(TransactionError::Empty),
        };
        let Self {
            mut parts,
            stakes,
            held,
            context,
            answer,
            ..
        } = *self;
        parts.sort_by_key(|part| part.first_step);
        let append = Append {
            streams: parts.into_iter().map(|part| part.append).collect(),
            command,
        };
        let command_id = context.map_or_else(Uuid::nil, |context| context.command_id);
        let settlement = Settlement::of_record(stakes, answer, command_id);
        let verdict = store.submit(append, settlement.on_settled());
        // Queued is enough: whatever these actors submit next stands behind it, and falls with it.
        release(held, verdict, Release::Committed);
    }

    /// The next participant rejects. Everyone goes on, and the caller is told once what the rejection rested on is
    /// durable. The verdict is for the rejecting participant: if it is refused its state is void.
    pub(super) fn reject(
        mut self: Box<Self>,
        store: &dyn Store,
        part: Part,
        stake: Box<dyn Stake>,
        rejected: TransactionError,
    ) -> Verdict {
        self.parts.push(part);
        self.stakes.push(stake);
        self.confirm(store, Err(rejected))
    }

    /// Records nothing, and gives the outcome when everything that it rested on is durable.
    fn confirm(
        self: Box<Self>,
        store: &dyn Store,
        outcome: Result<(), TransactionError>,
    ) -> Verdict {
        let Self {
            waiting,
            parts,
            stakes,
            held,
            context,
            answer,
            ..
        } = *self;
        // They are not asked any more, and their places are free before the answer is there.
        drop(waiting);
        let command_id = context.map_or_else(Uuid::nil, |context| context.command_id);
        let is_durable = stakes.iter().all(|stake| stake.is_durable());
        let settlement = Settlement::of_check(stakes, answer, command_id, outcome);
        if is_durable {
            release(held, Verdict::Taken, Release::Aborted);
            settlement.confirm_at(store.head());
            return Verdict::Taken;
        }
        let checks = parts.into_iter().map(|part| StreamAppend {
            events: SmallVec::new(),
            ..part.append
        });
        let append = Append {
            streams: checks.collect(),
            command: None,
        };
        let verdict = store.submit(append, settlement.on_settled());
        release(held, verdict, Release::Aborted);
        verdict
    }

    /// Comes to nothing, for a reason that rests on no state.
    pub(super) fn abort(self: Box<Self>, error: TransactionError) {
        let Self {
            waiting,
            stakes,
            held,
            answer,
            ..
        } = *self;
        // The places first, or who has the answer could still find the limit reached.
        drop(waiting);
        drop(stakes);
        release(held, Verdict::Taken, Release::Aborted);
        answer.send(Err(error));
    }
}

/// Lets the actors go on, unless the store refused what they decided on.
fn release(held: SmallVec<[oneshot::Sender<Release>; 2]>, verdict: Verdict, release: Release) {
    let release = match verdict {
        Verdict::Taken => release,
        Verdict::Refused => Release::Void,
    };
    for actor in held {
        // An actor that is gone has a successor, which reads the stream.
        let _ = actor.send(release);
    }
}
