mod gate;

use std::sync::Arc;

pub(crate) use self::gate::Gate;
use crate::aggregate::Aggregate;
use crate::options::WhenFull;
use crate::refusal::Overloaded;
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
