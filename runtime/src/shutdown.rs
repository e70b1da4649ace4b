use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, StreamId};

use crate::projection::ParkedEvent;
use crate::shared::Shared;
use crate::watchdog::StuckCommand;

/// What a shutdown did, or left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Aggregates whose actor has not ended.
    pub aggregates_left: usize,
    /// The streams of the first few of them, at most 16.
    pub streams_left: Vec<StreamId>,
    /// What does not return, and keeps its aggregate from ending.
    pub stuck: Vec<StuckCommand>,
    /// Accepted commands and queries that have no answer yet.
    pub unanswered: usize,
    /// How far each projection has come.
    pub projections: Vec<ProjectionReport>,
}

/// Where a shutdown leaves a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionReport {
    /// Its name.
    pub name: &'static str,
    /// How far it has come.
    pub position: Position,
    /// Why it does not come further, if it is parked.
    pub parked: Option<ParkedEvent>,
    /// Whether its actor has ended, with its rows kept up to `position` unless `parked` says that they are not.
    pub ended: bool,
}

impl ShutdownReport {
    fn is_complete(&self) -> bool {
        let projections_ended = self.projections.iter().all(|projection| projection.ended);
        self.aggregates_left == 0 && self.unanswered == 0 && projections_ended
    }
}

/// A shutdown was not complete in time. What is left goes on ending by itself; call again to wait longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownIncomplete {
    /// How long it waited.
    pub deadline: Duration,
    /// What is left.
    pub left: ShutdownReport,
}

impl fmt::Display for ShutdownIncomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = &self.left;
        write!(
            f,
            "the runtime did not shut down within {:?}: {} aggregates still work, {} commands and queries are \
             unanswered",
            self.deadline, left.aggregates_left, left.unanswered
        )?;
        for stuck in &left.stuck {
            let StuckCommand {
                stream,
                command,
                stuck_for,
            } = stuck;
            write!(
                f,
                ", {command} on {stream} has not returned for {stuck_for:?}"
            )?;
        }
        if let Some(first) = left.streams_left.first() {
            write!(f, ", {first} is one of the aggregates")?;
        }
        for projection in left.projections.iter().filter(|left| !left.ended) {
            write!(
                f,
                ", projection {} is at position {}",
                projection.name, projection.position
            )?;
        }
        f.write_str("; shut it down again before the store is closed")
    }
}

impl std::error::Error for ShutdownIncomplete {}

const STREAMS_LEFT_MAX: usize = 16;

pub(crate) async fn shutdown(
    shared: &Arc<Shared>,
    deadline: Duration,
) -> Result<ShutdownReport, ShutdownIncomplete> {
    shared.close();
    // Behind the closing, or one that is just starting could be missed and never told to end. Those that have ended
    // leave the runtime's own list, and are still to be reported.
    let projections = shared.running_projections();
    let all_done = async {
        shared.until_all_slots_empty().await;
        // Not even the store has anything left to answer, so its head is final as far as this runtime goes.
        shared.admission.until_empty().await;
        let head = shared.store.head();
        for (_name, projection) in &projections {
            projection.finish(head);
        }
        for (_name, projection) in &projections {
            projection.until_ended().await;
        }
    };
    let is_done = tokio::select! {
        biased;
        done = tokio::time::timeout(deadline, all_done) => done.is_ok(),
        // The timer's own thread may be the one that is stuck.
        () = shared.alarm(deadline) => false,
    };
    let projections = projections.iter().map(|(name, projection)| {
        let progress = projection.progress();
        ProjectionReport {
            name,
            position: progress.position,
            ended: progress.ended,
            parked: progress.parked(),
        }
    });
    let aggregates_left = shared.occupied_slots();
    let streams_left = match aggregates_left {
        0 => Vec::new(),
        _ => shared.directory.occupied(STREAMS_LEFT_MAX),
    };
    let left = ShutdownReport {
        aggregates_left,
        streams_left,
        stuck: shared.stuck(),
        // Who comes when all is done is about to be refused, and not left without an answer.
        unanswered: if is_done {
            0
        } else {
            shared.admission.inside()
        },
        projections: projections.collect(),
    };
    if left.is_complete() {
        Ok(left)
    } else {
        Err(ShutdownIncomplete { deadline, left })
    }
}
