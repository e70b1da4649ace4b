mod gate;

use std::sync::Arc;

use foldhouse_store::Store;

pub(crate) use self::gate::Gate;
use crate::aggregate::Aggregate;
use crate::options::WhenFull;
use crate::refusal::Overloaded;
use crate::shared::Shared;
use crate::slot::Slot;

/// The right to have one command or query in flight, at one aggregate and in the runtime.
///
/// It is held until the answer is given, so it bounds what waits for the disk as well as what waits for its turn.
pub(crate) struct Permit<A: Aggregate>(Arc<Slot<A>>);

impl<A: Aggregate> Permit<A> {
    pub(crate) fn slot(&self) -> &Arc<Slot<A>> {
        &self.0
    }
}

impl<A: Aggregate> Drop for Permit<A> {
    fn drop(&mut self) {
        self.0.admission.leave();
        self.0.shared.admission.leave();
    }
}

/// The right to have something in flight at one aggregate, as a part of a transaction.
pub(crate) struct Place<A: Aggregate>(Arc<Slot<A>>);

impl<A: Aggregate> Place<A> {
    /// Takes a place if there is one at once.
    pub(crate) fn try_take(slot: &Arc<Slot<A>>) -> Option<Self> {
        slot.admission.try_enter().then(|| Self(Arc::clone(slot)))
    }

    pub(crate) async fn take(
        slot: &Arc<Slot<A>>,
        when_full: Option<WhenFull>,
    ) -> Result<Self, Overloaded> {
        let when_full = when_full.unwrap_or(slot.shared.options.when_full);
        if enter(&slot.admission, when_full).await {
            return Ok(Self(Arc::clone(slot)));
        }
        let limit = slot.admission.limit();
        Err(Overloaded::Aggregate { limit })
    }
}

impl<A: Aggregate> Drop for Place<A> {
    fn drop(&mut self) {
        self.0.admission.leave();
    }
}

/// The right to have a transaction in flight in the runtime. It counts once, whatever it touches: with several places
/// to take here, two transactions could wait for each other's.
pub(crate) struct RuntimePlace(Arc<Shared>);

impl RuntimePlace {
    pub(crate) async fn take(
        shared: &Arc<Shared>,
        when_full: Option<WhenFull>,
    ) -> Result<Self, Overloaded> {
        let when_full = when_full.unwrap_or(shared.options.when_full);
        if enter(&shared.admission, when_full).await {
            return Ok(Self(Arc::clone(shared)));
        }
        let limit = shared.admission.limit();
        Err(Overloaded::Runtime { limit })
    }
}

impl RuntimePlace {
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }
}

impl Drop for RuntimePlace {
    fn drop(&mut self) {
        self.0.admission.leave();
    }
}

async fn enter(gate: &Gate, when_full: WhenFull) -> bool {
    if gate.try_enter() {
        return true;
    }
    if when_full == WhenFull::Refuse {
        return false;
    }
    gate.enter().await;
    true
}

/// Takes a permit. The aggregate's limit comes first: who waits there must not hold a place in the runtime.
pub(crate) async fn admit<A: Aggregate>(
    slot: &Arc<Slot<A>>,
    when_full: Option<WhenFull>,
) -> Result<Permit<A>, Overloaded> {
    let shared = &slot.shared;
    if slot.admission.try_enter() {
        if shared.admission.try_enter() {
            return Ok(Permit(Arc::clone(slot)));
        }
        slot.admission.leave();
    }
    // Off the path of all who need not wait.
    let refuse = when_full.unwrap_or(shared.options.when_full) == WhenFull::Refuse;
    if refuse && !slot.admission.try_enter() {
        let limit = slot.admission.limit();
        return Err(Overloaded::Aggregate { limit });
    }
    if !refuse {
        slot.admission.enter().await;
    }
    let here = Entered(&slot.admission);
    if refuse && !shared.admission.try_enter() {
        let limit = shared.admission.limit();
        return Err(Overloaded::Runtime { limit });
    }
    if !refuse {
        shared.admission.enter().await;
    }
    here.keep();
    Ok(Permit(Arc::clone(slot)))
}

/// Leaves the gate again unless it is kept: for a caller that gives up while it waits at the next one.
struct Entered<'a>(&'a Gate);

impl Entered<'_> {
    fn keep(self) {
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
