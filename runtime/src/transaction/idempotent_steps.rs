use serde::Serialize;
use serde::de::DeserializeOwned;

use super::participant::{Decide, Planned, Rejection};
use super::plan::Plan;
use super::seal::{Description, KeptReplies, KeptReply};
use super::steps::{CommandStep, Condition, ConditionStep, Step, Steps};
use crate::aggregate::Aggregate;
use crate::command::CommandContext;
use crate::command_error::InvalidEvents;
use crate::idempotent_command::IdempotentCommand;

/// Steps whose transaction can be sent again and takes effect once: a [`Step`] with an [`IdempotentCommand`], a
/// [`Condition`] whose reply can be recorded, or a tuple or `Vec` of such.
///
/// A condition counts as the same if it is on the same aggregate: what its closure asks cannot be compared.
pub trait IdempotentSteps: Steps<Replies: Serialize + DeserializeOwned> {
    #[doc(hidden)]
    fn describe(&self, description: &mut Description) -> Result<(), InvalidEvents>;

    #[doc(hidden)]
    fn enlist_once(self, plan: &mut Plan, replies: &mut KeptReplies) -> Self::Pending;
}

/// A step that also writes its reply down.
struct Keeping<D> {
    step: D,
    kept: KeptReply,
}

impl<C: IdempotentCommand> Decide<C::Aggregate> for Keeping<CommandStep<C>> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }

    fn decide(
        self: Box<Self>,
        state: &C::Aggregate,
        context: &CommandContext,
    ) -> Result<Planned<C::Aggregate>, Rejection> {
        let Self { step, kept } = *self;
        step.decide_and(state, context, |reply| kept.keep(reply))
    }
}

impl<C: IdempotentCommand> IdempotentSteps for Step<C> {
    fn describe(&self, description: &mut Description) -> Result<(), InvalidEvents> {
        description.step(self.aggregate.stream(), C::NAME);
        description.fingerprint.add_content(&self.command)
    }

    fn enlist_once(self, plan: &mut Plan, replies: &mut KeptReplies) -> Self::Pending {
        let (aggregate, step, replied) = self.into_parts();
        let kept = replies.next();
        plan.add(aggregate.slot(), Box::new(Keeping { step, kept }));
        replied
    }
}

/// The name of a condition in a fingerprint; a command has no empty name. Persisted in hashes.
const CONDITION: &str = "";

impl<A, T, E> Decide<A> for Keeping<ConditionStep<A, T, E>>
where
    A: Aggregate,
    T: Send + Serialize,
    E: std::error::Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "a condition"
    }

    fn decide(
        self: Box<Self>,
        state: &A,
        _context: &CommandContext,
    ) -> Result<Planned<A>, Rejection> {
        let Self { step, kept } = *self;
        step.decide_and(state, |seen| kept.keep(seen))
    }
}

impl<A, T, E> IdempotentSteps for Condition<A, T, E>
where
    A: Aggregate,
    T: Serialize + DeserializeOwned + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    fn describe(&self, description: &mut Description) -> Result<(), InvalidEvents> {
        description.step(self.aggregate.stream(), CONDITION);
        Ok(())
    }

    fn enlist_once(self, plan: &mut Plan, replies: &mut KeptReplies) -> Self::Pending {
        let (aggregate, step, replied) = self.into_parts();
        let kept = replies.next();
        plan.add(aggregate.slot(), Box::new(Keeping { step, kept }));
        replied
    }
}

impl<S: IdempotentSteps> IdempotentSteps for Vec<S> {
    fn describe(&self, description: &mut Description) -> Result<(), InvalidEvents> {
        description.list(self.len());
        self.iter().try_for_each(|step| step.describe(description))
    }

    fn enlist_once(self, plan: &mut Plan, replies: &mut KeptReplies) -> Self::Pending {
        self.into_iter()
            .map(|step| step.enlist_once(plan, replies))
            .collect()
    }
}

macro_rules! idempotent_steps_of_tuple {
    ($count:literal: $($step:ident)+) => {
        impl<$($step: IdempotentSteps),+> IdempotentSteps for ($($step,)+) {
            #[allow(non_snake_case, reason = "each variable has the name of its type")]
            fn describe(&self, description: &mut Description) -> Result<(), InvalidEvents> {
                let ($($step,)+) = self;
                description.list($count);
                $($step.describe(description)?;)+
                Ok(())
            }

            #[allow(non_snake_case, reason = "each variable has the name of its type")]
            fn enlist_once(self, plan: &mut Plan, replies: &mut KeptReplies) -> Self::Pending {
                let ($($step,)+) = self;
                ($($step.enlist_once(plan, replies),)+)
            }
        }
    };
}

idempotent_steps_of_tuple!(1: A);
idempotent_steps_of_tuple!(2: A B);
idempotent_steps_of_tuple!(3: A B C);
idempotent_steps_of_tuple!(4: A B C D);
idempotent_steps_of_tuple!(5: A B C D E);
idempotent_steps_of_tuple!(6: A B C D E F);
idempotent_steps_of_tuple!(7: A B C D E F G);
idempotent_steps_of_tuple!(8: A B C D E F G H);
