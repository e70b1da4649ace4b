//! The projections that a child keeps up to date until it is killed, and what they must show.

use std::collections::BTreeMap;

use foldhouse::{
    FailurePolicy, Projection, ProjectionError, ProjectionFilter, RecordedEvent, Table,
    decode_event,
};
use foldhouse_aggregates::{GlAccount, GlEvent};
use serde::{Deserialize, Serialize};

pub const TENANT: &str = "bank";
/// One of so many events cannot be applied.
pub const FAILING: u64 = 61;
pub const PARTS: u32 = 2;

/// How often an account was posted to, and what that comes to: an event that counts twice shows in both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    pub postings: u64,
    pub minor_units: i64,
}

pub type Totals = BTreeMap<String, Total>;

/// Sets aside what it cannot apply; it is rebuilt again and again.
pub struct SetsAside;

/// In parts.
pub struct InParts;

pub fn fails(event: &RecordedEvent) -> bool {
    event.position.get().is_multiple_of(FAILING)
}

/// What a posting changes; `None` for other events.
pub fn posting(event: &RecordedEvent) -> Result<Option<i64>, ProjectionError> {
    Ok(match decode_event::<GlAccount>(event).transpose()? {
        Some(GlEvent::Credited { minor_units, .. }) => Some(minor_units),
        Some(GlEvent::Debited { minor_units, .. }) => Some(-minor_units),
        _ => None,
    })
}

fn filter() -> ProjectionFilter {
    ProjectionFilter::all()
        .tenants([TENANT])
        .event_types(["Credited", "Debited"])
}

fn add(event: &RecordedEvent, table: &mut Table<String, Total>) -> Result<(), ProjectionError> {
    if let Some(minor_units) = posting(event)? {
        table.update(event.stream.aggregate_id(), |total| {
            total.postings += 1;
            total.minor_units += minor_units;
        });
    }
    Ok(())
}

impl Projection for SetsAside {
    const NAME: &'static str = "sets-aside";
    type Key = String;
    type Row = Total;

    fn filter(&self) -> ProjectionFilter {
        filter()
    }

    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::set_aside(10_000).retry_after([])
    }

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, Total>,
    ) -> Result<(), ProjectionError> {
        add(event, table)?;
        match fails(event) {
            true => Err(ProjectionError::new("told to fail")),
            false => Ok(()),
        }
    }
}

impl Projection for InParts {
    const NAME: &'static str = "in-parts";
    type Key = String;
    type Row = Total;

    fn filter(&self) -> ProjectionFilter {
        filter()
    }

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, Total>,
    ) -> Result<(), ProjectionError> {
        add(event, table)
    }
}
