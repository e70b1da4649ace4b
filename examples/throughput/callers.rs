use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::latencies::{Latencies, Recorder};
use crate::{Failure, Plan, fail};

/// What callers do.
pub(crate) trait Load: Send + Sync + 'static {
    /// What a caller remembers from one call to the next.
    type Memory: Default + Send;

    /// One call.
    fn call(
        &self,
        memory: &mut Self::Memory,
        random: &mut StdRng,
    ) -> impl Future<Output = Result<Called, Failure>> + Send;
}

/// What became of the commands of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Called {
    /// Took effect, and are durable.
    pub(crate) acked: u64,
    /// The domain said no.
    pub(crate) rejected: u64,
}

impl Called {
    pub(crate) const ACKED: Self = Self {
        acked: 1,
        rejected: 0,
    };
    pub(crate) const REJECTED: Self = Self {
        acked: 0,
        rejected: 1,
    };
}

/// What all callers saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acked: u64,
    pub(crate) rejected: u64,
    pub(crate) errors: u64,
}

/// Lets all callers call until the time is over or the calls are done.
pub(crate) async fn run<L: Load>(
    load: &Arc<L>,
    plan: &Plan,
    latencies: &Latencies,
) -> Result<Tally, Failure> {
    let mut running = JoinSet::new();
    let end = Instant::now() + plan.duration;
    for caller in 0..plan.callers {
        let caller = Caller {
            load: Arc::clone(load),
            random: StdRng::seed_from_u64(plan.seed.rotate_left(32) ^ u64::from(caller)),
            recorder: latencies.recorder(),
            calls: plan.calls.map_or(u64::MAX, |calls| {
                share(calls, plan.callers.into(), caller.into())
            }),
            end,
        };
        if plan.callers == 1 {
            // Here, where the program's own `main` waits.
            return Ok(caller.run().await);
        }
        running.spawn(caller.run());
    }
    let mut all = Tally::default();
    while let Some(tally) = running.join_next().await {
        let tally = tally.map_err(fail)?;
        all.acked += tally.acked;
        all.rejected += tally.rejected;
        all.errors += tally.errors;
    }
    Ok(all)
}

/// What of `whole` comes to one of `shares`, as even as it can be.
fn share(whole: u64, shares: u64, index: u64) -> u64 {
    whole / shares + u64::from(index < whole % shares)
}

struct Caller<L> {
    load: Arc<L>,
    random: StdRng,
    recorder: Recorder,
    calls: u64,
    end: Instant,
}

impl<L: Load> Caller<L> {
    async fn run(mut self) -> Tally {
        let mut tally = Tally::default();
        let mut memory = L::Memory::default();
        let mut start = Instant::now();
        while self.calls > 0 && start < self.end {
            self.calls -= 1;
            let called = self.load.call(&mut memory, &mut self.random).await;
            // The next call begins where this one ends: one look at the clock for each.
            let now = Instant::now();
            self.recorder.record(now.duration_since(start));
            start = now;
            tally.note(called);
        }
        tally
    }
}

impl Tally {
    fn note(&mut self, called: Result<Called, Failure>) {
        match called {
            Ok(called) => {
                self.acked += called.acked;
                self.rejected += called.rejected;
            }
            Err(error) => {
                self.errors += 1;
                // One for each caller: what goes wrong goes wrong for all.
                if self.errors == 1 {
                    eprintln!("error: {error}");
                }
            }
        }
    }
}

/// Does something for each number below `count`, many at a time.
pub(crate) async fn for_each<F, Fut>(count: usize, job: F) -> Result<(), Failure>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    const AT_A_TIME: usize = 256;
    let mut running = JoinSet::new();
    for first in 0..count.min(AT_A_TIME) {
        let job = job.clone();
        running.spawn(async move {
            for number in (first..count).step_by(AT_A_TIME) {
                job(number).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = running.join_next().await {
        done.map_err(fail)??;
    }
    Ok(())
}

/// So that nothing waits for ever: for the end of a runtime, and for a read model that comes up to the head.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);
