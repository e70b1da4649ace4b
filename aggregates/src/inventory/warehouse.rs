use foldhouse::{
    AddressError, AggregateRef, CommandMeta, QueryError, Runtime, Timestamp, TransactionError,
};

use super::commands::{
    ArriveTransfer, ReceiveTransfer, ReceiveTransferRejection, Reserve, ReserveRejection,
    TransferRejection,
};
use super::item::InventoryItem;
use super::names::{LocationId, ProductId, TransferId};
use super::place::ItemPlace;
use super::quantity::Quantity;
use super::reservation::ReservationId;

/// How often a transfer that changed meanwhile is looked up again.
const ATTEMPTS_MAX: u32 = 16;

/// The stock of one tenant: what concerns several items at once. A clone is cheap.
///
/// What concerns one item is a command to it ([`Warehouse::item`]).
///
/// ```
/// use std::sync::Arc;
///
/// use foldhouse::{MemoryStore, Runtime};
/// use foldhouse_aggregates::{DispatchTransfer, OrderLine, Quantity, Receive, Ship, Warehouse, WarehouseError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder(Arc::new(MemoryStore::new())).start().await?;
/// let warehouse = Warehouse::new(&runtime, "acme");
/// let bolts = warehouse.item("bolt", "south")?;
/// bolts.send(Receive::new(Quantity::new(10))).await?;
/// warehouse.item("nut", "south")?.send(Receive::new(Quantity::new(5))).await?;
///
/// // All lines or none; two lines of one item are checked against their sum.
/// let line = |product: &str, count| OrderLine::new(product, "south", Quantity::new(count));
/// let refused = warehouse.reserve(&[line("bolt", 4), line("nut", 3), line("nut", 3)], None).await;
/// assert!(matches!(refused, Err(WarehouseError::Line { line: 3, .. })));
/// let order = warehouse.reserve(&[line("bolt", 4), line("nut", 3)], None).await?;
/// bolts.send(Ship::new(order[0])).await?;
///
/// // To the north, in transit until it is received there.
/// bolts.send(DispatchTransfer::new("t-1", "north", Quantity::new(5))).await?;
/// let stock = warehouse.receive_transfer("bolt", "t-1", "south", "north", None).await?;
/// assert_eq!(stock.on_hand, Quantity::new(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Warehouse {
    runtime: Runtime,
    tenant: Box<str>,
    meta: CommandMeta,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// What.
    pub product: ProductId,
    /// From where.
    pub location: LocationId,
    /// How many.
    pub quantity: Quantity,
}

impl OrderLine {
    /// So many of a product from a location.
    #[must_use]
    pub fn new(
        product: impl Into<ProductId>,
        location: impl Into<LocationId>,
        quantity: Quantity,
    ) -> Self {
        Self {
            product: product.into(),
            location: location.into(),
            quantity,
        }
    }
}

/// Why the warehouse did not do what was asked. Nothing was recorded, but for [`TransactionError::Unknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarehouseError {
    /// A line cannot be reserved.
    #[error("line {line} ({item}): {rejection}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Its item.
        item: ItemPlace,
        /// Why.
        rejection: ReserveRejection,
    },
    /// A product or location cannot name an item.
    #[error("{name:?} cannot name a product or a location: it is empty, or has an `@`")]
    Name {
        /// What was given.
        name: Box<str>,
    },
    /// An item cannot be addressed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A transfer does not arrive.
    #[error(transparent)]
    Transfer(#[from] TransferRejection),
    /// What was transferred is not taken in.
    #[error(transparent)]
    Receive(#[from] ReceiveTransferRejection),
    /// The transfer went on changing while it was looked up.
    #[error("transfer {transfer} changed {ATTEMPTS_MAX} times while it was looked up; try again")]
    Contended {
        /// The transfer.
        transfer: TransferId,
    },
    /// An item cannot be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It did not come to a decision, or is not known to be recorded; see there what to do.
    #[error(transparent)]
    Transaction(TransactionError),
}

impl std::fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warehouse")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Warehouse {
    /// The warehouse of that tenant.
    #[must_use]
    pub fn new(runtime: &Runtime, tenant: &str) -> Self {
        Self {
            runtime: runtime.clone(),
            tenant: tenant.into(),
            meta: CommandMeta::default(),
        }
    }

    /// The same warehouse for somebody: these facts (the user, a correlation id, when it counts) are recorded with all that
    /// is done by it.
    #[must_use]
    pub fn with_meta(mut self, meta: CommandMeta) -> Self {
        self.meta = meta;
        self
    }

    /// A product at a location.
    ///
    /// # Errors
    /// [`WarehouseError::Name`], [`WarehouseError::Address`]: these names cannot stand in a stream's.
    pub fn item(
        &self,
        product: impl Into<ProductId>,
        location: impl Into<LocationId>,
    ) -> Result<AggregateRef<InventoryItem>, WarehouseError> {
        let item = ItemPlace::new(&self.tenant, product, location);
        for name in [item.product.as_str(), item.location.as_str()] {
            if name.is_empty() || name.contains('@') {
                return Err(WarehouseError::Name { name: name.into() });
            }
        }
        Ok(self.runtime.aggregate(&self.tenant, &item.id())?)
    }

    /// Promises all lines of an order, or none, up to a time if there is one. The reservations stand in the order of the
    /// lines.
    ///
    /// # Errors
    /// [`WarehouseError::Line`] names the first line that cannot be reserved.
    pub async fn reserve(
        &self,
        lines: &[OrderLine],
        until: Option<Timestamp>,
    ) -> Result<Vec<ReservationId>, WarehouseError> {
        let mut steps = Vec::with_capacity(lines.len());
        for (number, line) in (0..).zip(lines) {
            let item = self.item(&line.product, &line.location)?;
            let mut reserve = Reserve::new(line.quantity).line(number);
            reserve.expires_at = until;
            steps.push(item.step(reserve));
        }
        let transacted = self.runtime.transact_with(steps, self.meta.clone()).await;
        match transacted {
            Ok(transacted) => Ok(transacted.replies),
            Err(error) => Err(self.short(lines, error)),
        }
    }

    fn short(&self, lines: &[OrderLine], error: TransactionError) -> WarehouseError {
        let step = match &error {
            TransactionError::Rejected { step, .. } => Some(*step),
            _ => None,
        };
        let line = step.and_then(|step| Some((step, lines.get(step)?)));
        match (line, error.rejection::<ReserveRejection>()) {
            (Some((step, line)), Some(rejection)) => WarehouseError::Line {
                line: step.saturating_add(1),
                item: ItemPlace::new(&self.tenant, &line.product, &line.location),
                rejection: rejection.clone(),
            },
            _ => WarehouseError::Transaction(error),
        }
    }

    /// Receives goods that were sent off from another location: all that is still in transit, or so many of it. The items of
    /// both locations record it, or neither; lots and costs go with the goods. The stock over here after it.
    ///
    /// # Errors
    /// [`WarehouseError::Transfer`] if not so many are in transit, [`WarehouseError::Receive`] if they cannot be kept here.
    pub async fn receive_transfer(
        &self,
        product: impl Into<ProductId>,
        transfer: impl Into<TransferId>,
        from: impl Into<LocationId>,
        to: impl Into<LocationId>,
        quantity: Option<Quantity>,
    ) -> Result<super::stock::StockLevel, WarehouseError> {
        let (product, transfer, from) = (product.into(), transfer.into(), from.into());
        let there = self.item(&product, &from)?;
        let here = self.item(&product, to)?;
        for _ in 0..ATTEMPTS_MAX {
            let (arrive, receive) = arrival(&there, &transfer, &from, quantity).await?;
            let steps = (there.step(arrive), here.step(receive));
            let transacted = self.runtime.transact_with(steps, self.meta.clone()).await;
            let error = match transacted {
                Ok(transacted) => return Ok(transacted.replies.1),
                Err(error) => error,
            };
            match error.rejection::<TransferRejection>() {
                Some(TransferRejection::Changed { .. }) => {}
                Some(rejection) => return Err(rejection.clone().into()),
                None => {
                    let refused = error.rejection::<ReceiveTransferRejection>().cloned();
                    return Err(refused.map_or(WarehouseError::Transaction(error), Into::into));
                }
            }
        }
        Err(WarehouseError::Contended { transfer })
    }
}

/// What both items are told of a transfer that arrives.
async fn arrival(
    there: &AggregateRef<InventoryItem>,
    transfer: &TransferId,
    from: &LocationId,
    quantity: Option<Quantity>,
) -> Result<(ArriveTransfer, ReceiveTransfer), WarehouseError> {
    let id = transfer.clone();
    let transit = there.query(move |item| item.transit(&id).cloned()).await?;
    let transit = transit.ok_or_else(|| TransferRejection::NotInTransit {
        transfer: transfer.clone(),
    })?;
    let quantity = quantity.unwrap_or(transit.quantity);
    let goods = transit.part(quantity);
    let receive = ReceiveTransfer {
        transfer: transfer.clone(),
        from: from.clone(),
        quantity,
        cost: goods.value,
        lots: goods.lots.clone(),
    };
    let arrive = ArriveTransfer {
        transfer: transfer.clone(),
        quantity,
        goods,
    };
    Ok((arrive, receive))
}
