use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::participant::{Decide, EventsOf, Planned, Rejection};
use super::plan::Plan;
use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::command::{Command, CommandContext};

/// A command as one step of a transaction; made by [`AggregateRef::step`].
#[must_use = "a step does nothing until it is executed with others"]
pub struct Step<C: Command> {
    pub(super) aggregate: AggregateRef<C::Aggregate>,
    pub(super) command: C,
}

/// A condition on an aggregate that a transaction only reads; made by [`AggregateRef::require`].
#[must_use = "a condition does nothing until it is executed with others"]
pub struct Condition<A: Aggregate, T, E> {
    pub(super) aggregate: AggregateRef<A>,
    condition: Test<A, T, E>,
}

type Test<A, T, E> = Box<dyn FnOnce(&A) -> Result<T, E> + Send>;

/// Steps that take effect together: a [`Step`], a [`Condition`], or a tuple (up to eight) or `Vec` of such.
///
/// The replies have the shape of the steps: `(a.step(x), b.step(y))` gives `(X::Reply, Y::Reply)`, and a `Vec` of steps
/// a `Vec` of replies. It is implemented for these and no others.
pub trait Steps: Send + Sized {
    /// The replies, in the shape of the steps.
    type Replies: Send;
    /// Where the replies come in.
    #[doc(hidden)]
    type Pending: Send;

    #[doc(hidden)]
    fn enlist(self, plan: &mut Plan) -> Self::Pending;

    #[doc(hidden)]
    fn collect(pending: Self::Pending) -> Option<Self::Replies>;
}

impl<A: Aggregate> AggregateRef<A> {
    /// The command as one step of a transaction; see [`Runtime::transact`](crate::Runtime::transact).
    pub fn step<C: Command<Aggregate = A>>(&self, command: C) -> Step<C> {
        Step {
            aggregate: self.clone(),
            command,
        }
    }

    /// A condition on this aggregate's state for a transaction that does not change it: the transaction takes effect
    /// only if `condition` gives `Ok`, and only if the state is still the one that it saw. What it gives is the step's
    /// reply.
    ///
    /// ```
    /// # use foldhouse::*;
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Period { closed: bool }
    /// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    /// # enum PeriodEvent { Closed }
    /// # impl Aggregate for Period {
    /// #     const TYPE: &'static str = "period";
    /// #     type Event = PeriodEvent;
    /// #     fn apply(&mut self, _: &PeriodEvent) { self.closed = true; }
    /// # }
    /// # #[derive(Debug, thiserror::Error)]
    /// # #[error("the period is closed")]
    /// # struct PeriodClosed;
    /// # async fn example<C: Command>(runtime: Runtime, period: AggregateRef<Period>, account: AggregateRef<C::Aggregate>, debit: C)
    /// # -> Result<(), TransactionError> {
    /// let is_open = period.require(|period| if period.closed { Err(PeriodClosed) } else { Ok(()) });
    /// runtime.transact((is_open, account.step(debit))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require<T, E, F>(&self, condition: F) -> Condition<A, T, E>
    where
        T: Send + 'static,
        E: Error + Send + Sync + 'static,
        F: FnOnce(&A) -> Result<T, E> + Send + 'static,
    {
        Condition {
            aggregate: self.clone(),
            condition: Box::new(condition),
        }
    }
}

pub(super) struct CommandStep<C: Command> {
    command: C,
    reply: oneshot::Sender<C::Reply>,
}

impl<C: Command> CommandStep<C> {
    /// Decides, and shows the reply before it is given.
    pub(super) fn decide_and(
        self,
        state: &C::Aggregate,
        context: &CommandContext,
        show: impl FnOnce(&C::Reply),
    ) -> Result<Planned<C::Aggregate>, Rejection> {
        match self.command.decide(state, context) {
            Ok(decision) => {
                show(&decision.reply);
                // Who has given up on the answer wants no reply, and the step counts all the same.
                let _ = self.reply.send(decision.reply);
                Ok(Planned {
                    events: decision.events,
                    timers: decision.timers,
                })
            }
            Err(rejection) => Err(Arc::new(rejection)),
        }
    }
}

impl<C: Command> Decide<C::Aggregate> for CommandStep<C> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }

    fn decide(
        self: Box<Self>,
        state: &C::Aggregate,
        context: &CommandContext,
    ) -> Result<Planned<C::Aggregate>, Rejection> {
        self.decide_and(state, context, |_| ())
    }
}

impl<C: Command> Step<C> {
    pub(super) fn into_parts(
        self,
    ) -> (
        AggregateRef<C::Aggregate>,
        CommandStep<C>,
        oneshot::Receiver<C::Reply>,
    ) {
        let (reply, replied) = oneshot::channel();
        let command = self.command;
        (self.aggregate, CommandStep { command, reply }, replied)
    }
}

impl<C: Command> Steps for Step<C> {
    type Replies = C::Reply;
    type Pending = oneshot::Receiver<C::Reply>;

    fn enlist(self, plan: &mut Plan) -> Self::Pending {
        let (aggregate, step, replied) = self.into_parts();
        plan.add(aggregate.slot(), Box::new(step));
        replied
    }

    fn collect(mut pending: Self::Pending) -> Option<Self::Replies> {
        pending.try_recv().ok()
    }
}

pub(super) struct ConditionStep<A, T, E> {
    condition: Test<A, T, E>,
    reply: oneshot::Sender<T>,
}

impl<A, T, E> ConditionStep<A, T, E>
where
    A: Aggregate,
    E: Error + Send + Sync + 'static,
{
    /// Decides, and shows what was seen before it is given.
    pub(super) fn decide_and(
        self,
        state: &A,
        show: impl FnOnce(&T),
    ) -> Result<Planned<A>, Rejection> {
        let Self { condition, reply } = self;
        match condition(state) {
            Ok(seen) => {
                show(&seen);
                let _ = reply.send(seen);
                Ok(Planned {
                    events: EventsOf::<A>::new(),
                    timers: None,
                })
            }
            Err(rejection) => Err(Arc::new(rejection)),
        }
    }
}

impl<A, T, E> Decide<A> for ConditionStep<A, T, E>
where
    A: Aggregate,
    T: Send,
    E: Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "a condition"
    }

    fn decide(
        self: Box<Self>,
        state: &A,
        _context: &CommandContext,
    ) -> Result<Planned<A>, Rejection> {
        self.decide_and(state, |_| ())
    }
}

impl<A: Aggregate, T, E> Condition<A, T, E> {
    pub(super) fn into_parts(
        self,
    ) -> (
        AggregateRef<A>,
        ConditionStep<A, T, E>,
        oneshot::Receiver<T>,
    ) {
        let (reply, replied) = oneshot::channel();
        let condition = self.condition;
        (self.aggregate, ConditionStep { condition, reply }, replied)
    }
}

impl<A, T, E> Steps for Condition<A, T, E>
where
    A: Aggregate,
    T: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    type Replies = T;
    type Pending = oneshot::Receiver<T>;

    fn enlist(self, plan: &mut Plan) -> Self::Pending {
        let (aggregate, step, replied) = self.into_parts();
        plan.add(aggregate.slot(), Box::new(step));
        replied
    }

    fn collect(mut pending: Self::Pending) -> Option<Self::Replies> {
        pending.try_recv().ok()
    }
}

impl<S: Steps> Steps for Vec<S> {
    type Replies = Vec<S::Replies>;
    type Pending = Vec<S::Pending>;

    fn enlist(self, plan: &mut Plan) -> Self::Pending {
        self.into_iter().map(|step| step.enlist(plan)).collect()
    }

    fn collect(pending: Self::Pending) -> Option<Self::Replies> {
        pending.into_iter().map(S::collect).collect()
    }
}

macro_rules! steps_of_tuple {
    ($($step:ident)+) => {
        impl<$($step: Steps),+> Steps for ($($step,)+) {
            type Replies = ($($step::Replies,)+);
            type Pending = ($($step::Pending,)+);

            #[allow(non_snake_case, reason = "each variable has the name of its type")]
            fn enlist(self, plan: &mut Plan) -> Self::Pending {
                let ($($step,)+) = self;
                ($($step.enlist(plan),)+)
            }

            #[allow(non_snake_case, reason = "each variable has the name of its type")]
            fn collect(pending: Self::Pending) -> Option<Self::Replies> {
                let ($($step,)+) = pending;
                Some(($($step::collect($step)?,)+))
            }
        }
    };
}

steps_of_tuple!(A);
steps_of_tuple!(A B);
steps_of_tuple!(A B C);
steps_of_tuple!(A B C D);
steps_of_tuple!(A B C D E);
steps_of_tuple!(A B C D E F);
steps_of_tuple!(A B C D E F G);
steps_of_tuple!(A B C D E F G H);

impl<C: Command> fmt::Debug for Step<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("stream", self.aggregate.stream())
            .field("command", &std::any::type_name::<C>())
            .finish()
    }
}

impl<A: Aggregate, T, E> fmt::Debug for Condition<A, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("stream", self.aggregate.stream())
            .finish_non_exhaustive()
    }
}
