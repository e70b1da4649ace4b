//! Looks at a projection from outside. One that hangs measures nothing and tells nobody: its last word, that all is well,
//! would stand for ever.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::control::Control;
use super::incident::IncidentKind;
use super::status::ProjectionState;
use crate::meters::ProjectionMeters;
use crate::shared::Shared;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// Watches over a projection until it ends.
pub(super) fn watch_over(control: &Arc<Control>, shared: &Arc<Shared>) {
    let watched = watch(Arc::downgrade(control), Arc::downgrade(shared));
    drop(tokio::spawn(watched));
}

async fn watch(control: Weak<Control>, shared: Weak<Shared>) {
    let mut meters = None;
    let mut is_told = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let (Some(control), Some(shared)) = (control.upgrade(), shared.upgrade()) else {
            return;
        };
        let status = control.status(shared.store.head(), &*shared.options.clock);
        if status.state == ProjectionState::Stopped {
            return;
        }
        let name = control.name;
        let register = || ProjectionMeters::register(&[("projection", name)]);
        let meters = meters.get_or_insert_with(|| shared.options.meters(register));
        if status.lag_events > 0 {
            meters.lags(status.lag_events, status.lag);
        }
        let is_stalled = status.state == ProjectionState::Stalled;
        if is_stalled && !is_told {
            let no_progress_for = status.no_progress_for.unwrap_or_default();
            tracing::error!(
                projection = name,
                position = %status.position,
                head = %status.head,
                ?no_progress_for,
                "a projection has something to do and gets nowhere"
            );
            let stalled = IncidentKind::Stalled { no_progress_for };
            shared.options.alerts.tell(name, stalled);
        }
        is_told = is_stalled;
    }
}
