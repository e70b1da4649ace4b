//! Applying events to a table: as many as work out, and none by half.

use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::RecordedEvent;

use super::beat::{Beat, Pace};
use super::model::Failed;
use super::slot::Partition;
use super::{Projection, ProjectionFilter, TableOf};
use crate::refusal::panic_message;
use crate::timer::is_timer_record;

/// Which events a table is made of.
pub(crate) struct Selection {
    filter: Option<ProjectionFilter>,
    partition: Option<Partition>,
}

impl Selection {
    /// Of the whole journal.
    pub(crate) fn of(filter: ProjectionFilter) -> Self {
        Self::new(filter, None)
    }

    pub(super) fn new(filter: ProjectionFilter, partition: Option<Partition>) -> Self {
        Self {
            filter: (!filter.is_all()).then_some(filter),
            partition,
        }
    }

    pub(crate) fn takes(&self, event: &RecordedEvent) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.matches(event))
            // The runtime's own, which no user's projection knows.
            && !is_timer_record(event)
            && self
                .partition
                .is_none_or(|partition| partition.has(&event.stream))
    }
}

/// Applies the events up to the first that fails, and ends the step. Of the one that failed nothing is left.
pub(super) fn apply<P: Projection>(
    projection: &P,
    selection: &Selection,
    events: &[RecordedEvent],
    table: &mut TableOf<P>,
    beat: &Beat,
) -> Option<Failed> {
    let mut todo = events;
    let mut failed = None;
    while let Err(failure) = apply_all(projection, selection, todo, table, beat) {
        table.take_back();
        // Once more without the one that failed; they are pure, so this works out.
        todo = todo.get(..failure.index).unwrap_or_default();
        failed = Some(failure);
    }
    table.end_step();
    failed
}

fn apply_all<P: Projection>(
    projection: &P,
    selection: &Selection,
    events: &[RecordedEvent],
    table: &mut TableOf<P>,
    beat: &Beat,
) -> Result<(), Failed> {
    let mut index = 0;
    let mut pace = Pace::new(beat);
    // Unwind safe: what a panic leaves in the table is taken back.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for event in events {
            if selection.takes(event) {
                projection
                    .apply(event, table)
                    .map_err(|error| (error.to_string(), true))?;
                if table.len() > P::ROWS_MAX {
                    let error = format!(
                        "it makes more than {} rows; raise Projection::ROWS_MAX",
                        P::ROWS_MAX
                    );
                    return Err((error, false));
                }
            }
            pace.event();
            index += 1;
        }
        Ok(())
    }));
    let outcome = outcome.unwrap_or_else(|panic| {
        let panic = panic_message(panic);
        Err((format!("apply panicked: {panic}"), true))
    });
    outcome.map_err(|(error, is_events_fault)| Failed {
        index,
        error,
        is_events_fault,
    })
}
