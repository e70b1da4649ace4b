//! Rows in memory, kept in the runtime's own store.

use std::sync::{Arc, PoisonError};

use foldhouse_store::{Clock, Position, RecordedEvent, Store};

use super::Projection;
use super::apply::{Selection, apply};
use super::beat::Beat;
use super::commit::Commits;
use super::dead_letter::DeadLetter;
use super::live::{Live, Rows};
use super::model::{Applied, Model};
use super::policy::FailurePolicy;
use super::progress::ParkedEvent;
use super::slot::{Partition, Side, store_name};
use crate::shared::Shared;

/// Events of one read while a model that was made beside comes up with the live one.
const CATCH_UP_EVENTS: usize = 1_024;

/// What a projection's follower keeps up to date.
pub(super) struct TableModel<P: Projection> {
    pub(super) live: Arc<Live<P>>,
    pub(super) store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    pub(super) commits: Commits,
    pub(super) partition: Option<Partition>,
    selection: Selection,
    policy: FailurePolicy,
}

impl<P: Projection> TableModel<P> {
    pub(super) fn new(
        live: Arc<Live<P>>,
        shared: &Shared,
        commits: Commits,
        partition: Option<Partition>,
    ) -> Self {
        Self {
            selection: Selection::new(live.projection.filter(), partition),
            policy: live.projection.failure_policy(),
            live,
            store: Arc::clone(&shared.store),
            clock: Arc::clone(&shared.options.clock),
            commits,
            partition,
        }
    }

    fn store_name(&self, side: Side) -> Arc<str> {
        store_name(P::NAME, self.partition, side)
    }

    fn note_place(&self) {
        let mut place = self
            .live
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = (self.commits.side(), self.commits.generation());
    }

    /// Applies what the journal has up to `end`.
    async fn come_up_to(&mut self, mut shown: Position, end: Position) -> Result<Position, String> {
        while shown < end {
            let missing = end.get() - shown.get();
            let limit =
                usize::try_from(missing).map_or(CATCH_UP_EVENTS, |m| m.min(CATCH_UP_EVENTS));
            let page = self.store.read_all(shown, limit).await;
            let page = page.map_err(|error| error.to_string())?;
            let applied = self.apply(&page.events, &Beat::new()).await;
            if let Some(failed) = applied.failed {
                let Some(event) = page.events.get(failed.index) else {
                    return Err(failed.error);
                };
                if !failed.is_events_fault || self.policy.set_aside_max() == 0 {
                    return Err(ParkedEvent::before(event, failed.error).to_string());
                }
                let letter = DeadLetter::new(event, &failed.error, 1, self.clock.now());
                self.set_aside(letter).await?;
                shown = event.position;
                continue;
            }
            match applied.shown {
                Some((position, _)) => shown = position,
                None => return Err(format!("the store gives no event behind {shown}")),
            }
        }
        Ok(shown)
    }
}

impl<P: Projection> Model for TableModel<P> {
    const BLOCKS: bool = false;

    fn policy(&self) -> &FailurePolicy {
        &self.policy
    }

    /// Readers see the rows before all of the events, or behind.
    async fn apply(&mut self, events: &[RecordedEvent], beat: &Beat) -> Applied {
        let live = &*self.live;
        let mut rows = live.write();
        let table = &mut rows.table;
        let failed = apply(&*live.projection, &self.selection, events, table, beat);
        drop(rows);
        let good = failed.as_ref().map_or(events.len(), |failed| failed.index);
        let last = good.checked_sub(1).and_then(|last| events.get(last));
        Applied {
            shown: last.map(|event| (event.position, event.recorded_at)),
            failed,
        }
    }

    async fn keep(&mut self, position: Position, at_head: bool) -> Result<(), String> {
        self.commits.step(&self.live, position, at_head).await
    }

    async fn finish(&mut self, position: Position) -> Result<(), String> {
        self.commits.finish(&self.live, position).await
    }

    async fn until_kept(&mut self) {
        self.commits.until_ended().await;
    }

    async fn reset(&mut self) -> Result<(), String> {
        // Whatever is on its way would come behind the reset.
        let _ = self.commits.settle(&self.live).await;
        self.commits.reset().await?;
        self.note_place();
        *self.live.write() = Rows::new();
        Ok(())
    }

    async fn set_aside(&mut self, letter: DeadLetter) -> Result<(), String> {
        let mut rows = self.live.write();
        let limit = self.policy.set_aside_max();
        if rows.letters.len() >= limit {
            return Err(format!("{limit} events are set aside, which is the limit"));
        }
        rows.letters.put(letter);
        Ok(())
    }

    fn dead_letters(&self) -> Vec<Position> {
        let letters = self.live.read().letters.list();
        letters.iter().map(|letter| letter.position).collect()
    }

    async fn apply_dead_letter(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let live = &*self.live;
        let mut rows = live.write();
        let events = std::slice::from_ref(event);
        let beat = &live.control.beat;
        let failed = apply(
            &*live.projection,
            &self.selection,
            events,
            &mut rows.table,
            beat,
        );
        match failed {
            None => {
                rows.letters.remove(event.position);
                Ok(())
            }
            Some(failed) => {
                if let Some(mut letter) = rows.letters.get(event.position).cloned() {
                    letter.failed_again(&failed.error);
                    rows.letters.put(letter);
                }
                Err(failed.error)
            }
        }
    }

    fn discard(&mut self, position: Position) -> bool {
        self.live.write().letters.remove(position)
    }

    async fn take_rebuilt(&mut self, position: Position) -> Result<Position, String> {
        let rebuilt = {
            let mut rebuilt = self
                .live
                .rebuilt
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            rebuilt.take()
        };
        let Some((mut rebuilt, shown)) = rebuilt else {
            return Err("no model was made beside this one".to_owned());
        };
        let shown = rebuilt.come_up_to(shown, position).await?;
        // What is on its way goes to the place that is left; whether it arrives does not matter any more.
        let _ = self.commits.settle(&self.live).await;
        let generation = self.commits.generation() + 1;
        let (live, commits) = (Arc::clone(&rebuilt.live), &mut rebuilt.commits);
        commits.seal(&live, shown, generation).await?;
        // From here on the store has the new model, whatever happens.
        let old = self.store_name(self.commits.side());
        std::mem::swap(&mut self.commits, &mut rebuilt.commits);
        self.note_place();
        let rows = std::mem::replace(&mut *live.write(), Rows::new());
        let old_rows = std::mem::replace(&mut *self.live.write(), rows);
        drop(old_rows);
        let store = Arc::clone(&self.store);
        let clearing = tokio::spawn(async move {
            if let Err(error) = store.reset(&old).await {
                // The next start does it.
                tracing::warn!(projection = P::NAME, %error, "a model that was replaced was not removed");
            }
        });
        *self.live.clearing.lock().await = Some(clearing);
        Ok(shown)
    }
}
