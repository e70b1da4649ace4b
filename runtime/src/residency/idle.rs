use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::shared::Shared;

/// Into how many parts the time is divided after which an aggregate is idle: one is passivated at most so much too late.
const PARTS: u32 = 4;

/// Passivates what has not been used for `idle_max`, until the runtime shuts down.
pub(crate) async fn passivate_idle(shared: Weak<Shared>, idle_max: Duration) {
    let mut marks = VecDeque::new();
    loop {
        tokio::time::sleep(idle_max / PARTS).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if shared.is_closing() {
            return;
        }
        marks.push_back(shared.residency.tick());
        if marks.len() > PARTS as usize
            && let Some(since) = marks.pop_front()
        {
            sweep(&shared, since).await;
        }
    }
}

async fn sweep(shared: &Arc<Shared>, since: u64) {
    let mut end = usize::MAX;
    while end > 0 {
        end = shared.residency.sweep(end, since);
        // They leave snapshots: no faster than these can be saved, or they would go without.
        if let Ok(room) = shared.snapshots.acquire().await {
            drop(room);
        }
        tokio::task::yield_now().await;
    }
}
