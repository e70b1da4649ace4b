mod command;
mod query;
mod unsettled;

pub(crate) use command::{CommandOutcome, CommandWork};
pub(crate) use query::QueryWork;
pub(crate) use unsettled::{BUILT_ON_VOID, on_settled};

use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::refusal::Refusal;

/// Something that is to be done with an aggregate. Whoever asked gets one answer, from one of these, or from a drop.
pub(crate) trait Work<A: Aggregate>: Send + 'static {
    /// Does it. An error ends the actor; the answer is given nevertheless.
    fn run(self, cell: &mut Cell<A>) -> Result<(), Ended>
    where
        Self: Sized;

    /// The same for one that has waited in the mailbox.
    fn run_boxed(self: Box<Self>, cell: &mut Cell<A>) -> Result<(), Ended>;

    /// What it is, to be told if it does not return.
    fn name(&self) -> &'static str;

    /// Answers that it will not be done.
    fn refuse(self: Box<Self>, refusal: Refusal);
}
