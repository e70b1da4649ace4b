use std::sync::Arc;

use foldhouse::{Runtime, Step, TransactionError};
use foldhouse_aggregates::{Credit, Debit, Money};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::args::Workload;
use crate::bench::{Bench, Checked, Measurable};
use crate::callers::{Called, Load};
use crate::ledger::{CURRENCY, Ledger};
use crate::{Failure, fail};

/// So much is in each account at first, and so much is moved at most: some find too little money.
const FUNDS_MINOR: i64 = 1_000_000;
const AMOUNT_MAX_MINOR: i64 = 10_000;
/// The account on a side of every transfer, where there is one.
const HOT: usize = 0;

/// Money from one account to another: both sides are posted, or none is.
#[derive(Debug)]
pub(crate) struct Transfers {
    runtime: Runtime,
    ledger: Arc<Ledger>,
    batch: usize,
    is_hot: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    from: usize,
    to: usize,
    amount_minor: i64,
}

impl Transfers {
    fn draw(&self, random: &mut StdRng) -> Transfer {
        let accounts = self.ledger.len();
        let first = match self.is_hot {
            true => HOT,
            false => random.random_range(0..accounts),
        };
        let second = (first + random.random_range(1..accounts)) % accounts;
        let amount_minor = random.random_range(1..=AMOUNT_MAX_MINOR);
        let (from, to) = match random.random() {
            true => (first, second),
            false => (second, first),
        };
        Transfer {
            from,
            to,
            amount_minor,
        }
    }

    fn steps(&self, transfer: Transfer) -> (Step<Debit>, Step<Credit>) {
        let amount = Money::new(transfer.amount_minor, CURRENCY);
        (
            self.ledger.account(transfer.from).step(Debit::new(amount)),
            self.ledger.account(transfer.to).step(Credit::new(amount)),
        )
    }

    fn note<R>(
        &self,
        transfer: Transfer,
        outcome: Result<R, TransactionError>,
    ) -> Result<Called, Failure> {
        match outcome {
            Ok(_) => {
                self.ledger.note(transfer.from, -transfer.amount_minor);
                self.ledger.note(transfer.to, transfer.amount_minor);
                Ok(Called::ACKED)
            }
            Err(TransactionError::Rejected { .. }) => Ok(Called::REJECTED),
            Err(error) => Err(fail(error)),
        }
    }

    async fn transfer(&self, transfer: Transfer) -> Result<Called, Failure> {
        let outcome = self.runtime.transact(self.steps(transfer)).await;
        self.note(transfer, outcome)
    }

    /// Several transfers in one call, each atomic by itself.
    async fn transfer_each(&self, transfers: &[Transfer]) -> Result<Called, Failure> {
        let steps = transfers.iter().map(|transfer| self.steps(*transfer));
        let outcomes = self.runtime.transact_each(steps.collect()).await;
        let mut all = Called::default();
        for (transfer, outcome) in transfers.iter().zip(outcomes) {
            let called = self.note(*transfer, outcome)?;
            all.acked += called.acked;
            all.rejected += called.rejected;
        }
        Ok(all)
    }
}

impl Load for Transfers {
    type Memory = Vec<Transfer>;

    async fn call(
        &self,
        batch: &mut Vec<Transfer>,
        random: &mut StdRng,
    ) -> Result<Called, Failure> {
        if self.batch == 1 {
            return self.transfer(self.draw(random)).await;
        }
        batch.clear();
        batch.extend((0..self.batch).map(|_| self.draw(random)));
        self.transfer_each(batch).await
    }
}

impl Measurable for Transfers {
    async fn prepare(bench: &Bench, runtime: &Runtime) -> Result<Arc<Self>, Failure> {
        let ledger = Arc::new(Ledger::new(runtime, bench.plan.aggregates)?);
        ledger.open(FUNDS_MINOR).await?;
        Ok(Arc::new(Self {
            runtime: runtime.clone(),
            ledger,
            batch: bench.plan.batch,
            is_hot: bench.plan.workload == Workload::TransferHot,
        }))
    }

    async fn check(&self) -> Result<Checked, Failure> {
        let mut mismatches = self.ledger.check().await?;
        let funds = FUNDS_MINOR * i64::try_from(self.ledger.len()).map_err(fail)?;
        if self.ledger.balance_minor() != funds {
            mismatches += 1;
            eprintln!(
                "mismatch: all accounts hold {}, they were given {funds}",
                self.ledger.balance_minor()
            );
        }
        Ok(Checked {
            mismatches,
            events: self.ledger.events(),
        })
    }
}
