use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhouse::{AggregateRef, Runtime, WhenFull};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use super::account::Account;
use super::history::{History, Outcome, Step, Way};
use super::workload;

/// What the callers of one epoch share.
pub(super) struct Crew {
    pub(super) history: Arc<History>,
    /// How many operations are to come.
    pub(super) left: AtomicUsize,
    pub(super) crashes_at: Option<usize>,
    pub(super) crash: Notify,
    pub(super) runtimes: Vec<Runtime>,
    pub(super) accounts: Vec<Vec<AggregateRef<Account>>>,
}

impl Crew {
    /// One caller, who asks one thing after the other.
    pub(super) async fn call(self: Arc<Self>, caller: usize, mut random: StdRng) {
        let runtime = &self.runtimes[caller % self.runtimes.len()];
        let accounts = &self.accounts[caller % self.runtimes.len()];
        let next = |left: usize| left.checked_sub(1);
        while self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
            .is_ok()
        {
            if random.random_ratio(1, 20) {
                self.several(runtime, accounts, &mut random).await;
            } else {
                self.one(runtime, accounts, &mut random).await;
            }
            if random.random_ratio(1, 8) {
                yields(random.random_range(0..10)).await;
            }
        }
    }

    /// One call; now and then the caller gives it up.
    async fn one(
        &self,
        runtime: &Runtime,
        accounts: &[AggregateRef<Account>],
        random: &mut StdRng,
    ) {
        let (way, steps) = workload::next(random, accounts.len());
        let when_full = match random.random_ratio(1, 3) {
            true => WhenFull::Refuse,
            false => WhenFull::Wait,
        };
        let number = self.call_now(way, &steps);
        let what = (number, way, steps.as_slice());
        let performed = workload::perform(runtime, accounts, what, when_full);
        let outcome = if random.random_ratio(1, 80) {
            let patience = random.random_range(0..20);
            tokio::select! {
                biased;
                outcome = performed => outcome,
                () = yields(patience) => Outcome::Unknown,
            }
        } else {
            performed.await
        };
        self.history.answer(number, outcome);
    }

    /// Several operations in one call, which are answered together.
    async fn several(
        &self,
        runtime: &Runtime,
        accounts: &[AggregateRef<Account>],
        random: &mut StdRng,
    ) {
        let (way, operations) = workload::several(random, accounts.len());
        let operations: Vec<_> = operations
            .into_iter()
            .map(|steps| (self.call_now(way, &steps), steps))
            .collect();
        for pair in operations.windows(2) {
            self.history.is_behind(pair[1].0, pair[0].0);
        }
        let outcomes = workload::perform_each(runtime, accounts, way, &operations).await;
        assert_eq!(outcomes.len(), operations.len());
        for ((number, _), outcome) in operations.iter().zip(outcomes) {
            self.history.answer(*number, outcome);
        }
    }

    /// Notes the call, at which the process may die.
    fn call_now(&self, way: Way, steps: &[Step]) -> usize {
        let number = self.history.call(way, steps.to_vec());
        if self.crashes_at.is_some_and(|at| number >= at) {
            self.crash.notify_one();
        }
        number
    }
}

async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
