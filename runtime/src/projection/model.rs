//! What a follower keeps up to date: rows in memory, or somebody's database.

use std::future::Future;

use foldhouse_store::{Position, RecordedEvent, Timestamp};

use super::beat::Beat;
use super::dead_letter::DeadLetter;
use super::policy::FailurePolicy;

/// A model that follows the journal. Its follower is the only one who changes it.
pub(super) trait Model: Send + 'static {
    /// What is done about events that cannot be applied.
    fn policy(&self) -> &FailurePolicy;

    /// Whether it may block its thread for long, so that it needs one of its own.
    const BLOCKS: bool;

    /// Applies the events up to the first that fails.
    fn apply(
        &mut self,
        events: &[RecordedEvent],
        beat: &Beat,
    ) -> impl Future<Output = Applied> + Send;

    /// Makes durable what it is time for. The events up to `position` are applied.
    fn keep(
        &mut self,
        position: Position,
        at_head: bool,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Makes everything durable.
    fn finish(&mut self, position: Position) -> impl Future<Output = Result<(), String>> + Send;

    /// Waits until what is on its way to be durable has arrived; for ever if there is nothing.
    fn until_kept(&mut self) -> impl Future<Output = ()> + Send;

    /// Forgets everything, durably.
    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send;

    /// Goes on without an event.
    fn set_aside(&mut self, letter: DeadLetter) -> impl Future<Output = Result<(), String>> + Send;

    /// What is set aside, in order, as far as it is known here.
    fn dead_letters(&self) -> Vec<Position>;

    /// Whether this event may be set aside.
    fn may_have_set_aside(&self, position: Position) -> bool {
        self.dead_letters().contains(&position)
    }

    /// Applies an event that is set aside; if that works it is no more.
    fn apply_dead_letter(
        &mut self,
        event: &RecordedEvent,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Forgets an event that is set aside. False if it is not.
    fn discard(&mut self, position: Position) -> bool;

    /// Takes the model that was made beside this one, which shows the events up to `position`; gives how far it shows them.
    fn take_rebuilt(
        &mut self,
        position: Position,
    ) -> impl Future<Output = Result<Position, String>> + Send;
}

/// What came of a page.
pub(super) struct Applied {
    /// The last event that is shown now, and when it was recorded; `None` if none was applied.
    pub(super) shown: Option<(Position, Timestamp)>,
    /// The first event that was not applied.
    pub(super) failed: Option<Failed>,
}

/// Why an event was not applied.
#[derive(Debug)]
pub(super) struct Failed {
    /// Which of the page's events.
    pub(super) index: usize,
    pub(super) error: String,
    /// Whether another event might fare better, so that this one can be set aside.
    pub(super) is_events_fault: bool,
}
