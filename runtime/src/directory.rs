use std::any::Any;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhouse_store::StreamId;

use crate::aggregate::Aggregate;
use crate::shared::Shared;
use crate::slot::Slot;

/// The slots in use, by stream: at most one for each stream, whatever races, which is what makes an aggregate's actor
/// the only one.
#[derive(Default)]
pub(crate) struct Directory {
    slots: DashMap<StreamId, Weak<dyn AnySlot>>,
}

/// A slot of whatever aggregate.
pub(crate) trait AnySlot: Any + Send + Sync {
    /// Takes nothing new and lets the aggregate leave memory.
    fn close(self: Arc<Self>);

    /// Whether the aggregate is in memory, or about to be.
    fn is_occupied(&self) -> bool;
}

/// The stream's slot is in use for another Rust type.
pub(crate) struct OtherType;

impl Directory {
    /// The slot of a stream, made if nobody uses it yet.
    pub(crate) fn slot<A: Aggregate>(
        shared: &Arc<Shared>,
        stream: StreamId,
    ) -> Result<Arc<Slot<A>>, OtherType> {
        let slot: Arc<dyn Any + Send + Sync> = match shared.directory.slots.entry(stream) {
            Entry::Occupied(mut entry) => match entry.get().upgrade() {
                Some(slot) => slot,
                None => {
                    let slot = Arc::new(Slot::<A>::new(Arc::clone(shared), entry.key().clone()));
                    entry.insert(weak(&slot));
                    slot
                }
            },
            Entry::Vacant(entry) => {
                let slot = Arc::new(Slot::<A>::new(Arc::clone(shared), entry.key().clone()));
                entry.insert(weak(&slot));
                slot
            }
        };
        // Not under the map's lock: this may drop the last reference to a slot, which then forgets itself here.
        slot.downcast().map_err(|_| OtherType)
    }

    /// Forgets the slot of a stream if nobody uses it any more.
    pub(crate) fn forget(&self, stream: &StreamId) {
        // It may have been replaced by one that lives.
        self.slots
            .remove_if(stream, |_, slot| slot.strong_count() == 0);
    }

    /// The stream whose slot is at this address.
    pub(crate) fn stream_at(&self, slot: usize) -> Option<StreamId> {
        let mut slots = self.slots.iter();
        slots
            .find(|entry| entry.value().as_ptr().cast::<()>() as usize == slot)
            .map(|entry| entry.key().clone())
    }

    /// The first few of the streams whose aggregates are in memory, or about to be.
    pub(crate) fn occupied(&self, count: usize) -> Vec<StreamId> {
        // Looked at behind the map's locks, for the same reason as below.
        let slots = self.slots.iter();
        let slots: Vec<_> = slots
            .filter_map(|entry| Some((entry.key().clone(), entry.value().upgrade()?)))
            .collect();
        let occupied = slots.into_iter().filter(|(_, slot)| slot.is_occupied());
        let mut streams: Vec<_> = occupied.map(|(stream, _)| stream).collect();
        streams.sort_unstable();
        streams.truncate(count);
        streams
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn close_all(&self) {
        // Not under the map's locks, for the same reason.
        let mut slots: Vec<_> = self
            .slots
            .iter()
            .filter_map(|entry| Some((entry.key().clone(), entry.value().upgrade()?)))
            .collect();
        // The map's own order differs from run to run.
        if cfg!(feature = "simulation") {
            slots.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        }
        for (_stream, slot) in slots {
            slot.close();
        }
    }
}

fn weak<A: Aggregate>(slot: &Arc<Slot<A>>) -> Weak<dyn AnySlot> {
    let slot: Weak<Slot<A>> = Arc::downgrade(slot);
    slot
}
