//! One recorded event after the other becomes a state: the only place where that is done.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::RecordedEvent;

use crate::aggregate::Aggregate;
use crate::refusal::{UnreadableStream, panic_message};
use crate::upcasters::read;

/// Applies a recorded event to the state: what it is today, which may be several events, or none. After an error the state may be half changed and is worth nothing.
pub(crate) fn fold<A: Aggregate>(
    state: &mut A,
    event: &RecordedEvent,
) -> Result<(), UnreadableStream> {
    // Unwind safe: after a panic the state is thrown away.
    let applied = catch_unwind(AssertUnwindSafe(|| {
        read::<A>(event, |today| state.apply(&today))
    }));
    match applied {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(UnreadableStream::event(event, error)),
        Err(panic) => Err(UnreadableStream::panicked(event, panic_message(panic))),
    }
}
