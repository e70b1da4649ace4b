use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhouse::{AggregateRef, Runtime, TransactionError};
use foldhouse_aggregates::{
    InventoryItem, Quantity, Receive, ReservationId, Reserve, ReserveRejection, Ship,
};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::bench::{Bench, Checked, Measurable};
use crate::callers::{Called, Load, for_each};
use crate::ledger::id_of;
use crate::{Failure, fail};

const TENANT: &str = "shop";
/// What comes in at first, and again when an item has run short.
const DELIVERY: u64 = 100;
const LINES_MAX: usize = 5;
const QUANTITY_MAX: u64 = 4;

/// Baskets: all lines are reserved or none is; what is reserved is shipped by the next call.
#[derive(Debug)]
pub(crate) struct Reservations {
    runtime: Runtime,
    items: Vec<AggregateRef<InventoryItem>>,
    stock: Vec<Stock>,
    events: AtomicU64,
}

/// What was acknowledged for one item.
#[derive(Debug, Default)]
struct Stock {
    received: AtomicU64,
    reserved: AtomicU64,
    shipped: AtomicU64,
}

/// What a caller does next: nothing of its own, ship, or order what was short.
#[derive(Debug, Default)]
pub(crate) enum Next {
    #[default]
    Fill,
    Ship(Vec<(Line, ReservationId)>),
    Order(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    item: usize,
    quantity: u64,
}

impl Reservations {
    /// A product stands on one line of a basket only.
    fn draw(&self, random: &mut StdRng) -> Vec<Line> {
        let mut basket: Vec<Line> = Vec::with_capacity(LINES_MAX);
        for _ in 0..random.random_range(1..=LINES_MAX) {
            let item = random.random_range(0..self.items.len());
            let quantity = random.random_range(1..=QUANTITY_MAX);
            match basket.iter_mut().find(|line| line.item == item) {
                Some(line) => line.quantity += quantity,
                None => basket.push(Line { item, quantity }),
            }
        }
        basket
    }

    async fn reserve(&self, basket: Vec<Line>) -> Result<(Called, Next), Failure> {
        let steps: Vec<_> = basket
            .iter()
            .map(|line| self.items[line.item].step(Reserve::new(Quantity::new(line.quantity))))
            .collect();
        match self.runtime.transact(steps).await {
            Ok(reservations) => {
                self.note(&basket, |stock| &stock.reserved);
                let reserved = basket.into_iter().zip(reservations).collect();
                Ok((Called::ACKED, Next::Ship(reserved)))
            }
            Err(error) => match (&error, error.rejection::<ReserveRejection>()) {
                (
                    TransactionError::Rejected { step, .. },
                    Some(ReserveRejection::Insufficient { .. }),
                ) => Ok((Called::REJECTED, Next::Order(basket[*step].item))),
                _ => Err(fail(error)),
            },
        }
    }

    async fn ship(&self, reserved: Vec<(Line, ReservationId)>) -> Result<Called, Failure> {
        let steps: Vec<_> = reserved
            .iter()
            .map(|(line, reservation)| self.items[line.item].step(Ship::new(*reservation)))
            .collect();
        self.runtime.transact(steps).await.map_err(fail)?;
        let lines: Vec<_> = reserved.into_iter().map(|(line, _)| line).collect();
        self.note(&lines, |stock| &stock.shipped);
        Ok(Called::ACKED)
    }

    async fn receive(&self, item: usize) -> Result<Called, Failure> {
        let receive = Receive::new(Quantity::new(DELIVERY));
        self.items[item].send(receive).await.map_err(fail)?;
        let line = Line {
            item,
            quantity: DELIVERY,
        };
        self.note(&[line], |stock| &stock.received);
        Ok(Called::ACKED)
    }

    fn note(&self, lines: &[Line], what: impl Fn(&Stock) -> &AtomicU64) {
        for line in lines {
            what(&self.stock[line.item]).fetch_add(line.quantity, Ordering::Relaxed);
        }
        self.events.fetch_add(lines.len() as u64, Ordering::Relaxed);
    }

    /// What does not fit at one item.
    async fn check_item(&self, item: usize) -> Result<Option<String>, Failure> {
        let level = self.items[item].query(InventoryItem::level);
        let level = level.await.map_err(fail)?;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let stock = &self.stock[item];
        let (received, shipped) = (read(&stock.received), read(&stock.shipped));
        let expected = (
            received.checked_sub(shipped),
            read(&stock.reserved).checked_sub(shipped),
        );
        let found = (level.on_hand.get(), level.reserved.get());
        let fits = expected == (Some(found.0), Some(found.1)) && found.1 <= found.0;
        Ok((!fits)
            .then(|| format!("on hand and reserved are {found:?}, acknowledged was {expected:?}")))
    }
}

impl Load for Reservations {
    type Memory = Next;

    async fn call(&self, next: &mut Next, random: &mut StdRng) -> Result<Called, Failure> {
        match std::mem::take(next) {
            Next::Fill => {
                let (called, then) = self.reserve(self.draw(random)).await?;
                *next = then;
                Ok(called)
            }
            Next::Ship(reserved) => self.ship(reserved).await,
            Next::Order(item) => self.receive(item).await,
        }
    }
}

impl Measurable for Reservations {
    async fn prepare(bench: &Bench, runtime: &Runtime) -> Result<Arc<Self>, Failure> {
        let items = bench.plan.aggregates;
        let handles = (0..items).map(|item| runtime.aggregate(TENANT, &id_of(item)));
        let reservations = Arc::new(Self {
            runtime: runtime.clone(),
            items: handles.collect::<Result<_, _>>().map_err(fail)?,
            stock: (0..items).map(|_| Stock::default()).collect(),
            events: AtomicU64::new(0),
        });
        let shop = Arc::clone(&reservations);
        for_each(items, move |item| {
            let shop = Arc::clone(&shop);
            async move { shop.receive(item).await.map(drop) }
        })
        .await?;
        Ok(reservations)
    }

    async fn check(&self) -> Result<Checked, Failure> {
        let mut mismatches = 0;
        for item in 0..self.items.len() {
            if let Some(what) = self.check_item(item).await? {
                mismatches += 1;
                eprintln!("mismatch: item {}: {what}", id_of(item));
            }
        }
        Ok(Checked {
            mismatches,
            events: self.events.load(Ordering::Relaxed),
        })
    }
}
