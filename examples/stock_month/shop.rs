//! What the shop does, each deed under an id that follows from what it is: a second run of the same month does nothing again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhouse::{
    AggregateRef, CommandError, CommandMeta, ExternalRef, IdempotentCommand, Runtime, Store,
    Timestamp,
};
use foldhouse_aggregates::{
    AccountKind, AddAccount, CostMethod, Count, Currency, DispatchTransfer, GoodsRejection,
    InventoryItem, ItemTerms, Ledger, LedgerError, Money, Quantity, Receive, ReservationId,
    Reserve, ReserveRejection, Return, SetTerms, Ship, ShipRejection, StockAccounts, StockPosting,
    TransferRejection, Warehouse, WarehouseError,
};
use foldhouse_examples::{Failure, at_the_same_time, fail};
use uuid::Uuid;

use super::month::{Basket, Line, Month, begin_of};

pub(crate) const TENANT: &str = "shop";
pub(crate) const STOCK_ACCOUNT: &str = "1400";
const SHOP: &str = "shop";
const BACK_ROOM: &str = "back-room";
/// So many come with one delivery, at least.
const DELIVERED: u64 = 24;
/// A sale that is recorded late may revalue so many that were after it.
const REVALUED_MAX: u32 = 500;
/// Something else happens with every one of so many baskets.
const RETURNED_ONE_OF: u64 = 20;
const COUNTED_ONE_OF: u64 = 33;
const TRANSFERRED_ONE_OF: u64 = 41;

/// A shop and its books.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    runtime: Runtime,
    warehouse: Warehouse,
    done: Arc<Done>,
}

/// What was done, as this run saw it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) baskets: AtomicU64,
    pub(crate) deliveries: AtomicU64,
}

/// The id of a deed.
fn id_of(deed: &str, what: &str, number: u64) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    for part in [deed, what] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.update(&number.to_le_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn at(time: Timestamp) -> CommandMeta {
    CommandMeta::new().effective_at(time).user("till")
}

/// Begins to post what moves in the books of the shop, which are opened if they are not open.
pub(crate) async fn keep_books(
    runtime: &Runtime,
    store: Arc<dyn Store>,
) -> Result<ExternalRef, Failure> {
    let ledger = Ledger::new(runtime, TENANT);
    let is_there = |outcome| match outcome {
        Ok(()) | Err(LedgerError::Account { .. } | LedgerError::Book(_)) => Ok(()),
        Err(error) => Err(fail(error)),
    };
    is_there(ledger.open_book(Currency::USD).await)?;
    for (account, kind, name) in [
        (STOCK_ACCOUNT, AccountKind::Asset, "Stock"),
        ("2150", AccountKind::Liability, "Received, not invoiced"),
        ("5000", AccountKind::Expense, "Cost of goods sold"),
        ("5900", AccountKind::Expense, "Stock differences"),
    ] {
        let account_terms = AddAccount::new(Currency::USD, kind).name(name);
        is_there(ledger.add_account(account, account_terms).await)?;
    }
    let accounts = StockAccounts {
        stock: STOCK_ACCOUNT.into(),
        received_not_invoiced: "2150".into(),
        cost_of_goods_sold: "5000".into(),
        differences: "5900".into(),
    };
    let posting = StockPosting::new(&ledger, store, accounts);
    runtime.project_external(posting).await.map_err(fail)
}

impl Shop {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self {
            runtime: runtime.clone(),
            warehouse: Warehouse::new(runtime, TENANT),
            done: Arc::default(),
        }
    }

    pub(crate) fn done(&self) -> &Done {
        &self.done
    }

    /// Lives through the month, one day after the other; `tell` hears of each basket.
    pub(crate) async fn sell(
        &self,
        month: &Month,
        callers: u32,
        tell: impl Fn(&Basket) + Clone + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        for (day, baskets) in &month.days {
            let baskets: Arc<[Basket]> = baskets.clone().into();
            let next = Arc::new(AtomicUsize::new(0));
            at_the_same_time(callers, |_| {
                let (shop, baskets, next) = (self.clone(), Arc::clone(&baskets), Arc::clone(&next));
                let (day, tell) = (*day, tell.clone());
                async move {
                    while let Some(basket) = baskets.get(next.fetch_add(1, Ordering::Relaxed)) {
                        shop.basket(basket, day).await?;
                        shop.done.baskets.fetch_add(1, Ordering::Relaxed);
                        tell(basket);
                    }
                    Ok(())
                }
            })
            .await?;
        }
        Ok(())
    }

    fn item(&self, product: &str, location: &str) -> Result<AggregateRef<InventoryItem>, Failure> {
        self.warehouse.item(product, location).map_err(fail)
    }

    async fn once<C>(
        &self,
        item: &AggregateRef<InventoryItem>,
        command: C,
        id: Uuid,
        when: Timestamp,
    ) -> Result<C::Reply, CommandError<C::Rejection>>
    where
        C: IdempotentCommand<Aggregate = InventoryItem>,
    {
        let executed = item.execute_once(command, id, at(when)).await;
        executed.map(|committed| committed.reply)
    }

    /// Sells a basket: whole, with a delivery for each product that is short. Then now and then something else.
    async fn basket(&self, basket: &Basket, day: i64) -> Result<(), Failure> {
        let reservations = self.reserve(basket, day).await?;
        for (number, (line, reservation)) in (0..).zip(basket.lines.iter().zip(reservations)) {
            self.ship(basket, number, line, reservation, day).await?;
        }
        let (Some(line), number) = (basket.lines.first(), number_of(basket)) else {
            return Ok(());
        };
        if number.is_multiple_of(RETURNED_ONE_OF) {
            self.take_back(basket, line).await?;
        }
        if number.is_multiple_of(COUNTED_ONE_OF) {
            self.count(basket, line).await?;
        }
        if number.is_multiple_of(TRANSFERRED_ONE_OF) {
            self.transfer(basket, line).await?;
        }
        Ok(())
    }

    async fn reserve(&self, basket: &Basket, day: i64) -> Result<Vec<ReservationId>, Failure> {
        let id = id_of("reserve", &basket.id, 0);
        for attempt in 0u64.. {
            let mut steps = Vec::new();
            for (number, line) in (0..).zip(&basket.lines) {
                let reserve = Reserve::new(Quantity::new(line.quantity)).line(number);
                steps.push(self.item(&line.product, SHOP)?.step(reserve));
            }
            let error = match self
                .runtime
                .transact_once_with(steps, id, at(basket.at))
                .await
            {
                Ok(transacted) => return Ok(transacted.replies),
                Err(error) => error,
            };
            let short = match &error {
                foldhouse::TransactionError::Rejected { step, .. } => basket.lines.get(*step),
                _ => None,
            };
            match (short, error.rejection::<ReserveRejection>()) {
                (Some(line), Some(ReserveRejection::Insufficient { .. })) => {
                    self.deliver(basket, line, day, attempt).await?;
                }
                _ => return Err(fail(error)),
            }
        }
        Ok(Vec::new())
    }

    /// Delivered at the beginning of the day, so that all that is sold on it finds it there.
    async fn deliver(
        &self,
        basket: &Basket,
        line: &Line,
        day: i64,
        attempt: u64,
    ) -> Result<(), Failure> {
        let item = self.item(&line.product, SHOP)?;
        let id = |deed| id_of(deed, &format!("{} {}", basket.id, line.product), attempt);
        self.set_terms(&item, &line.product).await?;
        let quantity = DELIVERED.max(line.quantity * 2);
        // What one costs changes from delivery to delivery, and does not come out even.
        let cents = line.price_cents * 2 / 3 + day.rem_euclid(5);
        let pieces = i64::try_from(quantity).map_err(fail)?;
        let cost = cents.saturating_mul(pieces) + day.rem_euclid(7);
        let receive = Receive::new(Quantity::new(quantity)).cost(Money::new(cost, Currency::USD));
        self.once(&item, receive, id("deliver"), begin_of(day))
            .await
            .map_err(fail)?;
        self.done.deliveries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn set_terms(
        &self,
        item: &AggregateRef<InventoryItem>,
        product: &str,
    ) -> Result<(), Failure> {
        // One product by layers, another one at the average.
        let method = match id_of("method", product, 0).as_u128() % 2 {
            0 => CostMethod::Fifo,
            _ => CostMethod::MovingAverage,
        };
        let terms = ItemTerms::new()
            .costing(method, Currency::USD)
            .revalue(REVALUED_MAX);
        item.send(SetTerms::new(terms)).await.map_err(fail)
    }

    async fn ship(
        &self,
        basket: &Basket,
        number: u64,
        line: &Line,
        reservation: ReservationId,
        day: i64,
    ) -> Result<(), Failure> {
        let item = self.item(&line.product, SHOP)?;
        let id = id_of("ship", &basket.id, number);
        for attempt in 1_000u64.. {
            let ship = Ship::new(reservation);
            match self.once(&item, ship, id, basket.at).await {
                Ok(_) => return Ok(()),
                // It is there now, but was not when the basket was sold: what came back later was sold before.
                Err(CommandError::Rejected(ShipRejection::Goods(
                    GoodsRejection::NotOnHandThen { .. },
                ))) => self.deliver(basket, line, day, attempt).await?,
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(())
    }

    async fn take_back(&self, basket: &Basket, line: &Line) -> Result<(), Failure> {
        let item = self.item(&line.product, SHOP)?;
        let id = id_of("return", &basket.id, 0);
        let worth = Money::new(line.price_cents / 2, Currency::USD);
        let back = Return::new(Quantity::new(1)).cost(worth).note("unopened");
        let returned = self.once(&item, back, id, basket.at).await;
        returned.map(drop).map_err(fail)
    }

    /// One is missing, unless somebody has just been promised it.
    async fn count(&self, basket: &Basket, line: &Line) -> Result<(), Failure> {
        let item = self.item(&line.product, SHOP)?;
        let there = item.query(|item| item.on_hand()).await.map_err(fail)?;
        let count = Count::new(there.saturating_sub(Quantity::new(1)));
        let id = id_of("count", &basket.id, 0);
        if item.outcome::<Count>(id).await.map_err(fail)?.is_some() {
            return Ok(());
        }
        let options = CommandMeta::new().user("clerk");
        match item.execute_once(count, id, options).await {
            Ok(_) | Err(CommandError::Rejected(_)) => Ok(()),
            Err(error) => Err(fail(error)),
        }
    }

    /// Two go to the back room, and arrive there one by one.
    async fn transfer(&self, basket: &Basket, line: &Line) -> Result<(), Failure> {
        let (item, room) = (
            self.item(&line.product, SHOP)?,
            self.item(&line.product, BACK_ROOM)?,
        );
        self.set_terms(&room, &line.product).await?;
        let transfer = format!("to the back room with {}", basket.id);
        let dispatch = DispatchTransfer::new(&*transfer, BACK_ROOM, Quantity::new(2));
        let id = id_of("transfer", &basket.id, 0);
        let options = CommandMeta::new().user("clerk");
        match item.execute_once(dispatch, id, options).await {
            Ok(_) => {}
            Err(CommandError::Rejected(_)) => return Ok(()),
            Err(error) => return Err(fail(error)),
        }
        for _ in 0..2 {
            let one = Some(Quantity::new(1));
            let received = self
                .warehouse
                .receive_transfer(&*line.product, &*transfer, SHOP, BACK_ROOM, one)
                .await;
            match received {
                Ok(_) => {}
                // An earlier run has received it.
                Err(WarehouseError::Transfer(TransferRejection::NotInTransit { .. })) => break,
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(())
    }
}

/// A number that follows from the basket, whatever its id looks like.
fn number_of(basket: &Basket) -> u64 {
    id_of("number", &basket.id, 0).as_u64_pair().0 >> 8
}
