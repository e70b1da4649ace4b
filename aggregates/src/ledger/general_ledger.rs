use foldhouse::{
    AddressError, Aggregate, AggregateRef, CommandMeta, CommandOptions, Runtime, StreamId,
};
use uuid::Uuid;

use super::account::GlAccount;
use super::balances::AccountBalance;
use super::book::{AddPeriod, ChangePeriod, GlBook, OpenBook};
use super::chart::{AddAccount, check_parent};
use super::date::BookDate;
use super::hold::GlHold;
use super::journal_entry::JournalEntry;
use super::ledger_error::LedgerError;
use super::names::{AccountId, EntryId, HoldId, RecurringId};
use super::period::PeriodStatus;
use super::recurring::RecurringEntry;
use crate::currency::Currency;

/// The id of a tenant's book.
const BOOK: &str = "book";

/// The general ledger of one tenant: its chart of accounts, its journal entries, holds and fiscal periods.
///
/// A tenant is one entity that keeps books. What is posted here takes effect on all accounts or on none, and is
/// durable when it is answered. A clone is cheap.
///
/// ```
/// use std::sync::Arc;
///
/// use foldhouse::{MemoryStore, Runtime};
/// use foldhouse_aggregates::{AccountKind, AddAccount, Currency, Entry, Ledger, LedgerError, Money, Side};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder(Arc::new(MemoryStore::new())).start().await?;
/// let ledger = Ledger::new(&runtime, "acme");
/// ledger.open_book(Currency::CZK).await?;
/// let cash = AddAccount::new(Currency::CZK, AccountKind::Asset).name("Cash").may_not_go(Side::Credit);
/// ledger.add_account("211", cash).await?;
/// ledger.add_account("602", AddAccount::new(Currency::CZK, AccountKind::Income).name("Sales")).await?;
///
/// let sold: Money = "1500.00 CZK".parse()?;
/// let sale = Entry::new("sale-1", "2026-01-31".parse()?).debit("211", sold).credit("602", sold);
/// let posted = ledger.post(sale.clone()).await?;
/// assert_eq!(posted.number, 1);
/// assert_eq!(posted.balances[0].balance.balance(), sold.into());
///
/// // Again under its id: the same answer, and it took effect once.
/// assert_eq!(ledger.post(sale).await?, posted);
///
/// let refund: Money = "1500.01 CZK".parse()?;
/// let refund = Entry::new("refund-1", "2026-01-31".parse()?).debit("602", refund).credit("211", refund);
/// let refused = ledger.post(refund).await.unwrap_err();
/// assert!(refused.to_string().starts_with("line 2 (211): 1500.01 CZK would overdraw the account"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger {
    pub(super) runtime: Runtime,
    tenant: Box<str>,
    meta: CommandMeta,
    soft_close_override: Option<Box<str>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// The ledger of that tenant.
    #[must_use]
    pub fn new(runtime: &Runtime, tenant: &str) -> Self {
        Self {
            runtime: runtime.clone(),
            tenant: tenant.into(),
            meta: CommandMeta::default(),
            soft_close_override: None,
        }
    }

    /// The same ledger for somebody: these facts (the user, a correlation id) are recorded with all that is done by
    /// it. The effective time is always the entry's date.
    #[must_use]
    pub fn with_meta(mut self, meta: CommandMeta) -> Self {
        self.meta = meta;
        self
    }

    /// The same ledger for somebody who may post into soft-closed periods, for this reason: it is recorded with every
    /// entry that has no reason of its own, reversals and posted holds too.
    #[must_use]
    pub fn overriding_soft_close(mut self, reason: impl Into<Box<str>>) -> Self {
        self.soft_close_override = Some(reason.into());
        self
    }

    pub(super) fn soft_close_override(&self) -> Option<&str> {
        self.soft_close_override.as_deref()
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Opens the tenant's book, which numbers the entries and knows the fiscal periods.
    ///
    /// # Errors
    /// [`LedgerError::Book`] if it is open already.
    pub async fn open_book(&self, currency: Currency) -> Result<(), LedgerError> {
        let step = self.book()?.step(OpenBook { currency });
        self.run(step, self.options()).await
    }

    /// Adds an account to the chart.
    ///
    /// # Errors
    /// [`LedgerError::Account`] if there is one or it was closed, [`LedgerError::Parent`] if it cannot stand below its
    /// parent, [`LedgerError::Address`] if its code cannot name a stream.
    pub async fn add_account(
        &self,
        account: impl Into<AccountId>,
        add: AddAccount,
    ) -> Result<(), LedgerError> {
        let account = account.into();
        let mut parents = Vec::new();
        if let Some(parent) = add.parent_id().cloned() {
            let kind = add.kind();
            let handle = self.account(&parent)?;
            parents.push(handle.require(move |state| check_parent(&parent, kind, state)));
        }
        let steps = (parents, self.account(&account)?.step(add));
        let added = self.run(steps, self.options()).await;
        added.map(drop).map_err(|error| error.of_account(&account))
    }

    /// Adds the fiscal period that follows the last one. A book without periods takes every date.
    ///
    /// # Errors
    /// [`LedgerError::Book`] says which rule is broken.
    pub async fn add_period(&self, first: BookDate, last: BookDate) -> Result<(), LedgerError> {
        let step = self.book()?.step(AddPeriod { first, last });
        self.run(step, self.options()).await
    }

    /// Closes the fiscal period that begins on `first`, softly or for good, or opens a softly closed one again.
    ///
    /// # Errors
    /// [`LedgerError::Book`] says which rule is broken.
    pub async fn change_period(
        &self,
        first: BookDate,
        status: PeriodStatus,
    ) -> Result<(), LedgerError> {
        let step = self.book()?.step(ChangePeriod { first, status });
        self.run(step, self.options()).await
    }

    /// What an account has now, posted and pending; `None` if it is not open.
    ///
    /// # Errors
    /// [`LedgerError::Address`] or [`LedgerError::Query`].
    pub async fn balance(
        &self,
        account: impl Into<AccountId>,
    ) -> Result<Option<AccountBalance>, LedgerError> {
        let account = self.account(&account.into())?;
        Ok(account.query(AccountBalance::of).await?)
    }

    /// The handle on an account.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if its code cannot name a stream.
    pub fn account(&self, account: &AccountId) -> Result<AggregateRef<GlAccount>, LedgerError> {
        self.handle(account.as_str())
    }

    /// The handle on the tenant's book.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if the tenant's name cannot name a stream.
    pub fn book(&self) -> Result<AggregateRef<GlBook>, LedgerError> {
        self.handle(BOOK)
    }

    /// The handle on an entry.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if its id cannot name a stream.
    pub fn entry(&self, entry: &EntryId) -> Result<AggregateRef<JournalEntry>, LedgerError> {
        self.handle(entry.as_str())
    }

    /// The handle on a hold.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if its id cannot name a stream.
    pub fn hold_of(&self, hold: &HoldId) -> Result<AggregateRef<GlHold>, LedgerError> {
        self.handle(hold.as_str())
    }

    /// The handle on a recurring entry.
    ///
    /// # Errors
    /// [`LedgerError::Address`] if its id cannot name a stream.
    pub fn recurring(&self, id: &RecurringId) -> Result<AggregateRef<RecurringEntry>, LedgerError> {
        self.handle(id.as_str())
    }

    fn handle<A: Aggregate>(&self, id: &str) -> Result<AggregateRef<A>, LedgerError> {
        self.runtime
            .aggregate(&self.tenant, id)
            .map_err(|error: AddressError| LedgerError::Address {
                id: id.chars().take(126).collect(),
                error,
            })
    }

    pub(super) fn options(&self) -> CommandOptions {
        CommandOptions::new().meta(self.meta.clone())
    }

    /// For what counts on that day.
    pub(super) fn options_on(&self, date: BookDate) -> CommandOptions {
        CommandOptions::new().meta(self.meta.clone().effective_at(date.start()))
    }

    async fn run<S: foldhouse::Steps>(
        &self,
        steps: S,
        options: CommandOptions,
    ) -> Result<S::Replies, LedgerError> {
        let transacted = self.runtime.transact_with(steps, options).await?;
        Ok(transacted.replies)
    }
}

/// The command id under which something is done once: the same for the same stream and the same deed.
pub(super) fn once_id(stream: &StreamId, deed: &str) -> Uuid {
    // Persisted with the commands: never change it.
    let mut hasher = blake3::Hasher::new_derive_key("foldhouse 2026 general ledger, once");
    hasher.update(stream.as_str().as_bytes());
    hasher.update(b"\0");
    hasher.update(deed.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
