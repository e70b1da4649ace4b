use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use uuid::Uuid;

use crate::shared::Shared;

/// The ids of commands that are on their way in one runtime, each held by one sender. Who claims one has a place in the
/// runtime, so there are never more than that takes.
///
/// A claim goes with the command and not with its caller: one whose caller has given up is on its way all the same.
#[derive(Default)]
pub(crate) struct Claims {
    /// With a channel if somebody waits for the end of it.
    ids: DashMap<Uuid, Option<watch::Sender<()>>>,
}

/// Waits until a command is settled, or has come to nothing.
pub(crate) struct OnItsWay(watch::Receiver<()>);

impl OnItsWay {
    pub(crate) async fn settled(mut self) {
        // Nothing is ever sent: it ends when the claim does.
        while self.0.changed().await.is_ok() {}
    }
}

/// The right to be the one command under an id.
pub(crate) struct Claim {
    shared: Arc<Shared>,
    id: Uuid,
}

impl Claim {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shared.claims.ids.remove(&self.id);
    }
}

impl Claims {
    /// Claims an id, or tells how to wait for who has it.
    pub(crate) fn claim(shared: &Arc<Shared>, id: Uuid) -> Result<Claim, OnItsWay> {
        match shared.claims.ids.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                let shared = Arc::clone(shared);
                Ok(Claim { shared, id })
            }
            Entry::Occupied(mut held) => Err(on_its_way(held.get_mut())),
        }
    }

    /// How to wait for the command with this id, if one is on its way.
    pub(crate) fn on_its_way(&self, id: Uuid) -> Option<OnItsWay> {
        self.ids.get_mut(&id).map(|mut held| on_its_way(&mut held))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

fn on_its_way(held: &mut Option<watch::Sender<()>>) -> OnItsWay {
    let settled = held.get_or_insert_with(|| watch::Sender::new(()));
    OnItsWay(settled.subscribe())
}
