//! One life of the simulated process: it opens what the last one left, works, and ends or dies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhouse_store::simulation::SimulatedStore;
use foldhouse_store::{EventStore, OpenError, RecordedEvent, Store};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::audit;
use super::caller::Caller;
use super::callers::{Callers, Lane};
use super::fault::Fault;
use super::machine::{Counts, Machine};
use super::process::Process;
use super::report::Violation;
use super::todo::Todo;
use super::world::World;
use super::{Scenario, Settings};
use crate::refusal::panic_message;
use crate::runtime::Runtime;

/// Longer than anything takes, in virtual time.
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
/// How long a process goes on after a write has failed, until somebody restarts it.
const UNTIL_RESTARTED: Duration = Duration::from_millis(10);
/// So often the end is looked at again because something was recorded meanwhile.
const MOMENTS_MAX: u32 = 32;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    PowerCut,
    /// In an orderly way, with more to do.
    Restart,
    /// In an orderly way, with nothing left to do.
    Done,
}

/// One life under way.
pub(super) struct Life<S: Scenario> {
    pub(super) scenario: Arc<S>,
    pub(super) settings: Arc<Settings>,
    pub(super) machine: Arc<Machine>,
    pub(super) todo: Arc<Todo<S::Operation>>,
    stopping: AtomicBool,
    restart: Notify,
}

impl<S: Scenario> Life<S> {
    pub(super) fn new(
        scenario: Arc<S>,
        settings: Arc<Settings>,
        machine: Arc<Machine>,
        todo: Arc<Todo<S::Operation>>,
    ) -> Self {
        Self {
            scenario,
            settings,
            machine,
            todo,
            stopping: AtomicBool::new(false),
            restart: Notify::new(),
        }
    }

    /// Lives, within a tokio runtime of its own whose time is paused.
    pub(super) async fn run(self: Arc<Self>) -> Result<End, Violation> {
        let machine = Arc::clone(&self.machine);
        machine.disk.start();
        machine.clock.start();
        Counts::one(&machine.counts.processes);
        machine.trace.note(format_args!("a process starts"));
        let ended = tokio::select! {
            biased;
            () = machine.disk.until_off() => Ok(End::PowerCut),
            ended = self.work() => ended,
        };
        // What fails without power says nothing.
        let ended = match machine.disk.is_off() {
            true => Ok(End::PowerCut),
            false => ended,
        };
        if ended == Ok(End::PowerCut) {
            Counts::one(&machine.counts.power_cuts);
        }
        machine.trace.note(format_args!("the process ends"));
        machine.clock.stop();
        ended
    }

    async fn work(self: &Arc<Self>) -> Result<End, Violation> {
        let machine = &self.machine;
        self.let_due_faults_happen();
        let Some(store) = self.open()? else {
            return Ok(End::Restart);
        };
        let store = Arc::new(store);
        let committing = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.run().await }
        });
        let events = audit::read_log(&*store).await?;
        audit::check_log(machine, &events)?;
        audit::check_kept(machine, &*store, &events).await?;
        self.check(&events)?;
        let process = self.start(Arc::clone(&store)).await?;
        let has_work = !self.todo.is_empty();
        let end = match has_work {
            true => self.call(&process).await?,
            false => End::Done,
        };
        self.end(&process, &store).await?;
        store.close();
        in_time("the store closes", committing).await?.ok();
        Ok(match end {
            // Once more: what an orderly end leaves is looked at, too.
            End::Done if has_work => End::Restart,
            end => end,
        })
    }

    /// `None` if the disk has just failed: somebody will try again.
    fn open(&self) -> Result<Option<SimulatedStore>, Violation> {
        let machine = &self.machine;
        let clock = Arc::clone(&machine.clock);
        let faults = machine.disk.faults();
        let segment_bytes = self.settings.segment_bytes;
        let opened = SimulatedStore::open(&machine.disk, segment_bytes, clock, machine.branch());
        let store = match opened {
            Ok(store) => store.observed_by(machine.history.clone()),
            Err(OpenError::Io(fault)) if machine.disk.faults() > faults => {
                machine.trace.note(format_args!("not opened: {fault}"));
                return Ok(None);
            }
            Err(error) => return Err(Violation::new("the store opens again", error)),
        };
        let recovery = store.recovery();
        machine.trace.note(format_args!(
            "opened with {} segments, {} events, torn: {:?}",
            recovery.segments, recovery.head, recovery.torn_tail
        ));
        if recovery.torn_tail.is_some() {
            Counts::one(&machine.counts.torn_tails);
        }
        let segments = &machine.counts.segments;
        segments.fetch_max(recovery.segments as u64, Ordering::Relaxed);
        Ok(Some(store))
    }

    async fn start(&self, store: Arc<SimulatedStore>) -> Result<Process, Violation> {
        let store: Arc<dyn Store> = store;
        let store = match &self.settings.wrap {
            Some(wrap) => wrap(store),
            None => store,
        };
        let mut builder = Runtime::builder(store)
            .clock(Arc::clone(&self.machine.clock))
            // It goes by the machine's time.
            .without_watchdog()
            .snapshot_every_events(self.settings.snapshot_every_events)
            .idle_actors_max(self.idle_actors_max());
        if let Some(set_up) = &self.settings.set_up {
            builder = set_up(builder);
        }
        let runtime = builder.start().await;
        let runtime = runtime.map_err(|error| Violation::new("the runtime starts", error))?;
        let process = Process::new(runtime, Arc::clone(&self.machine));
        in_time("the process starts", self.scenario.start(&process)).await?;
        Ok(process)
    }

    /// Few stay, or none: actors come and go all the time. Another number in each life.
    fn idle_actors_max(&self) -> usize {
        let lives = self.machine.counts.processes.load(Ordering::Relaxed);
        usize::from(lives.is_multiple_of(2))
    }

    /// Lets the callers do what they have to, and the faults happen.
    async fn call(self: &Arc<Self>, process: &Process) -> Result<End, Violation> {
        let lanes = (0..self.todo.callers()).map(|number| {
            let caller = Caller {
                number,
                runtime: process.runtime.clone(),
                machine: Arc::clone(&self.machine),
            };
            let lane: Lane = Box::pin(Arc::clone(self).lane(caller));
            lane
        });
        let callers = Callers::new(lanes.collect(), self.machine.branch());
        let mut callers = tokio::spawn(callers);
        let faults = tokio::spawn(Arc::clone(self).faults());
        let watch = tokio::spawn(Arc::clone(self).watch_writes());
        let end = tokio::select! {
            biased;
            joined = &mut callers => {
                done(joined)?;
                Ok(End::Done)
            }
            () = self.restart.notified() => Ok(End::Restart),
            () = sleep(HOUR) => Err(self.unanswered()),
        }?;
        if end == End::Restart {
            self.machine.trace.note(format_args!("restart"));
            self.stopping.store(true, Ordering::SeqCst);
            self.shut_down(process).await?;
            done(
                timeout(HOUR, callers)
                    .await
                    .map_err(|_| self.unanswered())?,
            )?;
        }
        faults.abort();
        watch.abort();
        match self.todo.is_empty() {
            true => Ok(End::Done),
            false => Ok(end),
        }
    }

    fn unanswered(&self) -> Violation {
        let entries = self.machine.history.entries();
        let open: Vec<_> = entries
            .calls
            .iter()
            .filter(|call| call.answer.is_none())
            .collect();
        Violation::new(
            "everything is answered",
            format!("without an answer after an hour: {open:?}"),
        )
    }

    async fn lane(self: Arc<Self>, caller: Caller) {
        while let Some(at_ms) = self.todo.next_at_ms(caller.number) {
            self.until(at_ms).await;
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Some(planned) = self.todo.take(caller.number) else {
                return;
            };
            let (number, operation) = (caller.number, planned.operation);
            self.machine
                .trace
                .note(format_args!("caller {number} does {operation:?}"));
            self.scenario.perform(operation, &caller).await;
        }
    }

    async fn until(&self, at_ms: u64) {
        let now = self.machine.clock.elapsed();
        let wait = Duration::from_millis(at_ms).saturating_sub(now);
        if !wait.is_zero() {
            tokio::time::sleep_until(Instant::now() + wait).await;
        }
    }

    async fn faults(self: Arc<Self>) {
        while let Some(at_ms) = self.todo.next_fault_at_ms() {
            self.until(at_ms).await;
            self.let_due_faults_happen();
        }
    }

    /// Those of the disk may come while a store is being opened, too.
    fn let_due_faults_happen(&self) {
        while let Some(at_ms) = self.todo.next_fault_at_ms()
            && Duration::from_millis(at_ms) <= self.machine.clock.elapsed()
            && let Some(next) = self.todo.take_fault()
        {
            self.machine
                .trace
                .note(format_args!("fault: {}", next.fault));
            self.let_happen(next.fault);
        }
    }

    fn let_happen(&self, fault: Fault) {
        if let Some((nth, on_disk)) = fault.on_disk() {
            self.machine.disk.arm(nth, on_disk);
        }
        match fault {
            Fault::Restart => self.restart.notify_one(),
            Fault::ClockStepsBack { ms } => {
                self.machine.clock.step_back(Duration::from_millis(ms));
            }
            Fault::PowerCut { .. } | Fault::WriteFails { .. } | Fault::NoRoom => {}
        }
    }

    /// A store that could not write has to be opened again.
    async fn watch_writes(self: Arc<Self>) {
        self.machine.disk.until_write_failed().await;
        sleep(UNTIL_RESTARTED).await;
        self.restart.notify_one();
    }

    /// Compares what is in memory with what is recorded, and shuts the runtime down.
    async fn end(&self, process: &Process, store: &Arc<SimulatedStore>) -> Result<(), Violation> {
        for attempt in 1.. {
            let events = audit::read_log(&**store).await?;
            let checked = self.check_end(process, &events).await;
            // A timer may have fired between the two looks, or a process have sent a command: then they are of two moments.
            let read_up_to = events.last().map(|event| event.position);
            let is_one_moment = read_up_to.unwrap_or_default() == store.head();
            if is_one_moment || attempt == MOMENTS_MAX {
                checked?;
                break;
            }
        }
        if self.machine.disk.has_write_failed() {
            Counts::one(&self.machine.counts.failed_writes);
        }
        self.shut_down(process).await
    }

    async fn check_end(
        &self,
        process: &Process,
        events: &[RecordedEvent],
    ) -> Result<(), Violation> {
        audit::check_log(&self.machine, events)?;
        // After a failed write nothing can be asked any more, and after a shutdown either.
        let can_ask =
            !self.machine.disk.has_write_failed() && !self.stopping.load(Ordering::SeqCst);
        if can_ask {
            audit::check_live(&self.machine, process, events).await?;
            self.check(events)?;
        }
        Ok(())
    }

    async fn shut_down(&self, process: &Process) -> Result<(), Violation> {
        let shutdown = process.runtime.shutdown(HOUR).await;
        shutdown.map_err(|left| Violation::new("the runtime shuts down", left))?;
        Ok(())
    }

    fn check(&self, events: &[RecordedEvent]) -> Result<(), Violation> {
        let entries = self.machine.history.entries();
        let world = World {
            events,
            calls: &entries.calls,
        };
        // Unwind safe: the run ends after a panic.
        let checked = catch_unwind(AssertUnwindSafe(|| self.scenario.check(&world)));
        checked
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(panic))))
            .map_err(|what| Violation::new("the scenario's own check", what))
    }
}

async fn in_time<T>(what: &'static str, work: impl Future<Output = T>) -> Result<T, Violation> {
    let done = timeout(HOUR, work).await;
    done.map_err(|_| Violation::new(what, "it did not within an hour"))
}

fn done(joined: Result<(), tokio::task::JoinError>) -> Result<(), Violation> {
    joined.map_err(|error| {
        let message = match error.try_into_panic() {
            Ok(panic) => panic_message(panic),
            Err(error) => error.to_string(),
        };
        Violation::new("an operation does not panic", message)
    })
}
