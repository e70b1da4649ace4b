use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

/// The parent of all actors of one kind. It outlives each of them: one that fails never touches another.
///
/// An aggregate's next actor is started by its slot, which alone knows whether work waits for it. A limit on how often
/// and how fast that may happen belongs there, too.
pub(crate) struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    /// What its children are, for the log.
    type State = &'static str;
    type Arguments = &'static str;

    async fn pre_start(
        &self,
        _myself: ActorRef<()>,
        children: &'static str,
    ) -> Result<&'static str, ActorProcessingErr> {
        Ok(children)
    }

    // ractor's own stops the supervisor, and with it all children, when one of them ends.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<()>,
        event: SupervisionEvent,
        children: &mut &'static str,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                tracing::warn!(kind = *children, actor = %actor.get_id(), %error, "an actor failed");
            }
            SupervisionEvent::ActorTerminated(actor, _, reason) => {
                tracing::trace!(kind = *children, actor = %actor.get_id(), ?reason, "an actor ended");
            }
            _ => {}
        }
        Ok(())
    }
}
