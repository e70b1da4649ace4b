use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::BoxFuture;

use super::reactions::Outgoing;
use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::command::CommandMeta;
use crate::command_error::CommandError;
use crate::command_options::CommandOptions;
use crate::directory::Directory;
use crate::event_codec::decode_value;
use crate::shared::Shared;
use crate::timer::TimedCommand;

/// The commands that the instances of a process may send; see [`ProcessManager::commands`](super::ProcessManager::commands).
#[derive(Default)]
pub struct ProcessCommands {
    kinds: BTreeMap<(&'static str, &'static str), Box<dyn CommandKind>>,
}

/// What a command came to: its reply, or why the domain said no. Otherwise it is to be sent again.
pub(super) type Sent = Result<Result<Bytes, Arc<str>>, String>;

trait CommandKind: Send + Sync {
    fn send(
        &self,
        shared: Arc<Shared>,
        outgoing: Outgoing,
        meta: CommandMeta,
    ) -> BoxFuture<'static, Sent>;
}

struct Kind<C>(PhantomData<fn() -> C>);

impl<C: TimedCommand> CommandKind for Kind<C> {
    fn send(
        &self,
        shared: Arc<Shared>,
        outgoing: Outgoing,
        meta: CommandMeta,
    ) -> BoxFuture<'static, Sent> {
        Box::pin(send::<C>(shared, outgoing, meta))
    }
}

async fn send<C: TimedCommand>(shared: Arc<Shared>, outgoing: Outgoing, meta: CommandMeta) -> Sent {
    let command = decode_value::<C>(&outgoing.content)
        .map_err(|error| format!("the command {} cannot be read: {error}", C::NAME))?;
    let slot = Directory::slot::<C::Aggregate>(&shared, outgoing.stream)
        .map_err(|_| format!("two Rust types are called {}", C::Aggregate::TYPE))?;
    let options = CommandOptions::new().meta(meta);
    let aggregate = AggregateRef::new(slot);
    match aggregate.execute_once(command, outgoing.id, options).await {
        Ok(committed) => match rmp_serde::to_vec_named(&committed.reply) {
            Ok(reply) => Ok(Ok(reply.into())),
            Err(error) => Err(format!(
                "the reply to {} cannot be written: {error}",
                C::NAME
            )),
        },
        Err(CommandError::Rejected(rejection)) => Ok(Err(rejection.to_string().into())),
        Err(error) => Err(error.to_string()),
    }
}

impl ProcessCommands {
    /// Instances may send this command.
    pub fn sends<C: TimedCommand>(&mut self) -> &mut Self {
        let key = (C::Aggregate::TYPE, C::NAME);
        self.kinds.insert(key, Box::new(Kind::<C>(PhantomData)));
        self
    }

    pub(super) fn send(
        &self,
        shared: &Arc<Shared>,
        outgoing: Outgoing,
        meta: CommandMeta,
    ) -> BoxFuture<'static, Sent> {
        let aggregate_type = outgoing.stream.aggregate_type();
        // Few are named, and borrowed texts of any lifetime are no key of this map.
        let mut kinds = self.kinds.iter();
        let kind =
            kinds.find(|((of, name), _)| *of == aggregate_type && *name == &*outgoing.command);
        match kind {
            Some((_, kind)) => kind.send(Arc::clone(shared), outgoing, meta),
            None => {
                let error = format!(
                    "the process names no command {:?} of {aggregate_type}: add it in ProcessManager::commands",
                    outgoing.command
                );
                Box::pin(std::future::ready(Err(error)))
            }
        }
    }
}

impl std::fmt::Debug for ProcessCommands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}
