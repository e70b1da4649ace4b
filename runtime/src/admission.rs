mod gate;

use std::sync::Arc;

pub(crate) use self::gate::Gate;
use crate::aggregate::Aggregate;
use crate::deadline::{Expired, Expiry};
use crate::options::WhenFull;
use crate::refusal::Overloaded;
use crate::shared::Shared;
use crate::slot::Slot;

/// How a caller waits for a place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// The runtime's own choice if it says nothing.
    pub(crate) when_full: Option<WhenFull>,
    pub(crate) until: Expiry,
}

/// Why a caller was not let in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotAdmitted {
    Overloaded(Overloaded),
    Expired,
}

impl From<Expired> for NotAdmitted {
    fn from(Expired: Expired) -> Self {
        Self::Expired
    }
}

impl Patience {
    /// Enters, or says that there is no place.
    async fn enter(self, gate: &Gate, shared: &Shared) -> Result<bool, Expired> {
        if gate.try_enter() {
            return Ok(true);
        }
        match self.when_full.unwrap_or(shared.options.when_full) {
            WhenFull::Refuse => Ok(false),
            // Each way with as little as it needs: what a caller takes here, it takes in the future of each of its commands.
            WhenFull::Wait if self.until.is_never() => {
                gate.enter().await;
                Ok(true)
            }
            WhenFull::Wait => {
                let entering = self.until.wait_for(&shared.tokio, gate.enter());
                Box::pin(entering).await.map(|()| true)
            }
        }
    }

    async fn enter_aggregate<A: Aggregate>(self, slot: &Slot<A>) -> Result<(), NotAdmitted> {
        let gate = &slot.admission;
        if self.enter(gate, &slot.shared).await? {
            return Ok(());
        }
        let limit = gate.limit();
        Err(NotAdmitted::Overloaded(Overloaded::Aggregate { limit }))
    }

    async fn enter_runtime(self, shared: &Shared) -> Result<(), NotAdmitted> {
        let gate = &shared.admission;
        if self.enter(gate, shared).await? {
            return Ok(());
        }
        let limit = gate.limit();
        Err(NotAdmitted::Overloaded(Overloaded::Runtime { limit }))
    }
}

/// The right to have one command or query in flight, at one aggregate and in the runtime.
///
/// It is held until the answer is given, so it bounds what waits for the disk as well as what waits for its turn.
pub(crate) struct Permit<A: Aggregate>(Arc<Slot<A>>);

impl<A: Aggregate> Permit<A> {
    fn new(slot: &Arc<Slot<A>>) -> Self {
        slot.shared.meters.permits_in_use.increment(1);
        Self(Arc::clone(slot))
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<A>> {
        &self.0
    }
}

impl<A: Aggregate> Drop for Permit<A> {
    fn drop(&mut self) {
        self.0.shared.meters.permits_in_use.decrement(1);
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

    pub(crate) async fn take(slot: &Arc<Slot<A>>, patience: Patience) -> Result<Self, NotAdmitted> {
        patience.enter_aggregate(slot).await?;
        Ok(Self(Arc::clone(slot)))
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
        patience: Patience,
    ) -> Result<Self, NotAdmitted> {
        patience.enter_runtime(shared).await?;
        shared.meters.permits_in_use.increment(1);
        Ok(Self(Arc::clone(shared)))
    }
}

impl RuntimePlace {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for RuntimePlace {
    fn drop(&mut self) {
        self.0.meters.permits_in_use.decrement(1);
        self.0.admission.leave();
    }
}

/// Takes a permit. The aggregate's limit comes first: who waits there must not hold a place in the runtime.
pub(crate) async fn admit<A: Aggregate>(
    slot: &Arc<Slot<A>>,
    patience: Patience,
) -> Result<Permit<A>, NotAdmitted> {
    let shared = &slot.shared;
    if slot.admission.try_enter() {
        if shared.admission.try_enter() {
            return Ok(Permit::new(slot));
        }
        slot.admission.leave();
    }
    // Off the path of all who need not wait.
    patience.enter_aggregate(slot).await?;
    let here = Entered(&slot.admission);
    patience.enter_runtime(shared).await?;
    here.keep();
    Ok(Permit::new(slot))
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
