use std::sync::Arc;

use foldhouse_store::StreamId;

use super::ProcessManager;
use super::command_kinds::ProcessCommands;
use super::courier::Courier;
use super::error::StartProcessError;
use super::follower::Follower;
use super::live::Live;
use super::reference::ProcessRef;
use super::rows::Rows;
use super::tell::Timeout;
use crate::shared::Shared;

/// The longest name of a process, in bytes: how far it is is kept under a name that is a little longer.
const NAME_BYTES_MAX: usize = 55;

/// Starts a process where it was.
pub(crate) async fn start<P: ProcessManager>(
    shared: &Arc<Shared>,
) -> Result<ProcessRef<P>, StartProcessError> {
    let name = P::NAME;
    if name.len() > NAME_BYTES_MAX || StreamId::new("tenant", name, "key").is_err() {
        return Err(StartProcessError::Name { name });
    }
    let reserved = Reserved::new(shared, name)?;
    let rows = Rows::load(&*shared.store, name)
        .await
        .map_err(|error| StartProcessError::Read { name, error })?;
    shared.timers.register::<Timeout<P>>();
    let mut commands = ProcessCommands::default();
    P::commands(&mut commands);
    let live = Arc::new(Live::new(rows.position));
    let courier = Courier::<P>::new(Arc::clone(shared), commands, Arc::clone(&live));
    tracing::info!(
        process = name, position = %rows.position, open = rows.open.len(), parked = rows.parked.len(),
        "a process starts"
    );
    let follower = Follower::new(Arc::clone(shared), Arc::clone(&live), rows, courier);
    shared.tokio.spawn(async move {
        follower.run().await;
        drop(reserved);
    });
    Ok(ProcessRef::new(Arc::clone(shared), live))
}

/// A name that is taken while its process runs.
struct Reserved {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Reserved {
    fn new(shared: &Arc<Shared>, name: &'static str) -> Result<Self, StartProcessError> {
        if shared.is_closing() {
            return Err(StartProcessError::ShuttingDown { name });
        }
        if !shared.processes().insert(name) {
            return Err(StartProcessError::AlreadyRunning { name });
        }
        let shared = Arc::clone(shared);
        Ok(Self { shared, name })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shared.processes().remove(self.name);
    }
}
