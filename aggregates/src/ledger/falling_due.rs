use std::sync::Arc;

use foldhouse::{
    Aggregate, ExternalModel, Position, ProjectionError, ProjectionFilter, RecordedEvent, Store,
    decode_event,
};

use super::date::BookDate;
use super::general_ledger::Ledger;
use super::hold::{GlHold, HoldEvent, HoldRejection};
use super::journal_entry::EntryRejection;
use super::ledger_error::LedgerError;
use super::names::{HoldId, RecurringId};
use super::recurring::{RecurringEntry, RecurringEvent, RecurringRejection};
use crate::noted::Noted;

/// The name under which it is kept in the store how far it has come.
const CHECKPOINT: &str = "gl-falling-due";

/// Does what falls due in a ledger: gives back what expired holds held, and posts recurring entries. A follower of the
/// journal, run by [`Runtime::project_external`](foldhouse::Runtime::project_external).
///
/// Durable timers say when something falls due, over any restart: register [`HoldDue`](crate::HoldDue) and
/// [`RecurringDue`](crate::RecurringDue) with the runtime
/// ([`RuntimeBuilder::timed_command`](foldhouse::RuntimeBuilder::timed_command)).
///
/// # Guarantees
/// - What has fallen due is done once, in that order, over any crash and retry.
/// - What the ledger refuses (a period is closed, an account would be overdrawn) stops it there, visibly
///   ([`ExternalRef::status`](foldhouse::ExternalRef::status)); resume it when that is mended.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use foldhouse::{EventStore, MemoryStore, Runtime};
/// use foldhouse_aggregates::{
///     AccountKind, AddAccount, Currency, Entry, Every, HoldDue, Ledger, LedgerDue, Money, Recurrence, RecurringDue,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let runtime = Runtime::builder(store.clone())
///     .timed_command::<HoldDue>()
///     .timed_command::<RecurringDue>()
///     .start()
///     .await?;
/// let ledger = Ledger::new(&runtime, "acme");
/// ledger.open_book(Currency::CZK).await?;
/// ledger.add_account("rent", AddAccount::new(Currency::CZK, AccountKind::Expense)).await?;
/// ledger.add_account("bank", AddAccount::new(Currency::CZK, AccountKind::Asset)).await?;
/// let due = runtime.project_external(LedgerDue::new(&ledger, store.clone())).await?;
///
/// let first = "2026-01-31".parse()?;
/// let amount: Money = "2500.00 CZK".parse()?;
/// let rent = Entry::new("", first).describe("Rent").debit("rent", amount).credit("bank", amount);
/// let recurrence = Recurrence { first, every: Every::Months(1), last: Some("2026-03-31".parse()?) };
/// ledger.recur("rent", rent, recurrence).await?;
///
/// // These days are over already: they are made up for at once.
/// runtime.fire_due_timers().await;
/// due.wait_for(store.head(), Duration::from_secs(10)).await?;
/// let paid = ledger.balance("rent").await?.map(|account| account.balance());
/// assert_eq!(paid, Some("7500.00 CZK".parse::<Money>()?.into()));
/// # Ok(())
/// # }
/// ```
pub struct LedgerDue {
    ledger: Ledger,
    noted: Noted,
}

impl std::fmt::Debug for LedgerDue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerDue")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl LedgerDue {
    /// Does what falls due in this ledger. `store` is the runtime's; it is kept there how far this has come.
    #[must_use]
    pub fn new(ledger: &Ledger, store: Arc<dyn Store>) -> Self {
        Self {
            ledger: ledger.clone(),
            noted: Noted::new(store, CHECKPOINT),
        }
    }

    async fn take(&self, event: &RecordedEvent) -> Result<(), ProjectionError> {
        let id = event.stream.aggregate_id();
        let done = match decode_event::<GlHold>(event).transpose()? {
            Some(HoldEvent::FellDue {}) => self.give_back(&HoldId::new(id)).await,
            _ => match decode_event::<RecurringEntry>(event).transpose()? {
                Some(RecurringEvent::FellDue { date, .. }) => {
                    self.post(&RecurringId::new(id), date).await
                }
                _ => return Ok(()),
            },
        };
        done.map_err(ProjectionError::from_error)
    }

    async fn give_back(&self, hold: &HoldId) -> Result<(), LedgerError> {
        match self.ledger.expire_hold(hold).await {
            // Somebody was faster, or a crash came in between.
            Ok(_) | Err(LedgerError::Hold(HoldRejection::Ended { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, id: &RecurringId, date: BookDate) -> Result<(), LedgerError> {
        let (handle, of) = (self.ledger.recurring(id)?, id.clone());
        let entry = handle.query(move |state| state.entry_of(&of, date)).await?;
        let entry = entry.ok_or_else(|| RecurringRejection::NotStarted { id: id.clone() })?;
        match self.ledger.post(entry).await {
            Ok(_) | Err(LedgerError::Entry(EntryRejection::AlreadyPosted { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ExternalModel for LedgerDue {
    const NAME: &'static str = CHECKPOINT;

    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all()
            .tenants([self.ledger.tenant()])
            .aggregate_types([GlHold::TYPE, RecurringEntry::TYPE])
    }

    async fn checkpoint(&mut self) -> Result<Position, ProjectionError> {
        self.noted.position().await
    }

    // Not one transaction with what is done: what is done and not noted is done again, which changes nothing.
    async fn apply(
        &mut self,
        events: &[&RecordedEvent],
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        for event in events {
            self.take(event).await?;
        }
        self.noted.note(up_to).await
    }

    /// Goes through everything again. What is done stays done.
    async fn reset(&mut self) -> Result<(), ProjectionError> {
        self.noted.forget().await
    }
}
