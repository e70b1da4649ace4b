//! Tests of an aggregate without a store, an actor or a clock: its rules by given/when/then ([`given`]), and that it reads
//! what was ever recorded ([`golden_events`], [`recorded`]).

mod golden;
mod recorded;

use std::fmt::Debug;

use foldhouse_store::Timestamp;
use uuid::Uuid;

pub use self::golden::{GoldenError, GoldenEvents, GoldenMode, GoldenProblem, golden_events};
pub use self::recorded::recorded;

use crate::aggregate::Aggregate;
use crate::command::{Command, CommandContext, CommandMeta, Decision, EventOf};
use crate::timer::{TimedCommand, TimerChange};

/// Starts a test: what has happened to the aggregate so far.
///
/// See the crate's quick start for an example.
#[must_use]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    for event in events {
        state.apply(&event);
    }
    let context = CommandContext::new(Timestamp::from_unix_micros(0), Uuid::from_u128(1));
    Given { state, context }
}

/// An aggregate with a history, waiting for a command.
#[derive(Clone, Debug)]
pub struct Given<A> {
    state: A,
    context: CommandContext,
}

impl<A: Aggregate> Given<A> {
    /// The state that the history leads to.
    pub fn state(&self) -> &A {
        &self.state
    }

    /// Decides at this time instead of 1970-01-01.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.context.now = now;
        self
    }

    /// Decides under this command id instead of 1.
    #[must_use]
    pub fn command_id(mut self, id: Uuid) -> Self {
        self.context.command_id = id;
        self
    }

    /// Decides with these facts from the caller.
    #[must_use]
    pub fn meta(mut self, meta: CommandMeta) -> Self {
        self.context.meta = meta;
        self
    }

    /// The command under test.
    #[must_use]
    pub fn when<C: Command<Aggregate = A>>(self, command: C) -> Outcome<C> {
        let decision = command.decide(&self.state, &self.context);
        Outcome {
            before: self.state,
            decision,
        }
    }
}

/// What the command led to.
pub struct Outcome<C: Command> {
    before: C::Aggregate,
    decision: Result<Decision<EventOf<C>, C::Reply>, C::Rejection>,
}

impl<C: Command> Debug for Outcome<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").finish_non_exhaustive()
    }
}

impl<C: Command> Outcome<C>
where
    EventOf<C>: PartialEq,
{
    /// The command was accepted with exactly these events.
    ///
    /// # Panics
    /// If it was rejected or led to other events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = EventOf<C>>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.decision {
            Ok(decision) => assert_eq!(decision.events.as_slice(), expected, "the events differ"),
            Err(rejection) => {
                panic!("expected {expected:?}, but the command was rejected: {rejection}")
            }
        }
        self
    }

    /// The command was accepted with this reply.
    ///
    /// # Panics
    /// If it was rejected or replied otherwise.
    #[track_caller]
    pub fn then_reply(self, expected: &C::Reply) -> Self
    where
        C::Reply: PartialEq + Debug,
    {
        match &self.decision {
            Ok(decision) => assert_eq!(&decision.reply, expected, "the replies differ"),
            Err(rejection) => {
                panic!("expected {expected:?}, but the command was rejected: {rejection}")
            }
        }
        self
    }

    /// The command was accepted, and schedules exactly this command for this time under this name.
    ///
    /// # Panics
    /// If it was rejected, or schedules something else under the name, or nothing.
    #[track_caller]
    pub fn then_scheduled<T>(self, name: &str, at: Timestamp, command: &T) -> Self
    where
        T: TimedCommand<Aggregate = C::Aggregate>,
    {
        let expected = TimerChange::schedule(name.into(), at, command);
        self.then_timer(name, &expected)
    }

    /// The command was accepted, and cancels the timer of this name.
    ///
    /// # Panics
    /// If it was rejected, or does not.
    #[track_caller]
    pub fn then_cancelled(self, name: &str) -> Self {
        let expected = TimerChange::Cancel { name: name.into() };
        self.then_timer(name, &expected)
    }

    /// The command was accepted, and schedules and cancels no timer.
    ///
    /// # Panics
    /// If it was rejected, or does.
    #[track_caller]
    pub fn then_no_timers(self) -> Self {
        match &self.decision {
            Ok(decision) => assert_eq!(decision.timers(), &[], "it changes timers"),
            Err(rejection) => panic!("the command was rejected: {rejection}"),
        }
        self
    }

    /// What counts for a name is the last that is said of it.
    #[track_caller]
    fn then_timer(self, name: &str, expected: &TimerChange) -> Self {
        match &self.decision {
            Ok(decision) => {
                let mut changes = decision.timers().iter().rev();
                let change = changes.find(|change| **change.name() == *name);
                assert_eq!(change, Some(expected), "the timer {name:?} differs");
                assert!(
                    !decision.events.is_empty(),
                    "a decision that changes timers must have an event that says so"
                );
            }
            Err(rejection) => {
                panic!("expected {expected:?}, but the command was rejected: {rejection}")
            }
        }
        self
    }

    /// The command was rejected with exactly this rejection.
    ///
    /// # Panics
    /// If it was accepted or rejected otherwise.
    #[track_caller]
    pub fn then_rejected(self, expected: &C::Rejection) -> Self
    where
        C::Rejection: PartialEq,
    {
        match &self.decision {
            Ok(decision) => panic!("expected {expected:?}, but it led to {:?}", decision.events),
            Err(rejection) => assert_eq!(rejection, expected, "the rejections differ"),
        }
        self
    }

    /// The command was accepted, and the state after its events passes this check.
    ///
    /// # Panics
    /// If it was rejected or the check fails.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&C::Aggregate) -> bool) -> Self {
        match &self.decision {
            Ok(decision) => {
                let mut after = self.before.clone();
                for event in &decision.events {
                    after.apply(event);
                }
                assert!(
                    check(&after),
                    "the state after {:?} does not pass the check",
                    decision.events
                );
            }
            Err(rejection) => {
                panic!("expected a new state, but the command was rejected: {rejection}")
            }
        }
        self
    }
}
