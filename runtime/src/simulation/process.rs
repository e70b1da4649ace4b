use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use foldhouse_store::{BoxFuture, Position, RecordedEvent};

use super::life::HOUR;
use super::machine::Machine;
use crate::projection::{ProjectError, Projection, ProjectionRef, Table};
use crate::refusal::panic_message;
use crate::runtime::Runtime;
use crate::timer::is_timer_record;

/// One process of a run: a runtime, from its start to its end or its crash.
pub struct Process {
    pub(super) runtime: Runtime,
    pub(super) machine: Arc<Machine>,
    projections: Mutex<Vec<Arc<dyn Follows>>>,
}

impl Process {
    pub(super) fn new(runtime: Runtime, machine: Arc<Machine>) -> Self {
        Self {
            runtime,
            machine,
            projections: Mutex::default(),
        }
    }

    /// Its runtime.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Starts a projection, as [`Runtime::project`]. At every quiet moment its rows are compared with those of a replay.
    ///
    /// # Errors
    /// As there.
    pub async fn project<P>(&self, projection: P) -> Result<ProjectionRef<P>, ProjectError>
    where
        P: Projection + Clone,
        P::Key: Debug,
        P::Row: PartialEq + Debug,
    {
        self.machine.projections().insert(P::NAME);
        let running = self.runtime.project(projection.clone()).await?;
        let follows = Following {
            projection,
            running: running.clone(),
        };
        self.projections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(follows));
        Ok(running)
    }

    pub(super) fn projections(&self) -> Vec<Arc<dyn Follows>> {
        self.projections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A projection that follows the journal.
pub(super) trait Follows: Send + Sync {
    /// Lets it come up to the last event, and compares its rows with those of a replay.
    fn check<'e>(&'e self, events: &'e [RecordedEvent]) -> BoxFuture<'e, Result<(), String>>;
}

struct Following<P: Projection> {
    projection: P,
    running: ProjectionRef<P>,
}

impl<P> Follows for Following<P>
where
    P: Projection,
    P::Key: Debug,
    P::Row: PartialEq + Debug,
{
    fn check<'e>(&'e self, events: &'e [RecordedEvent]) -> BoxFuture<'e, Result<(), String>> {
        Box::pin(async move {
            let head = Position::new(events.len() as u64);
            let reached = self.running.wait_for(head, HOUR).await;
            reached.map_err(|error| error.to_string())?;
            let replayed = replay(&self.projection, events)?;
            self.running.read(|rows| {
                if rows.iter().eq(replayed.iter()) {
                    return Ok(());
                }
                Err(format!(
                    "the rows of {} are {rows:?}, but a replay gives {replayed:?}",
                    P::NAME
                ))
            })
        })
    }
}

fn replay<P: Projection>(
    projection: &P,
    events: &[RecordedEvent],
) -> Result<Table<P::Key, P::Row>, String> {
    let mut table = Table::new();
    for event in events.iter().filter(|event| !is_timer_record(event)) {
        // Unwind safe: after a panic the table is thrown away.
        let applied = catch_unwind(AssertUnwindSafe(|| projection.apply(event, &mut table)));
        match applied {
            Ok(Ok(())) => table.end_step(),
            Ok(Err(error)) => return Err(format!("{} fails on a replay: {error}", P::NAME)),
            Err(panic) => {
                let message = panic_message(panic);
                return Err(format!("{} panicked on a replay: {message}", P::NAME));
            }
        }
    }
    Ok(table)
}

impl Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}
