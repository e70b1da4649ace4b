//! Goes through the journal by itself: no read model, no aggregate.

use std::collections::{BTreeMap, HashMap};

use foldhouse::{EventStore, Position, RecordedEvent, Timestamp, decode_event};
use foldhouse_aggregates::{
    EntryEvent, GlAccount, GlEvent, Goods, InventoryEvent, InventoryItem, JournalEntry, Money, Side,
};
use foldhouse_examples::{Failure, Findings, fail};

use super::layers::Card;
use super::shop::STOCK_ACCOUNT;

const PAGE_EVENTS: usize = 1_000;

/// What was found.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) movements: u64,
    pub(crate) revaluations: u64,
    pub(crate) entries: u64,
    /// At how many positions the stock's value was compared with the ledger's stock account.
    pub(crate) compared: u64,
    /// What the stock is worth in the end, and what its account has, in minor units.
    pub(crate) valuation: i64,
    pub(crate) stock_account: i64,
    pub(crate) findings: Findings,
    /// The value of the stock after each movement that changed it.
    values: HashMap<u64, i64>,
    /// The position of the movement of each entry; how often it was posted.
    posted: BTreeMap<u64, u64>,
    /// The positions of the movements of entries whose lines at the stock account are still to come.
    entries_begun: HashMap<String, u64>,
    /// Debits less credits of all accounts.
    trial_balance: i64,
    /// By item: what is on hand and what that has cost, and its movements.
    items: BTreeMap<String, Item>,
}

#[derive(Debug, Default)]
struct Item {
    on_hand: i128,
    value: i128,
    card: Card,
}

impl Check {
    pub(crate) async fn of_journal(store: &impl EventStore) -> Result<Self, Failure> {
        let mut check = Self {
            movements: 0,
            revaluations: 0,
            entries: 0,
            compared: 0,
            valuation: 0,
            stock_account: 0,
            findings: Findings::new("does not agree"),
            values: HashMap::new(),
            posted: BTreeMap::new(),
            entries_begun: HashMap::new(),
            trial_balance: 0,
            items: BTreeMap::new(),
        };
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, PAGE_EVENTS).await.map_err(fail)?;
            for event in &page.events {
                check.take(event)?;
                after = event.position;
            }
            if page.events.is_empty() {
                break;
            }
        }
        check.finish();
        Ok(check)
    }

    fn take(&mut self, event: &RecordedEvent) -> Result<(), Failure> {
        if let Some(moved) = decode_event::<InventoryItem>(event) {
            self.moved(event, &moved.map_err(fail)?);
        }
        if let Some(recorded) = decode_event::<JournalEntry>(event)
            && let EntryEvent::Posted { entry } = recorded.map_err(fail)?
        {
            self.entries += 1;
            let reference = entry.references.first();
            let position = reference.and_then(|text| text.strip_prefix("event ")?.parse().ok());
            match position {
                Some(position) => {
                    *self.posted.entry(position).or_default() += 1;
                    self.entries_begun.insert(entry.id.to_string(), position);
                }
                None => self
                    .findings
                    .add(|| format!("entry {} names no movement", entry.id)),
            }
        }
        if let Some(posted) = decode_event::<GlAccount>(event)
            && let GlEvent::LinePosted {
                entry,
                side,
                minor_units,
            } = posted.map_err(fail)?
        {
            let change = match side {
                Side::Debit => minor_units,
                Side::Credit => -minor_units,
            };
            self.trial_balance += change;
            if event.stream.aggregate_id() == STOCK_ACCOUNT {
                self.stock_account += change;
                self.compare(entry.as_str());
            }
        }
        Ok(())
    }

    /// The ledger after an entry's line against the stock after the entry's movement.
    fn compare(&mut self, entry: &str) {
        let Some(position) = self.entries_begun.remove(entry) else {
            self.findings
                .add(|| format!("a line of entry {entry} stands without it"));
            return;
        };
        self.compared += 1;
        let (value, account) = (self.values.get(&position), self.stock_account);
        if value != Some(&account) {
            self.findings.add(|| {
                format!("after event {position} the stock was worth {value:?}, its account has {account}")
            });
        }
    }

    fn moved(&mut self, event: &RecordedEvent, moved: &InventoryEvent) {
        let value = |goods: &Option<Box<Goods>>| {
            let goods = goods.as_deref();
            goods
                .and_then(|goods| goods.value)
                .map_or(0, Money::minor_units)
        };
        if let InventoryEvent::TermsSet { terms } = moved {
            let item = self.items.entry(event.stream.to_string()).or_default();
            item.card.method = terms.costing.map(|costing| costing.method);
        }
        // How many more are on hand, what these have cost, and what all of the shop's stock is worth because of it.
        let (quantity, cost, worth) = match moved {
            InventoryEvent::Received {
                quantity, goods, ..
            }
            | InventoryEvent::Returned {
                quantity, goods, ..
            } => (i128::from(quantity.get()), value(goods), value(goods)),
            InventoryEvent::Shipped {
                quantity, goods, ..
            } => (-i128::from(quantity.get()), -value(goods), -value(goods)),
            // In transit it is the shop's all the time.
            InventoryEvent::TransferDispatched {
                quantity, goods, ..
            } => (-i128::from(quantity.get()), -value(goods), 0),
            InventoryEvent::TransferReceived {
                quantity, goods, ..
            } => (i128::from(quantity.get()), value(goods), 0),
            InventoryEvent::TransferLost { goods, .. } => (0, 0, -value(goods)),
            InventoryEvent::Adjusted { delta, goods, .. }
            | InventoryEvent::Counted {
                variance: delta,
                goods,
                ..
            } => {
                let cost = delta.signum() * value(goods);
                ((*delta).into(), cost, cost)
            }
            InventoryEvent::Revalued { issued, .. } => {
                self.revaluations += 1;
                (0, -issued.minor_units(), -issued.minor_units())
            }
            _ => return,
        };
        self.movements += 1;
        self.valuation += worth;
        if worth != 0 {
            self.values.insert(event.position.get(), self.valuation);
        }
        let item = self.items.entry(event.stream.to_string()).or_default();
        item.on_hand += quantity;
        item.value += i128::from(cost);
        if quantity != 0 {
            item.card.add(moved_at(event, moved), quantity, cost);
        }
        if item.on_hand < 0 {
            let position = event.position;
            self.findings
                .add(|| format!("less than nothing is on hand after event {position}"));
        }
    }

    /// Each movement that changed the value was posted, once.
    fn finish(&mut self) {
        for position in self.values.keys() {
            match self.posted.remove(position) {
                Some(1) => {}
                times => self
                    .findings
                    .add(|| format!("event {position} was posted {times:?} times")),
            }
        }
        for position in std::mem::take(&mut self.posted).keys() {
            self.findings
                .add(|| format!("event {position} was posted, and moved no value"));
        }
        for (stream, item) in &self.items {
            let (value, layers) = (item.value, item.card.value());
            if layers != Some(value) {
                self.findings
                    .add(|| format!("{stream} is worth {value}, its movements come to {layers:?}"));
            }
        }
        if self.trial_balance != 0 {
            let difference = self.trial_balance;
            self.findings
                .add(|| format!("debits and credits differ by {difference}"));
        }
        if self.valuation != self.stock_account {
            let (value, account) = (self.valuation, self.stock_account);
            self.findings
                .add(|| format!("the stock is worth {value}, its account has {account}"));
        }
    }
}

/// When a movement was.
fn moved_at(event: &RecordedEvent, moved: &InventoryEvent) -> Timestamp {
    let goods = match moved {
        InventoryEvent::Received { goods, .. }
        | InventoryEvent::Returned { goods, .. }
        | InventoryEvent::Shipped { goods, .. }
        | InventoryEvent::TransferDispatched { goods, .. }
        | InventoryEvent::TransferReceived { goods, .. }
        | InventoryEvent::Adjusted { goods, .. }
        | InventoryEvent::Counted { goods, .. } => goods.as_deref(),
        _ => None,
    };
    let moved_at = goods.and_then(|goods| goods.moved_at);
    moved_at.unwrap_or(event.effective_at)
}
