use foldhouse::{AggregateRef, CommandError, RecordedEvent, Runtime, StreamId, Version};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, GlEvent, Money, OpenAccount, OverdraftPolicy, Side,
};

use crate::workload::{Kind, Posting, Workload};
use crate::{Failure, fail};

/// All accounts belong to one tenant.
pub(crate) const TENANT: &str = "bank";

/// The accounts of a workload, as actors.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: Vec<AggregateRef<GlAccount>>,
    currency: Currency,
}

/// What became of a posting.
#[derive(Debug)]
pub(crate) enum Posted {
    Accepted { balance_minor: i64 },
    Rejected,
}

impl Ledger {
    pub(crate) fn new(runtime: &Runtime, workload: &Workload) -> Result<Self, Failure> {
        let code = match workload.kind {
            Kind::Bank { .. } => "CZK",
            Kind::Simulated { .. } => "EUR",
        };
        let currency = code.parse().map_err(fail)?;
        let accounts = (0..workload.accounts())
            .map(|account| {
                runtime
                    .aggregate(TENANT, &workload.account_id(account))
                    .map_err(fail)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { accounts, currency })
    }

    pub(crate) fn stream(&self, account: usize) -> &StreamId {
        self.accounts[account].stream()
    }

    /// Opens an account as what it is in a bank's books: a liability, so money in is a credit.
    pub(crate) async fn open(
        &self,
        account: usize,
        overdraft: OverdraftPolicy,
    ) -> Result<(), Failure> {
        let open = OpenAccount::new(self.currency, Side::Credit).overdraft(overdraft);
        self.accounts[account]
            .send(open)
            .await
            .map(drop)
            .map_err(fail)
    }

    pub(crate) async fn post(&self, posting: &Posting<'_>) -> Result<Posted, Failure> {
        let account = &self.accounts[posting.account];
        let amount = Money::new(
            posting
                .change_minor
                .unsigned_abs()
                .try_into()
                .map_err(fail)?,
            self.currency,
        );
        let outcome = if posting.change_minor > 0 {
            account
                .execute(Credit::new(amount), posting.options())
                .await
        } else {
            account.execute(Debit::new(amount), posting.options()).await
        };
        match outcome {
            Ok(committed) => Ok(Posted::Accepted {
                balance_minor: committed.reply.balance.minor_units(),
            }),
            Err(CommandError::Rejected(_)) => Ok(Posted::Rejected),
            Err(error) => Err(fail(error)),
        }
    }

    /// The balance and the version of an account.
    pub(crate) async fn balance(&self, account: usize) -> Result<(i64, Version), Failure> {
        let account = &self.accounts[account];
        let balance =
            account.query(|account| account.balance().map(|balance| balance.minor_units()));
        let balance_minor = balance.await.map_err(fail)?.unwrap_or_default();
        Ok((balance_minor, account.version().await.map_err(fail)?))
    }
}

/// What a recorded event added to the balance; 0 for the opening.
pub(crate) fn change_minor(event: &RecordedEvent) -> Result<i64, Failure> {
    let Some(decoded) = foldhouse::decode_event::<GlAccount>(event) else {
        return Ok(0);
    };
    Ok(match decoded.map_err(fail)? {
        GlEvent::Credited { minor_units, .. } => minor_units,
        GlEvent::Debited { minor_units, .. } => -minor_units,
        _ => 0,
    })
}
