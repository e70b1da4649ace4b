use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{
    EventStore, EventStoreExt, Position, ReadError, RecordedEvent, StreamId, Timestamp,
};

use crate::projection::{Projection, ProjectionError, Selection, Table, TableOf};
use crate::refusal::panic_message;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

/// The rows of a read model as they were at a position.
pub struct ReadModelAt<P: Projection> {
    /// The rows.
    pub table: TableOf<P>,
    /// The position.
    pub position: Position,
    /// The positions of the events that it has set aside, as its [`FailurePolicy`](crate::FailurePolicy) lets it.
    pub set_aside: Vec<Position>,
}

impl<P: Projection> fmt::Debug for ReadModelAt<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadModelAt")
            .field("projection", &P::NAME)
            .field("position", &self.position)
            .field("rows", &self.table.len())
            .finish()
    }
}

/// Why there are no rows as of a position.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadModelError {
    /// The store does not have the position yet. Ask again when it is there.
    #[error(
        "position {position} is not there yet for read model {projection}: the store is at {head}; ask again when it is"
    )]
    NotYet {
        /// The projection.
        projection: &'static str,
        /// The position asked for.
        position: Position,
        /// Where the store is.
        head: Position,
    },
    /// The projection cannot apply an event, or would have more rows than it may. Mend it as one that is parked.
    #[error(
        "read model {projection} has no rows as of then: event {position} ({event_type} of {stream}) cannot be applied: \
         {error}"
    )]
    Failed {
        /// The projection.
        projection: &'static str,
        /// The event's position.
        position: Position,
        /// Its stream.
        stream: StreamId,
        /// Its type.
        event_type: Arc<str>,
        /// Why.
        error: ProjectionError,
    },
    /// The store gave nothing; its error says whether a retry may work.
    #[error("read model {projection} has no rows as of then, the store cannot be read: {error}")]
    Read {
        /// The projection.
        projection: &'static str,
        /// Why.
        error: ReadError,
    },
}

/// Makes a read model as it was at a position, from the first event on, into a table of its own: rows that a running
/// projection keeps under the same name are neither read nor changed.
///
/// The projection's filter holds. An event that cannot be applied is set aside where the projection's policy lets it, at
/// once; an event that was applied later by hand (a retried dead letter) is not known of here.
///
/// It takes the time of a replay. A position within the events of one transaction shows a part of it, as the projection
/// itself would have.
///
/// ```no_run
/// # use foldhouse::*;
/// # async fn report<Balances: Projection>(store: &dyn Store, balances: Balances, end_of_year: Timestamp)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let position = position_recorded_by(store, end_of_year).await?;
/// let then = read_model_at(store, balances, position).await?;
/// println!("{} accounts", then.table.len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ReadModelError`].
pub async fn read_model_at<P: Projection>(
    events: &(impl EventStore + ?Sized),
    projection: P,
    position: Position,
) -> Result<ReadModelAt<P>, ReadModelError> {
    let name = P::NAME;
    let head = events.head();
    if position > head {
        return Err(ReadModelError::NotYet {
            projection: name,
            position,
            head,
        });
    }
    let selection = Selection::of(projection.filter());
    let policy = projection.failure_policy();
    let mut model = ReadModelAt::<P> {
        table: Table::new(),
        position,
        set_aside: Vec::new(),
    };
    let mut after = Position::BEFORE_FIRST;
    while after < position {
        let page = events.read_all(after, PAGE_EVENTS).await;
        let page = page.map_err(|error| ReadModelError::Read {
            projection: name,
            error,
        })?;
        // The store has all of them; one that gives none would be asked for ever.
        let Some(last) = page.events.last().map(|event| event.position) else {
            break;
        };
        let due = page.events.iter();
        let due = due.take_while(|event| event.position <= position);
        for event in due.filter(|event| selection.takes(event)) {
            match apply(&projection, event, &mut model.table) {
                Ok(()) => {
                    // No event's fault, so it sets none aside.
                    check_rows::<P>(&model.table).map_err(|error| failed::<P>(event, error))?;
                    model.table.end_step();
                }
                Err(_) if model.set_aside.len() < policy.set_aside_max() => {
                    model.table.take_back();
                    model.set_aside.push(event.position);
                }
                Err(error) => return Err(failed::<P>(event, error)),
            }
        }
        model.table.forget_changes();
        after = last;
        // A long replay must not keep others from their turn.
        tokio::task::yield_now().await;
    }
    Ok(model)
}

fn failed<P: Projection>(event: &RecordedEvent, error: ProjectionError) -> ReadModelError {
    ReadModelError::Failed {
        projection: P::NAME,
        position: event.position,
        stream: event.stream.clone(),
        event_type: Arc::clone(&event.event_type),
        error,
    }
}

fn apply<P: Projection>(
    projection: &P,
    event: &RecordedEvent,
    table: &mut TableOf<P>,
) -> Result<(), ProjectionError> {
    // Unwind safe: after a panic the table is thrown away.
    let applied = catch_unwind(AssertUnwindSafe(|| projection.apply(event, table)));
    applied.unwrap_or_else(|panic| {
        let message = panic_message(panic);
        Err(ProjectionError::new(format!("apply panicked: {message}")))
    })
}

fn check_rows<P: Projection>(table: &TableOf<P>) -> Result<(), ProjectionError> {
    if table.len() <= P::ROWS_MAX {
        return Ok(());
    }
    let (rows, limit) = (table.len(), P::ROWS_MAX);
    Err(ProjectionError::new(format!(
        "it would have {rows} rows; the limit is {limit}"
    )))
}

/// The last position that had been recorded at a time; found by bisecting.
///
/// # Errors
/// The store cannot be read.
pub async fn position_recorded_by(
    events: &(impl EventStore + ?Sized),
    time: Timestamp,
) -> Result<Position, ReadError> {
    let Some(behind) = time.unix_micros().checked_add(1) else {
        return Ok(events.head());
    };
    let first_behind = events
        .first_recorded_from(Timestamp::from_unix_micros(behind))
        .await?;
    Ok(Position::new(first_behind.get().saturating_sub(1)))
}
