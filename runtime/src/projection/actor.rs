//! Where a follower runs: under its supervisor, and on a thread of its own.
//!
//! `apply` is its user's code. What it holds up by not returning should be its own thread, and not one of those that
//! commands are decided on. On a tokio runtime of one thread, where a run can be replayed, it runs as a task.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::control::{AnyProjection, Control};
use super::follower::Follower;
use super::model::Model;

/// The actor of one projection.
pub(super) struct ProjectionActor<M>(PhantomData<fn() -> M>);

impl<M> ProjectionActor<M> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

/// Lets it follow the journal until its end.
pub(super) struct Follow;

impl<M: Model> Actor for ProjectionActor<M> {
    type Msg = Follow;
    type State = Option<Follower<M>>;
    type Arguments = Follower<M>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Follow>,
        follower: Follower<M>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(follower))
    }

    async fn handle(
        &self,
        myself: ActorRef<Follow>,
        Follow: Follow,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(follower) = state.take() {
            drop(run(follower).await);
        }
        myself.stop(None);
        Ok(())
    }
}

/// Lets a follower follow until its end, and gives its model.
pub(super) async fn run<M: Model>(mut follower: Follower<M>) -> Option<M> {
    let tokio = Handle::current();
    if tokio.runtime_flavor() == RuntimeFlavor::CurrentThread && !M::BLOCKS {
        follower.follow().await;
        return follower.model.take();
    }
    // If nobody waits for its end any more (the tokio runtime goes), it is to end.
    let mut end = EndOnDrop(Some(Arc::clone(follower.control())));
    let name = follower.control().name;
    // Taken out of here by the thread, or, if there is none, by us.
    let follower = Arc::new(Mutex::new(Some(follower)));
    let (sender, ended) = oneshot::channel();
    let on_thread = {
        let follower = Arc::clone(&follower);
        let tokio = tokio.clone();
        let listener = tracing::dispatcher::get_default(tracing::Dispatch::clone);
        move || {
            let Some(mut follower) = take(&follower) else {
                return;
            };
            follower.reader.has_thread();
            tracing::dispatcher::with_default(&listener, || tokio.block_on(follower.follow()));
            // What waits for it below finds the follower, and all that it holds, gone.
            let model = follower.model.take();
            drop(follower);
            let _ = sender.send(model);
        }
    };
    let started = std::thread::Builder::new()
        .name(format!("foldhouse-{name}"))
        .spawn(on_thread);
    if let Err(error) = started {
        tracing::warn!(projection = name, %error, "there is no thread for a projection: it shares one with commands");
        let mut follower = take(&follower)?;
        follower.follow().await;
        return follower.model.take();
    }
    drop(follower);
    let model = ended.await.ok().flatten();
    end.0 = None;
    model
}

fn take<M: Model>(follower: &Mutex<Option<Follower<M>>>) -> Option<Follower<M>> {
    follower
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

struct EndOnDrop(Option<Arc<Control>>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(control) = &self.0 {
            control.stop();
        }
    }
}
