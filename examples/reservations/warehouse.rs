use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhouse::{AggregateRef, CommandMeta, Runtime, TransactionError};
use foldhouse_aggregates::{
    InventoryItem, Quantity, Receive, ReservationId, Reserve, ReserveRejection, Ship, StockLevel,
};
use foldhouse_examples::{Failure, fail};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::basket::{Basket, TENANT};

/// What an event's metadata names its basket by.
pub(crate) const BASKET_ID: &str = "basket_id";
/// How many deliveries are booked at the same time.
const DOCKS: usize = 16;

/// The stock items of all products, and who replenishes them.
#[derive(Debug)]
pub(crate) struct Warehouse {
    runtime: Runtime,
    items: Vec<AggregateRef<InventoryItem>>,
    /// What is delivered at a time; nothing if it is zero.
    lot: Quantity,
    /// Down to here a product is ordered.
    reorder_point: Quantity,
    /// Whether a product has an order that is not delivered yet: it has at most one.
    on_order: Vec<AtomicBool>,
    orders: mpsc::Sender<usize>,
    deliveries: AtomicU64,
}

/// What became of a basket.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// All its lines are promised.
    Whole(Vec<ReservationId>),
    /// Nothing is: one product is short.
    Refused,
}

/// Those who book deliveries, until there is nobody left to order.
#[derive(Debug)]
pub(crate) struct Docks(JoinSet<Result<(), Failure>>);

impl Warehouse {
    pub(crate) fn open(
        runtime: &Runtime,
        products: &[String],
        stock: u64,
        replenish: u64,
    ) -> Result<(Arc<Self>, Docks), Failure> {
        let item = |product: &String| runtime.aggregate(TENANT, product).map_err(fail);
        // Each product stands in it once at most.
        let (orders, ordered) = mpsc::channel(products.len().max(1));
        let warehouse = Arc::new(Self {
            runtime: runtime.clone(),
            items: products.iter().map(item).collect::<Result<_, _>>()?,
            lot: Quantity::new(replenish),
            reorder_point: Quantity::new(stock / 2),
            on_order: products.iter().map(|_| AtomicBool::new(false)).collect(),
            orders,
            deliveries: AtomicU64::new(0),
        });
        let ordered = Arc::new(Mutex::new(ordered));
        let mut docks = JoinSet::new();
        for _ in 0..DOCKS {
            let (warehouse, ordered) = (Arc::downgrade(&warehouse), Arc::clone(&ordered));
            docks.spawn(async move {
                loop {
                    let order = ordered.lock().await.recv().await;
                    // The orders end with the warehouse.
                    let (Some(product), Some(warehouse)) = (order, warehouse.upgrade()) else {
                        return Ok(());
                    };
                    warehouse.receive(product).await?;
                }
            });
        }
        Ok((warehouse, Docks(docks)))
    }

    pub(crate) fn item(&self, product: usize) -> &AggregateRef<InventoryItem> {
        &self.items[product]
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Promises all lines of a basket, or none: one transaction over all its products.
    pub(crate) async fn reserve(&self, basket: &Basket) -> Result<Reserved, Failure> {
        let steps: Vec<_> = (0..)
            .zip(&basket.lines)
            .map(|(number, line)| {
                let reserve = Reserve::new(Quantity::new(line.quantity)).line(number);
                self.items[line.product].step(reserve)
            })
            .collect();
        match self.runtime.transact_with(steps, of(basket)).await {
            Ok(transacted) => Ok(Reserved::Whole(transacted.replies)),
            Err(error) => {
                let short = self.short_product(basket, &error);
                self.order(short.ok_or_else(|| fail(error))?);
                Ok(Reserved::Refused)
            }
        }
    }

    /// The product of which there is too little, if that is the error.
    fn short_product(&self, basket: &Basket, error: &TransactionError) -> Option<usize> {
        match (error, error.rejection()) {
            (
                TransactionError::Rejected { step, .. },
                Some(ReserveRejection::Insufficient { .. }),
            ) => Some(basket.lines.get(*step)?.product),
            _ => None,
        }
    }

    /// Sends a basket off, whole, and orders what is running short.
    pub(crate) async fn ship(
        &self,
        basket: &Basket,
        reservations: &[ReservationId],
    ) -> Result<(), Failure> {
        let lines = basket.lines.iter().zip(reservations);
        let steps: Vec<_> = lines
            .map(|(line, reservation)| self.items[line.product].step(Ship::new(*reservation)))
            .collect();
        let transacted = self.runtime.transact_with(steps, of(basket)).await;
        for (line, level) in basket.lines.iter().zip(transacted.map_err(fail)?.replies) {
            let level: StockLevel = level;
            if level.available() <= self.reorder_point {
                self.order(line.product);
            }
        }
        Ok(())
    }

    /// Orders one lot of a product, unless one is on its way.
    fn order(&self, product: usize) {
        if self.lot.is_zero() || self.on_order[product].swap(true, Ordering::AcqRel) {
            return;
        }
        // It has room for every product, and the docks outlive all who order.
        let _ = self.orders.try_send(product);
    }

    async fn receive(&self, product: usize) -> Result<(), Failure> {
        let receive = Receive::new(self.lot);
        self.items[product].send(receive).await.map_err(fail)?;
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.on_order[product].store(false, Ordering::Release);
        Ok(())
    }
}

impl Docks {
    /// Waits until nobody orders any more: the last reference to the warehouse is given back here.
    pub(crate) async fn close(mut self, warehouse: Arc<Warehouse>) -> Result<(), Failure> {
        drop(warehouse);
        while let Some(ended) = self.0.join_next().await {
            ended.map_err(fail)??;
        }
        Ok(())
    }
}

/// What is recorded beside the goods.
fn of(basket: &Basket) -> CommandMeta {
    CommandMeta::new().with(BASKET_ID, &basket.id)
}
