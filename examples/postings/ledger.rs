use foldhouse::{AggregateRef, RecordedEvent, Runtime, StreamId, TransactionError, Version};
use foldhouse_aggregates::{Currency, GlAccount, GlEvent, OpenAccount, OverdraftPolicy, Side};
use foldhouse_examples::{Failure, fail};

use crate::entry::Line;
use crate::own_account::OwnAccount;
use crate::workload::{Account, Kind, Posting, Workload};

/// All accounts belong to one tenant.
pub(crate) const TENANT: &str = "bank";

/// The accounts of a workload, as actors.
#[derive(Debug)]
pub(crate) struct Ledger {
    runtime: Runtime,
    /// The customers' accounts, and behind them the bank's own.
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
        let account = |account: Account| {
            runtime
                .aggregate(TENANT, &workload.account_id(account))
                .map_err(fail)
        };
        Ok(Self {
            runtime: runtime.clone(),
            accounts: workload
                .all_accounts()
                .map(account)
                .collect::<Result<_, _>>()?,
            currency: code.parse().map_err(fail)?,
        })
    }

    fn at(&self, account: Account) -> &AggregateRef<GlAccount> {
        let customers = self.accounts.len() - OwnAccount::ALL.len();
        match account {
            Account::Customer(number) => &self.accounts[number],
            Account::Own(own) => &self.accounts[customers + own.number()],
        }
    }

    pub(crate) fn stream(&self, account: Account) -> &StreamId {
        self.at(account).stream()
    }

    /// Opens an account. A customer's is a liability in a bank's books, so money in is a credit.
    pub(crate) async fn open(
        &self,
        account: Account,
        customers: OverdraftPolicy,
    ) -> Result<(), Failure> {
        let (side, overdraft) = match account {
            Account::Customer(_) => (Side::Credit, customers),
            Account::Own(own) => (own.normal_side(), OverdraftPolicy::Unlimited),
        };
        let open = OpenAccount::new(self.currency, side).overdraft(overdraft);
        self.at(account).send(open).await.map(drop).map_err(fail)
    }

    /// Posts an entry to all its accounts, or to none.
    pub(crate) async fn post(&self, posting: &Posting<'_>) -> Result<Posted, Failure> {
        let lines = posting.lines();
        let steps: Vec<_> = lines
            .map(|(account, credit_minor)| {
                let line = Line::credit_of(credit_minor, self.currency);
                self.at(account).step(line)
            })
            .collect();
        match self.runtime.transact_with(steps, posting.options()).await {
            // The customer's line comes first.
            Ok(transacted) => match transacted.replies.first() {
                Some(posting) => Ok(Posted::Accepted {
                    balance_minor: posting.balance.minor_units(),
                }),
                None => Err(fail("an entry without lines was posted")),
            },
            // The bank's own accounts take everything, so a no of theirs would be a fault.
            Err(TransactionError::Rejected { step: 0, .. }) => Ok(Posted::Rejected),
            Err(error) => Err(fail(error)),
        }
    }

    /// What an account has more on its credit side than on its debit side, and its version.
    pub(crate) async fn credit_balance(
        &self,
        account: Account,
    ) -> Result<(i128, Version), Failure> {
        let account = self.at(account);
        let balance = account.query(|account| {
            let credits = account.credits().map_or(0, |credits| credits.minor_units());
            let debits = account.debits().map_or(0, |debits| debits.minor_units());
            credits - debits
        });
        let balance_minor = balance.await.map_err(fail)?;
        Ok((balance_minor, account.version().await.map_err(fail)?))
    }
}

/// What a recorded event credited, or debited below zero; 0 for the opening.
pub(crate) fn credit_minor(event: &RecordedEvent) -> Result<i64, Failure> {
    let Some(decoded) = foldhouse::decode_event::<GlAccount>(event) else {
        return Ok(0);
    };
    Ok(match decoded.map_err(fail)? {
        GlEvent::Credited { minor_units, .. } => minor_units,
        GlEvent::Debited { minor_units, .. } => -minor_units,
        _ => 0,
    })
}
