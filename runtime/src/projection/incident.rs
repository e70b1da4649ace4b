//! Telling somebody that a projection has failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::dead_letter::DeadLetter;
use super::progress::ParkedEvent;
use crate::refusal::panic_message;

/// What [`RuntimeBuilder::on_projection_failed`](crate::RuntimeBuilder::on_projection_failed) is told: once for each
/// incident, however often it was tried before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionIncident {
    /// The projection.
    pub projection: &'static str,
    /// What happened.
    pub what: IncidentKind,
}

/// What happened to a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncidentKind {
    /// It has given up, and waits to be resumed. If it is resumed and gives up again, that is another incident.
    Parked(ParkedEvent),
    /// It has set an event aside, and goes on.
    SetAside(DeadLetter),
    /// It has something to do and has got nowhere for so long: its `apply` does not return, say, or the store does not
    /// answer. Told once until it moves again.
    Stalled {
        /// For how long when it was noticed.
        no_progress_for: Duration,
    },
}

impl std::fmt::Display for ProjectionIncident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let projection = self.projection;
        match &self.what {
            IncidentKind::Parked(parked) => {
                write!(f, "projection {projection} is parked: {parked}")
            }
            IncidentKind::SetAside(letter) => write!(f, "projection {projection}: {letter}"),
            IncidentKind::Stalled { no_progress_for } => write!(
                f,
                "projection {projection} has made no progress for {no_progress_for:?}"
            ),
        }
    }
}

type Hook = dyn Fn(&ProjectionIncident) + Send + Sync;

/// Whom to tell.
#[derive(Clone, Default)]
pub(crate) struct Alerts(Option<Arc<Hook>>);

impl Alerts {
    pub(crate) fn to(hook: impl Fn(&ProjectionIncident) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Tells of an incident on a thread that may wait, so that the projection does not wait for whoever is told.
    pub(super) fn tell(&self, projection: &'static str, what: IncidentKind) {
        let Some(hook) = self.0.clone() else {
            return;
        };
        let incident = ProjectionIncident { projection, what };
        let tell = move || {
            // Unwind safe: nothing of ours is in the hook's hands but a reference.
            let told = catch_unwind(AssertUnwindSafe(|| hook(&incident)));
            if let Err(panic) = told {
                let panic = panic_message(panic);
                tracing::error!(projection, %panic, "the hook on_projection_failed panicked");
            }
        };
        drop(tokio::task::spawn_blocking(tell));
    }
}
