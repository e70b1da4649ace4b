//! Both domains together: what moves in the warehouse is posted in the ledger.

use std::sync::Arc;

use foldhouse::{
    Aggregate, ExternalModel, Position, ProjectionError, ProjectionFilter, RecordedEvent, Store,
    decode_event,
};

use crate::inventory::{Goods, InventoryEvent, InventoryItem, ItemPlace};
use crate::ledger::{AccountId, BookDate, Entry, EntryRejection, Ledger, LedgerError};
use crate::money::Money;
use crate::noted::Noted;

/// So many entries are written at once, if they count on the same day.
const TOGETHER_MAX: usize = 32;
/// The name under which it is kept in the store how far it has come.
const CHECKPOINT: &str = "stock-to-ledger";

/// The accounts that movements of goods are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockAccounts {
    /// What the stock is worth, also that in transit: an asset.
    pub stock: AccountId,
    /// Goods received and not invoiced yet: a liability, which the supplier's invoice takes back.
    pub received_not_invoiced: AccountId,
    /// The cost of goods sold: an expense.
    pub cost_of_goods_sold: AccountId,
    /// What was found, lost or written off: an expense.
    pub differences: AccountId,
}

/// Posts every movement of goods that has a value in a [`Ledger`], once, in the order of the movements: a follower of the
/// journal, run by [`Runtime::project_external`](foldhouse::Runtime::project_external).
///
/// | movement | debit | credit |
/// |---|---|---|
/// | received | stock | received, not invoiced |
/// | shipped | cost of goods sold | stock |
/// | returned | stock | cost of goods sold |
/// | adjusted or counted: more | stock | differences |
/// | adjusted or counted: fewer; lost in transit | differences | stock |
/// | revalued | cost of goods sold | stock |
///
/// A transfer moves no value between accounts: what is in transit is in stock.
///
/// # Guarantees
/// - After each of its entries the stock account has what [`StockValuation`](crate::StockValuation) has after the entry's
///   movement, to the minor unit, if nobody else posts to it. Both start from nothing.
/// - A movement is posted once, over any crash and retry: the entry's id follows from the movement's event.
/// - An entry that the ledger refuses (its period is closed, an account is missing) stops it there, visibly
///   ([`ExternalRef::status`](foldhouse::ExternalRef::status)); nothing is passed over. Resume it when that is mended, or
///   let what is late count when it was recorded ([`StockPosting::late_when_recorded`]).
///
/// An entry counts on the day of the movement.
pub struct StockPosting {
    ledger: Ledger,
    noted: Noted,
    accounts: StockAccounts,
    late_when_recorded: bool,
}

impl std::fmt::Debug for StockPosting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StockPosting")
            .field("ledger", &self.ledger)
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

impl StockPosting {
    /// Posts what moves in the tenant's warehouse to these accounts of its ledger. `store` is the runtime's; it is kept there
    /// how far the posting has come.
    #[must_use]
    pub fn new(ledger: &Ledger, store: Arc<dyn Store>, accounts: StockAccounts) -> Self {
        Self {
            ledger: ledger.clone(),
            noted: Noted::new(store, CHECKPOINT),
            accounts,
            late_when_recorded: false,
        }
    }

    /// A movement of a day whose fiscal period is closed counts on the day on which it was recorded.
    #[must_use]
    pub fn late_when_recorded(mut self) -> Self {
        self.late_when_recorded = true;
        self
    }

    /// What is to be posted of an event, if anything is.
    fn entry_of<'e>(
        &self,
        event: &'e RecordedEvent,
    ) -> Result<Option<(&'e RecordedEvent, Entry)>, ProjectionError> {
        if event.stream.tenant() != self.ledger.tenant() {
            return Ok(None);
        }
        let decoded = decode_event::<InventoryItem>(event).transpose()?;
        let entry = decoded.and_then(|decoded| self.entry(event, &decoded));
        Ok(entry.map(|entry| (event, entry)))
    }

    /// Posts entries of one day in their order. Together if all is well; if not, one by one up to the one that is refused, so
    /// that the order is always that of the movements.
    async fn post_day(&self, entries: &[(&RecordedEvent, Entry)]) -> Result<(), ProjectionError> {
        if let [_, _, ..] = entries {
            let all = entries.iter().map(|(_, entry)| entry.clone()).collect();
            if self.ledger.post_together(all).await.is_ok() {
                return Ok(());
            }
        }
        for (event, entry) in entries {
            self.post(event, entry.clone()).await?;
        }
        Ok(())
    }

    async fn post(&self, event: &RecordedEvent, entry: Entry) -> Result<(), ProjectionError> {
        let recorded_on = BookDate::of(event.recorded_at);
        let posted = match self.ledger.post(entry.clone()).await {
            Err(LedgerError::Book(_)) if self.late_when_recorded && entry.date != recorded_on => {
                let late = entry.tag("moved-on", event_day(event).to_string());
                let late = Entry {
                    date: recorded_on,
                    ..late
                };
                self.ledger.post(late).await
            }
            posted => posted,
        };
        match posted {
            Ok(_) => Ok(()),
            // It was posted before a crash, together with others or when it was recorded.
            Err(
                LedgerError::Entry(EntryRejection::AlreadyPosted { .. })
                | LedgerError::EntryIdTaken { .. },
            ) => Ok(()),
            Err(error) => Err(ProjectionError::from_error(error)),
        }
    }

    fn entry(&self, event: &RecordedEvent, decoded: &InventoryEvent) -> Option<Entry> {
        let Posting {
            debit,
            credit,
            value,
            what,
        } = posting(decoded)?;
        let (debit, credit, value) = match value.minor_units() {
            0 => return None,
            1.. => (debit, credit, value),
            // Such an amount has its positive one: it is the difference of two.
            ..0 => {
                let positive = Money::new(value.minor_units().saturating_neg(), value.currency());
                (credit, debit, positive)
            }
        };
        let item = ItemPlace::of(&event.stream);
        Some(
            Entry::new(format!("stock-{}", event.id), event_day(event))
                .describe(format!("{what} {item}"))
                .debit(self.account(debit), value)
                .credit(self.account(credit), value)
                .reference(format!("event {}", event.position)),
        )
    }

    fn account(&self, role: Role) -> &AccountId {
        match role {
            Role::Stock => &self.accounts.stock,
            Role::NotInvoiced => &self.accounts.received_not_invoiced,
            Role::Sold => &self.accounts.cost_of_goods_sold,
            Role::Differences => &self.accounts.differences,
        }
    }
}

fn event_day(event: &RecordedEvent) -> BookDate {
    BookDate::of(event.effective_at)
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Stock,
    NotInvoiced,
    Sold,
    Differences,
}

struct Posting {
    debit: Role,
    credit: Role,
    /// Below zero the sides change places.
    value: Money,
    what: String,
}

/// What a movement posts; `None` if it has no value.
fn posting(event: &InventoryEvent) -> Option<Posting> {
    let of = |debit, credit, goods: &Option<Box<Goods>>, what: String| {
        let value = goods.as_ref()?.value?;
        Some(Posting {
            debit,
            credit,
            value,
            what,
        })
    };
    match event {
        InventoryEvent::Received {
            quantity, goods, ..
        } => {
            let what = format!("{quantity} received of");
            of(Role::Stock, Role::NotInvoiced, goods, what)
        }
        InventoryEvent::Shipped {
            quantity, goods, ..
        } => of(
            Role::Sold,
            Role::Stock,
            goods,
            format!("{quantity} shipped of"),
        ),
        InventoryEvent::Returned {
            quantity, goods, ..
        } => of(
            Role::Stock,
            Role::Sold,
            goods,
            format!("{quantity} returned of"),
        ),
        InventoryEvent::TransferLost {
            quantity, goods, ..
        } => {
            let what = format!("{quantity} lost in transit of");
            of(Role::Differences, Role::Stock, goods, what)
        }
        InventoryEvent::Adjusted { delta, goods, .. } => {
            let what = format!("adjusted by {delta}:");
            differ(of(Role::Stock, Role::Differences, goods, what)?, *delta)
        }
        InventoryEvent::Counted {
            variance, goods, ..
        } => {
            let what = format!("counted, {variance} more than booked:");
            differ(of(Role::Stock, Role::Differences, goods, what)?, *variance)
        }
        InventoryEvent::Revalued { issued, movements } => Some(Posting {
            debit: Role::Sold,
            credit: Role::Stock,
            value: *issued,
            what: format!("{movements} later movements revalued of"),
        }),
        _ => None,
    }
}

fn differ(posting: Posting, delta: i64) -> Option<Posting> {
    match delta {
        0 => None,
        1.. => Some(posting),
        ..0 => Some(Posting {
            debit: posting.credit,
            credit: posting.debit,
            ..posting
        }),
    }
}

impl ExternalModel for StockPosting {
    const NAME: &'static str = CHECKPOINT;

    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all()
            .tenants([self.ledger.tenant()])
            .aggregate_types([InventoryItem::TYPE])
    }

    async fn checkpoint(&mut self) -> Result<Position, ProjectionError> {
        self.noted.position().await
    }

    // Not one transaction with the entries: what was posted and not noted is posted again under its id, which changes nothing.
    async fn apply(
        &mut self,
        events: &[&RecordedEvent],
        up_to: Position,
    ) -> Result<(), ProjectionError> {
        let entries = events
            .iter()
            .filter_map(|event| self.entry_of(event).transpose());
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        for day in entries.chunk_by(|(_, one), (_, next)| one.date == next.date) {
            for together in day.chunks(TOGETHER_MAX) {
                self.post_day(together).await?;
            }
        }
        self.noted.note(up_to).await
    }

    /// Goes through all movements again. What is posted stays: it is in the books.
    async fn reset(&mut self) -> Result<(), ProjectionError> {
        self.noted.forget().await
    }
}
