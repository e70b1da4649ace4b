use std::fmt::Debug;

use foldhouse_store::simulation::Random;

use super::caller::Caller;
use super::process::Process;
use super::world::World;

/// What is simulated: what callers do, and what must hold whatever happens meanwhile.
///
/// `operation` and `perform` may use nothing that differs from run to run but what they are given: no clock of the
/// machine, no random numbers of their own, no map in an order by chance, no threads. Waiting is free:
/// [`tokio::time::sleep`] takes no real time.
pub trait Scenario: Send + Sync + 'static {
    /// Something that a caller does: one command, one transaction, or several one after the other.
    type Operation: Clone + Debug + Send + Sync + 'static;

    /// Draws an operation.
    fn operation(&self, random: &mut Random) -> Self::Operation;

    /// Does it. When the process dies meanwhile, this goes no further.
    fn perform(
        &self,
        operation: Self::Operation,
        caller: &Caller,
    ) -> impl Future<Output = ()> + Send;

    /// Begins a process: starts its projections. Called again after each crash and each restart.
    fn start(&self, process: &Process) -> impl Future<Output = ()> + Send {
        let _ = process;
        async {}
    }

    /// What must hold at every quiet moment: after each crash and restart, before anything is asked, and at the end.
    ///
    /// # Errors
    /// What does not hold, in words.
    fn check(&self, world: &World<'_>) -> Result<(), String>;

    /// Operations that could take the place of this one when a run that failed is made smaller; none if nothing is said.
    fn simpler(&self, operation: &Self::Operation) -> Vec<Self::Operation> {
        let _ = operation;
        Vec::new()
    }
}
