//! The check that does not trust what it checks: it reads the events one by one in the order of their positions and
//! keeps its own books of every product and every basket. Neither the aggregates' `apply` nor a read model is asked.

use std::collections::{BTreeMap, HashMap};

use foldhouse::{EventStore, JournalStore, Position, RecordedEvent, decode_event};
use foldhouse_aggregates::{InventoryEvent, InventoryItem, ReservationId};
use foldhouse_examples::{Failure, Findings, fail};

use crate::basket::{Basket, Baskets};
use crate::warehouse::BASKET_ID;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

/// An event as the check sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) position: u64,
    pub(crate) product: String,
    pub(crate) basket: Option<String>,
    pub(crate) event: InventoryEvent,
}

/// What there is of a product; signed, so that it can be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) on_hand: i128,
    pub(crate) promised: i128,
}

/// What the journal has of a basket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    reserved: Lines,
    shipped: Lines,
}

/// Lines that were recorded one behind the other.
#[derive(Clone, Debug, Default)]
struct Lines {
    lines: Vec<(String, u64, ReservationId)>,
    last: u64,
    torn: bool,
}

impl Lines {
    fn add(&mut self, position: u64, product: &str, quantity: u64, reservation: ReservationId) {
        self.torn |= !self.lines.is_empty() && position != self.last + 1;
        self.last = position;
        self.lines.push((product.to_owned(), quantity, reservation));
    }

    fn reservations(&self) -> Vec<&(String, u64, ReservationId)> {
        let mut sorted: Vec<_> = self.lines.iter().collect();
        sorted.sort_unstable();
        sorted
    }

    /// So many of each product on so many lines, whatever their order.
    fn sorted(&self) -> Vec<(&str, u64)> {
        let lines = self.lines.iter();
        let mut sorted: Vec<_> = lines
            .map(|(product, count, _)| (&**product, *count))
            .collect();
        sorted.sort_unstable();
        sorted
    }
}

impl Trace {
    pub(crate) fn is_shipped(&self) -> bool {
        !self.shipped.lines.is_empty()
    }

    /// The reservations in the order of the basket's lines; `None` if there are others than the basket has.
    pub(crate) fn reservations(
        &self,
        all: &Baskets,
        basket: &Basket,
    ) -> Option<Vec<ReservationId>> {
        let mut left: Vec<_> = self.reserved.lines.iter().collect();
        let lines = basket.lines.iter().map(|line| {
            let product = all.products.get(line.product)?;
            let at = left
                .iter()
                .position(|(found, count, _)| found == product && *count == line.quantity)?;
            Some(left.swap_remove(at).2)
        });
        let found: Option<Vec<_>> = lines.collect();
        found.filter(|_| left.is_empty())
    }

    /// Whether each line is one that the basket has.
    pub(crate) fn belongs_to(&self, all: &Baskets, basket: &Basket) -> bool {
        let mut expected = expected(all, basket);
        self.reserved.sorted().into_iter().all(|line| {
            let at = expected.iter().position(|expected| *expected == line);
            at.map(|at| expected.swap_remove(at)).is_some()
        })
    }

    /// Why it is neither whole nor absent.
    fn partial(&self, all: &Baskets, basket: &Basket) -> Option<&'static str> {
        let expected = expected(all, basket);
        if self.reserved.sorted() != expected {
            Some("was not reserved with all its lines and no others")
        } else if self.reserved.torn {
            Some("was not reserved in one go")
        } else if !self.is_shipped() {
            Some("was reserved, and not shipped")
        } else if self.shipped.reservations() != self.reserved.reservations() {
            Some("was not shipped with all its reservations and no others")
        } else if self.shipped.torn {
            Some("was not shipped in one go")
        } else {
            None
        }
    }
}

fn expected<'a>(all: &'a Baskets, basket: &Basket) -> Vec<(&'a str, u64)> {
    let line = |line: &crate::basket::Line| (&*all.products[line.product], line.quantity);
    let mut expected: Vec<_> = basket.lines.iter().map(line).collect();
    expected.sort_unstable();
    expected
}

/// The books of the check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) stock: BTreeMap<String, Stock>,
    pub(crate) baskets: HashMap<String, Trace>,
    last: u64,
    /// Events behind which more of their product was promised than was there.
    pub(crate) oversold: Findings,
    /// Baskets that are neither whole nor absent.
    pub(crate) partial: Findings,
}

impl Check {
    pub(crate) fn new() -> Self {
        Self {
            stock: BTreeMap::new(),
            baskets: HashMap::new(),
            last: 0,
            oversold: Findings::new("oversold"),
            partial: Findings::new("partial"),
        }
    }

    /// Goes through a journal.
    pub(crate) async fn of_journal(store: &JournalStore) -> Result<Self, Failure> {
        let mut check = Self::new();
        let mut after = Position::BEFORE_FIRST;
        loop {
            let page = store.read_all(after, PAGE_EVENTS).await.map_err(fail)?;
            for event in &page.events {
                check.take(&seen(event)?)?;
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(check),
            }
        }
    }

    /// Takes the next event in.
    pub(crate) fn take(&mut self, seen: &Seen) -> Result<(), Failure> {
        let position = seen.position;
        if position != self.last + 1 {
            let last = self.last;
            return Err(fail(format!(
                "the journal goes from position {last} to {position}"
            )));
        }
        self.last = position;
        let stock = self.stock.entry(seen.product.clone()).or_default();
        let (on_hand, promised) = match &seen.event {
            InventoryEvent::Received { quantity, .. } => (i128::from(quantity.get()), 0),
            InventoryEvent::Reserved { quantity, .. } => (0, i128::from(quantity.get())),
            InventoryEvent::Released { quantity, .. }
            | InventoryEvent::Expired { quantity, .. } => (0, -i128::from(quantity.get())),
            InventoryEvent::Shipped { quantity, .. } => {
                (-i128::from(quantity.get()), -i128::from(quantity.get()))
            }
            InventoryEvent::Adjusted { delta, .. } => (i128::from(*delta), 0),
            // Nobody here asks for such; it is told where baskets are followed.
            _ => (0, 0),
        };
        stock.on_hand += on_hand;
        stock.promised += promised;
        if stock.promised > stock.on_hand || stock.on_hand < 0 || stock.promised < 0 {
            let product = &seen.product;
            let Stock { on_hand, promised } = *stock;
            self.oversold.add(|| {
                format!(
                    "position {position}: of {product} {promised} are promised, {on_hand} on hand"
                )
            });
        }
        self.follow_basket(seen);
        Ok(())
    }

    fn follow_basket(&mut self, seen: &Seen) {
        let (position, product) = (seen.position, &*seen.product);
        let trace = match (&seen.event, &seen.basket) {
            (InventoryEvent::Received { .. } | InventoryEvent::Adjusted { .. }, _) => return,
            (_, Some(basket)) => self.baskets.entry(basket.clone()).or_default(),
            (event, None) => {
                return self
                    .partial
                    .add(|| format!("position {position}: {event:?} is of no basket"));
            }
        };
        match &seen.event {
            InventoryEvent::Reserved {
                reservation,
                quantity,
                ..
            } => (trace.reserved).add(position, product, quantity.get(), *reservation),
            InventoryEvent::Shipped {
                reservation,
                quantity,
                ..
            } => (trace.shipped).add(position, product, quantity.get(), *reservation),
            event => {
                (self.partial).add(|| format!("position {position}: nobody asked for {event:?}"))
            }
        }
    }

    /// Compares the baskets with those that were to be reserved, and with what their callers were told.
    pub(crate) fn compare(&mut self, all: &Baskets, is_reserved: impl Fn(usize) -> bool) {
        for (number, basket) in all.baskets.iter().enumerate() {
            let trace = self.baskets.remove(&basket.id);
            let what = match (&trace, is_reserved(number)) {
                (None, false) => None,
                (None, true) => Some("is not there, although its caller was told so"),
                (Some(_), false) => Some("is there, although its caller was refused"),
                (Some(trace), true) => trace.partial(all, basket),
            };
            if let Some(what) = what {
                self.partial.add(|| format!("basket {} {what}", basket.id));
            }
        }
        for unknown in self.baskets.keys() {
            self.partial
                .add(|| format!("basket {unknown} was not to be reserved"));
        }
    }
}

fn seen(event: &RecordedEvent) -> Result<Seen, Failure> {
    let position = event.position.get();
    let decoded = decode_event::<InventoryItem>(event).ok_or_else(|| {
        Failure::Usage(format!(
            "event {position} of the directory is of {}: it holds something else; name another with --data",
            event.stream
        ))
    })?;
    Ok(Seen {
        position,
        product: event.stream.aggregate_id().to_owned(),
        basket: event.metadata.get(BASKET_ID).cloned(),
        event: decoded.map_err(fail)?,
    })
}

#[cfg(test)]
mod tests;
