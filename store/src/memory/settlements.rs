use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::append::{Appended, OnSettled};
use crate::error::AppendError;

type Outcome = Result<Appended, AppendError>;

/// Outcomes that their writers have not heard yet, in the order of the appends.
///
/// One thread at a time takes them out and calls back: two could overtake each other between the lock and the callback.
#[derive(Default)]
pub(crate) struct Settlements {
    waiting: VecDeque<(OnSettled, Outcome)>,
    being_settled: bool,
}

impl Settlements {
    /// Queues an outcome. If it answers true, the caller must settle what waits; otherwise another thread does already.
    #[must_use]
    pub(crate) fn push(&mut self, settled: OnSettled, outcome: Outcome) -> bool {
        self.waiting.push_back((settled, outcome));
        !std::mem::replace(&mut self.being_settled, true)
    }

    /// The next to settle. `None` ends the caller's turn.
    pub(crate) fn next(&mut self) -> Option<(OnSettled, Outcome)> {
        let next = self.waiting.pop_front();
        self.being_settled = next.is_some();
        next
    }
}

/// Calls back until nothing waits. A callback must not panic; if one does, the others are still called, and the panic
/// goes on from here.
pub(crate) fn settle_all(mut next: impl FnMut() -> Option<(OnSettled, Outcome)>) {
    let mut panicked = None;
    while let Some((settled, outcome)) = next() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| settled(outcome))) {
            panicked.get_or_insert(panic);
        }
    }
    if let Some(panic) = panicked {
        resume_unwind(panic);
    }
}
