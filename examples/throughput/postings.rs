use std::sync::Arc;

use foldhouse::Runtime;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::Failure;
use crate::bench::{Bench, Checked, Measurable};
use crate::callers::{Called, Load};
use crate::ledger::Ledger;

/// Deposits and, somewhat rarer, withdrawals, each a command of its own.
#[derive(Debug)]
pub(crate) struct Postings {
    ledger: Arc<Ledger>,
}

impl Load for Postings {
    type Memory = ();

    async fn call(&self, (): &mut (), random: &mut StdRng) -> Result<Called, Failure> {
        let account = random.random_range(0..self.ledger.len());
        let amount = random.random_range(1..=1_000_000);
        let is_withdrawal = random.random_ratio(9, 20);
        let change_minor = if is_withdrawal { -amount } else { amount };
        Ok(match self.ledger.post(account, change_minor).await? {
            true => Called::ACKED,
            false => Called::REJECTED,
        })
    }
}

impl Measurable for Postings {
    async fn prepare(bench: &Bench, runtime: &Runtime) -> Result<Arc<Self>, Failure> {
        let ledger = Arc::new(Ledger::new(runtime, bench.plan.aggregates)?);
        ledger.open(0).await?;
        Ok(Arc::new(Self { ledger }))
    }

    async fn check(&self) -> Result<Checked, Failure> {
        Ok(Checked {
            mismatches: self.ledger.check().await?,
            events: self.ledger.events(),
        })
    }
}
