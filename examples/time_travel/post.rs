use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhouse::{AggregateRef, CommandMeta, Runtime, Timestamp};
use foldhouse_aggregates::{Currency, GlAccount, OpenAccount, OverdraftPolicy, Side};
use foldhouse_examples::{Failure, at_the_same_time, fail, progress_bar};

use crate::books::{Books, Row};
use crate::entry::Line;
use crate::own_account::OwnAccount;

/// All accounts belong to one tenant.
pub(crate) const TENANT: &str = "bank";
/// How many accounts are posted to at the same time.
const CALLERS: u32 = 64;

/// The accounts of the books, as actors.
pub(crate) struct Ledger {
    runtime: Runtime,
    pub(crate) customers: Vec<AggregateRef<GlAccount>>,
    own: Vec<AggregateRef<GlAccount>>,
    currency: Currency,
}

impl Ledger {
    /// Opens every account, with an effective time no later than its first row's: what is asked about a time before the
    /// opening counts finds no account.
    pub(crate) async fn open(runtime: &Runtime, books: &Books) -> Result<Self, Failure> {
        let currency: Currency = books.currency.parse().map_err(fail)?;
        let mut ledger = Self {
            runtime: runtime.clone(),
            customers: Vec::with_capacity(books.accounts.len()),
            own: Vec::with_capacity(OwnAccount::ALL.len()),
            currency,
        };
        let mut earliest = Timestamp::from_unix_micros(i64::MAX);
        for account in &books.accounts {
            earliest = earliest.min(account.opened_at);
            let opened = ledger.open_one(&account.id, Side::Credit, account.opened_at);
            let opened = opened.await?;
            ledger.customers.push(opened);
        }
        for own in OwnAccount::ALL {
            let opened = ledger
                .open_one(&own.id(), own.normal_side(), earliest)
                .await?;
            ledger.own.push(opened);
        }
        Ok(ledger)
    }

    async fn open_one(
        &self,
        id: &str,
        side: Side,
        opened_at: Timestamp,
    ) -> Result<AggregateRef<GlAccount>, Failure> {
        let account = self.runtime.aggregate(TENANT, id).map_err(fail)?;
        let open = OpenAccount::new(self.currency, side).overdraft(OverdraftPolicy::Unlimited);
        let meta = CommandMeta::new().effective_at(opened_at);
        account.execute(open, meta).await.map_err(fail)?;
        Ok(account)
    }

    /// A journal entry over the customer's account and the bank's own, all or nothing.
    async fn post(&self, customer: usize, row: &Row) -> Result<(), Failure> {
        let lines = [
            (&self.customers[customer], row.change_minor()),
            (
                &self.own[row.counter.number()],
                row.amount_minor.saturating_neg(),
            ),
            (
                &self.own[OwnAccount::Rounding.number()],
                row.rounding_minor.saturating_neg(),
            ),
        ];
        let lines = lines
            .into_iter()
            .filter(|(_, credit_minor)| *credit_minor != 0);
        let steps: Vec<_> = lines
            .map(|(account, credit_minor)| {
                account.step(Line::credit_of(credit_minor, self.currency))
            })
            .collect();
        let transacted = self.runtime.transact_with(steps, row.meta()).await;
        transacted.map(drop).map_err(fail)
    }
}

/// Posts every row: those of an account one after the other, accounts at the same time.
pub(crate) async fn post_all(ledger: &Arc<Ledger>, books: &Arc<Books>) -> Result<(), Failure> {
    let bar = progress_bar(books.row_count() as u64, "postings")?;
    let next = Arc::new(AtomicUsize::new(0));
    at_the_same_time(CALLERS, |_| {
        let (ledger, books) = (Arc::clone(ledger), Arc::clone(books));
        let (next, bar) = (Arc::clone(&next), bar.clone());
        async move {
            loop {
                let customer = next.fetch_add(1, Ordering::Relaxed);
                let Some(account) = books.accounts.get(customer) else {
                    return Ok(());
                };
                for row in &account.rows {
                    ledger.post(customer, row).await?;
                    bar.inc(1);
                }
            }
        }
    })
    .await?;
    bar.finish_and_clear();
    Ok(())
}
