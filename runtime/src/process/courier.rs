use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::StreamId;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::ProcessManager;
use super::command_kinds::ProcessCommands;
use super::instance::Instance;
use super::live::{Live, StuckInstance};
use super::reactions::Outgoing;
use super::tell::{TellOutcome, telling_id};
use crate::aggregate_ref::AggregateRef;
use crate::command::CommandMeta;
use crate::command_options::{CommandOptions, QueryOptions};
use crate::directory::Directory;
use crate::shared::Shared;

/// So many instances send at a time.
const SENDING_MAX: usize = 128;
/// How long an instance whose command failed waits before it is sent again; doubled for each failure in a row,
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Sends what is in the outboxes of instances: one command of each after the other, many instances at a time.
pub(super) struct Courier<P> {
    shared: Arc<Shared>,
    commands: Arc<ProcessCommands>,
    live: Arc<Live>,
    tasks: JoinSet<Result<(), Stuck>>,
    /// The instance of each task.
    sending: BTreeMap<Id, StreamId>,
    /// The same, by instance; true if it has issued more meanwhile.
    busy: BTreeMap<StreamId, bool>,
    ready: VecDeque<StreamId>,
    is_ready: BTreeSet<StreamId>,
    later: BTreeSet<(Instant, StreamId)>,
    process: PhantomData<fn() -> P>,
}

/// Why an instance does not come further.
struct Stuck {
    waits_for: Option<Outgoing>,
    error: String,
}

impl<P: ProcessManager> Courier<P> {
    pub(super) fn new(shared: Arc<Shared>, commands: ProcessCommands, live: Arc<Live>) -> Self {
        Self {
            shared,
            commands: Arc::new(commands),
            live,
            tasks: JoinSet::new(),
            sending: BTreeMap::new(),
            busy: BTreeMap::new(),
            ready: VecDeque::new(),
            is_ready: BTreeSet::new(),
            later: BTreeSet::new(),
            process: PhantomData,
        }
    }

    /// An instance has commands to send.
    pub(super) fn add(&mut self, instance: &StreamId) {
        if let Some(has_more) = self.busy.get_mut(instance) {
            *has_more = true;
            return;
        }
        // One that is put off waits until its time has come.
        if !self.live.seen().stuck.contains_key(instance) {
            self.put_ready(instance.clone());
        }
    }

    fn put_ready(&mut self, instance: StreamId) {
        if self.is_ready.insert(instance.clone()) {
            self.ready.push_back(instance);
        }
    }

    /// Lets as many send as may.
    pub(super) fn start(&mut self) {
        let now = Instant::now();
        while let Some((at, instance)) = self.later.pop_first() {
            if at > now {
                self.later.insert((at, instance));
                break;
            }
            self.put_ready(instance);
        }
        while self.tasks.len() < SENDING_MAX
            && let Some(instance) = self.ready.pop_front()
        {
            self.is_ready.remove(&instance);
            let (shared, commands) = (Arc::clone(&self.shared), Arc::clone(&self.commands));
            let task = send_all::<P>(shared, commands, instance.clone());
            let task = self.tasks.spawn(task);
            self.sending.insert(task.id(), instance.clone());
            self.busy.insert(instance, false);
        }
    }

    /// Waits until an instance has sent everything, or one that was put off may try again; gives the one that is done.
    pub(super) async fn next(&mut self) -> Option<StreamId> {
        let again = self.later.first().map(|(at, _)| *at);
        let ended = tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next_with_id(), if !self.sending.is_empty() => ended,
            () = until(again) => return None,
        };
        self.ended(ended)
    }

    /// The instances that have sent everything since it was looked last.
    pub(super) fn done(&mut self) -> Vec<StreamId> {
        let mut done = Vec::new();
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            done.extend(self.ended(ended));
        }
        done
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), Stuck>), JoinError>) -> Option<StreamId> {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let stuck = Stuck {
                    waits_for: None,
                    error: error.to_string(),
                };
                (error.id(), Err(stuck))
            }
        };
        let instance = self.sending.remove(&id)?;
        let has_more = self.busy.remove(&instance).unwrap_or_default();
        match outcome {
            Ok(()) => {
                self.live.seen().stuck.remove(&instance);
                if has_more {
                    self.put_ready(instance);
                    return None;
                }
                Some(instance)
            }
            Err(stuck) => {
                self.put_off(instance, stuck);
                None
            }
        }
    }

    fn put_off(&mut self, instance: StreamId, stuck: Stuck) {
        let Stuck { waits_for, error } = stuck;
        let mut seen = self.live.seen();
        let before = seen.stuck.get(&instance);
        let failures = before.map_or(0, |stuck| stuck.failures).saturating_add(1);
        let again_in = RETRY_AFTER
            .saturating_mul(1 << (failures - 1).min(16))
            .min(RETRY_AFTER_MAX);
        tracing::warn!(
            process = P::NAME, %instance, error, failures, again_in_ms = again_in.as_millis(),
            "an instance does not come further; it will try again"
        );
        let stuck = StuckInstance {
            instance: instance.clone(),
            waits_for: waits_for.map(|sent| (sent.step, sent.command, sent.stream)),
            error: error.into(),
            failures,
            again_in,
        };
        seen.stuck.insert(instance.clone(), stuck);
        drop(seen);
        self.later.insert((Instant::now() + again_in, instance));
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Sends the commands of one instance, each when the one before is settled.
async fn send_all<P: ProcessManager>(
    shared: Arc<Shared>,
    commands: Arc<ProcessCommands>,
    stream: StreamId,
) -> Result<(), Stuck> {
    let unreadable = |error: String| Stuck {
        waits_for: None,
        error,
    };
    let slot = Directory::slot::<Instance<P>>(&shared, stream)
        .map_err(|_| unreadable(format!("another aggregate is called {}", P::NAME)))?;
    let instance = AggregateRef::new(slot);
    loop {
        // Answered when it is durable: nothing is sent that could still come to nothing.
        let next = instance
            .ask(
                |instance, _| instance.outbox.front().cloned(),
                QueryOptions::new(),
            )
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        let Some(outgoing) = next else {
            return Ok(());
        };
        let stuck = |error: String| Stuck {
            waits_for: Some(outgoing.clone()),
            error,
        };
        let meta = CommandMeta::new().causation_id(outgoing.id);
        let sent = commands.send(&shared, outgoing.clone(), meta).await;
        let tell = TellOutcome::<P> {
            command_id: outgoing.id,
            outcome: sent.map_err(&stuck)?,
            process: PhantomData,
        };
        let options = CommandOptions::new()
            .command_id(telling_id(P::NAME, outgoing.id))
            .meta(CommandMeta::new().causation_id(outgoing.id));
        instance
            .execute(tell, options)
            .await
            .map_err(|error| stuck(error.to_string()))?;
    }
}
