use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use foldhouse::{AggregateRef, CommandError, Runtime};
use foldhouse_aggregates::{Credit, Currency, Debit, GlAccount, Money, OpenAccount, Side};

use crate::callers::for_each;
use crate::{Failure, fail};

pub(crate) const TENANT: &str = "bank";
pub(crate) const CURRENCY: Currency = Currency::EUR;

/// Accounts that cannot be overdrawn, and the books that are kept on the side to check them against.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: Vec<AggregateRef<GlAccount>>,
    books: Vec<Book>,
}

/// What was acknowledged for one account.
#[derive(Debug, Default)]
struct Book {
    balance_minor: AtomicI64,
    events: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(runtime: &Runtime, accounts: usize) -> Result<Self, Failure> {
        let handles = (0..accounts).map(|account| runtime.aggregate(TENANT, &id_of(account)));
        Ok(Self {
            accounts: handles.collect::<Result<_, _>>().map_err(fail)?,
            books: (0..accounts).map(|_| Book::default()).collect(),
        })
    }

    /// Opens every account, and puts so much into each.
    pub(crate) async fn open(self: &Arc<Self>, funds_minor: i64) -> Result<(), Failure> {
        let ledger = Arc::clone(self);
        for_each(self.accounts.len(), move |account| {
            let ledger = Arc::clone(&ledger);
            async move {
                // As what it is in a bank's books: a liability, so money in is a credit.
                let open = OpenAccount::new(CURRENCY, Side::Credit);
                ledger.accounts[account].send(open).await.map_err(fail)?;
                ledger.note(account, 0);
                if funds_minor > 0 {
                    let credit = Credit::new(Money::new(funds_minor, CURRENCY));
                    ledger.accounts[account].send(credit).await.map_err(fail)?;
                    ledger.note(account, funds_minor);
                }
                Ok(())
            }
        })
        .await
    }

    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }

    pub(crate) fn account(&self, account: usize) -> &AggregateRef<GlAccount> {
        &self.accounts[account]
    }

    /// Posts, money in above zero; whether the account took it.
    pub(crate) async fn post(&self, account: usize, change_minor: i64) -> Result<bool, Failure> {
        let amount = Money::new(change_minor.saturating_abs(), CURRENCY);
        let handle = &self.accounts[account];
        let posted = if change_minor > 0 {
            handle.send(Credit::new(amount)).await
        } else {
            handle.send(Debit::new(amount)).await
        };
        match posted {
            Ok(_) => {
                self.note(account, change_minor);
                Ok(true)
            }
            Err(CommandError::Rejected(_)) => Ok(false),
            Err(error) => Err(fail(error)),
        }
    }

    /// Notes an event that was acknowledged.
    pub(crate) fn note(&self, account: usize, change_minor: i64) {
        let book = &self.books[account];
        book.balance_minor
            .fetch_add(change_minor, Ordering::Relaxed);
        book.events.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were acknowledged in all.
    pub(crate) fn events(&self) -> u64 {
        let events = self
            .books
            .iter()
            .map(|book| book.events.load(Ordering::Relaxed));
        events.sum()
    }

    /// What all accounts hold by the books, which the check compares with what they say.
    pub(crate) fn balance_minor(&self) -> i64 {
        let balances = self
            .books
            .iter()
            .map(|book| book.balance_minor.load(Ordering::Relaxed));
        balances.sum()
    }

    /// Checks balance and version of every account, and that none can be overdrawn. Gives what does not fit.
    pub(crate) async fn check(self: &Arc<Self>) -> Result<u64, Failure> {
        let mismatches = Arc::new(AtomicU64::new(0));
        let (ledger, found) = (Arc::clone(self), Arc::clone(&mismatches));
        for_each(self.accounts.len(), move |account| {
            let (ledger, found) = (Arc::clone(&ledger), Arc::clone(&found));
            async move {
                if let Err(what) = ledger.check_account(account).await? {
                    found.fetch_add(1, Ordering::Relaxed);
                    eprintln!("mismatch: account {}: {what}", id_of(account));
                }
                Ok(())
            }
        })
        .await?;
        Ok(mismatches.load(Ordering::Relaxed))
    }

    async fn check_account(&self, account: usize) -> Result<Result<(), String>, Failure> {
        let (handle, book) = (&self.accounts[account], &self.books[account]);
        let balance = handle
            .query(|account| account.balance())
            .await
            .map_err(fail)?;
        let version = handle.version().await.map_err(fail)?.get();
        let balance_minor = balance.map(Money::minor_units);
        let expected_minor = book.balance_minor.load(Ordering::Relaxed);
        let expected_version = book.events.load(Ordering::Relaxed);
        if balance_minor != Some(expected_minor) || version != expected_version {
            return Ok(Err(format!(
                "balance {balance_minor:?} at version {version}, acknowledged were {expected_minor} and {expected_version}"
            )));
        }
        if self.post(account, -expected_minor - 1).await? {
            return Ok(Err("it could be overdrawn".to_owned()));
        }
        Ok(Ok(()))
    }
}

pub(crate) fn id_of(account: usize) -> String {
    (account + 1).to_string()
}
