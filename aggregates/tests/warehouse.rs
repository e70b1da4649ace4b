//! The warehouse over a runtime: transfers between items, read models, timers, and the ledger that follows.

use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    Clock, CommandMeta, EventStore, MemoryStore, Position, ProjectionState, Runtime, SystemClock,
    Timestamp,
};
use foldhouse_aggregates::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn units(count: u64) -> Quantity {
    Quantity::new(count)
}

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn day(day: &str) -> CommandMeta {
    let day: BookDate = day.parse().unwrap();
    CommandMeta::new().effective_at(day.start())
}

struct Shop {
    store: Arc<MemoryStore>,
    runtime: Runtime,
    warehouse: Warehouse,
    ledger: Ledger,
}

fn fifo() -> ItemTerms {
    ItemTerms::new().costing(CostMethod::Fifo, Currency::EUR)
}

impl Shop {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(
        set_up: impl FnOnce(foldhouse::RuntimeBuilder) -> foldhouse::RuntimeBuilder,
    ) -> Self {
        let store = Arc::new(MemoryStore::new());
        let builder = Runtime::builder(store.clone());
        let runtime = set_up(builder).start().await.unwrap();
        Self {
            warehouse: Warehouse::new(&runtime, "acme"),
            ledger: Ledger::new(&runtime, "acme"),
            store,
            runtime,
        }
    }

    fn item(&self, product: &str, location: &str) -> foldhouse::AggregateRef<InventoryItem> {
        self.warehouse.item(product, location).unwrap()
    }

    async fn open_books(&self) -> StockPosting {
        self.ledger.open_book(Currency::EUR).await.unwrap();
        for (account, kind) in [
            ("stock", AccountKind::Asset),
            ("grni", AccountKind::Liability),
            ("cogs", AccountKind::Expense),
            ("differences", AccountKind::Expense),
        ] {
            let account_terms = AddAccount::new(Currency::EUR, kind);
            self.ledger
                .add_account(account, account_terms)
                .await
                .unwrap();
        }
        let accounts = StockAccounts {
            stock: "stock".into(),
            received_not_invoiced: "grni".into(),
            cost_of_goods_sold: "cogs".into(),
            differences: "differences".into(),
        };
        StockPosting::new(&self.ledger, self.store.clone(), accounts)
    }

    async fn balance(&self, account: &str) -> i128 {
        let balance = self.ledger.balance(account).await.unwrap();
        balance.unwrap().balance().minor_units()
    }
}

#[tokio::test]
async fn goods_in_transit_are_seen_where_they_are_to_come() {
    let shop = Shop::new().await;
    let terms = fifo().tracking(Tracking::Lots);
    let (south, north) = (shop.item("milk", "south"), shop.item("milk", "north"));
    for item in [&south, &north] {
        item.send(SetTerms::new(terms)).await.unwrap();
    }
    let lots = [
        LotQuantity::new("a", units(2)),
        LotQuantity::new("b", units(3)),
    ];
    let receive = Receive::new(units(5)).cost(euro(1_001)).lots(lots);
    south.send(receive).await.unwrap();
    let view = shop.runtime.project(Availability).await.unwrap();
    let worth = shop.runtime.project(StockValuation).await.unwrap();
    let dispatch = DispatchTransfer::new("t", "north", units(4));
    south.send(dispatch).await.unwrap();
    let available = |location: &'static str| {
        let (view, head) = (view.clone(), shop.store.head());
        async move {
            view.wait_for(head, PATIENCE).await.unwrap();
            let place = ItemPlace::new("acme", "milk", location);
            view.read(|table| table.get(&place).cloned())
                .unwrap_or_default()
        }
    };
    let there = available("north").await;
    assert_eq!((there.available(), there.incoming()), (units(0), units(4)));
    assert_eq!(there.available_to_promise(None), units(4));
    assert_eq!(
        there.available_to_promise("2030-01-01".parse().ok()),
        units(0)
    );
    let part = Some(units(3));
    let receive = |part| {
        shop.warehouse
            .receive_transfer("milk", "t", "south", "north", part)
    };
    let stock = receive(part).await.unwrap();
    assert_eq!(stock, StockLevel::new(units(3), units(0)));
    south.send(LoseTransfer::new("t", units(1))).await.unwrap();
    let there = available("north").await;
    assert_eq!((there.available(), there.incoming()), (units(3), units(0)));
    let lots = north
        .query(|item| item.lots().collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(
        lots,
        [
            LotQuantity::new("a", units(2)),
            LotQuantity::new("b", units(1))
        ]
    );
    let gone = receive(None).await.unwrap_err();
    assert!(
        gone.to_string()
            .starts_with("transfer t is not in transit from here")
    );
    // 1,001 for five; the lost one has taken its part with it.
    worth.wait_for(shop.store.head(), PATIENCE).await.unwrap();
    let all = ValuationKey::All {
        tenant: "acme".into(),
        currency: "EUR".into(),
    };
    let all = worth.read(|table| table.get(&all).copied()).unwrap();
    let on_hand: i64 = {
        let mut sum = 0;
        for item in [&south, &north] {
            sum += item
                .query(|item| item.value())
                .await
                .unwrap()
                .unwrap()
                .minor_units();
        }
        sum
    };
    assert_eq!(all.minor_units(), i128::from(on_hand));
    assert_eq!((all.on_hand, all.in_transit), (4, 0));
}

#[tokio::test]
async fn what_is_expected_is_available_to_promise_from_its_day_on() {
    let shop = Shop::new().await;
    let item = shop.item("milk", "south");
    let view = shop.runtime.project(Availability).await.unwrap();
    let expect = ExpectSupply::new("po-1", units(10)).due_on("2026-03-01".parse().unwrap());
    item.send(expect).await.unwrap();
    item.send(Receive::new(units(4))).await.unwrap();
    item.send(ReserveInPart::new(units(6)).or_wait())
        .await
        .unwrap();
    item.send(SetTerms::new(ItemTerms::new().reorder_point(units(0))))
        .await
        .unwrap();
    view.wait_for(shop.store.head(), PATIENCE).await.unwrap();
    let place = ItemPlace::new("acme", "milk", "south");
    let row = view.read(|table| table.get(&place).cloned()).unwrap();
    assert_eq!(row.backordered, units(2));
    assert!(row.is_at_reorder_point());
    assert_eq!(
        row.available_to_promise("2026-02-28".parse().ok()),
        units(0)
    );
    assert_eq!(
        row.available_to_promise("2026-03-01".parse().ok()),
        units(8)
    );
    item.send(Receive::new(units(10)).supply("po-1"))
        .await
        .unwrap();
    view.wait_for(shop.store.head(), PATIENCE).await.unwrap();
    let row = view.read(|table| table.get(&place).cloned()).unwrap();
    assert_eq!(
        (row.available(), row.incoming(), row.backordered),
        (units(8), units(0), units(0))
    );
}

#[derive(Debug)]
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(2_000_000_000_000_000)
    }

    fn new_id(&self) -> uuid::Uuid {
        SystemClock.new_id()
    }
}

#[tokio::test]
async fn who_waits_gets_what_a_timer_takes_back() {
    let shop = Shop::with(|builder| builder.clock(Later).timed_command::<Expire>()).await;
    let item = shop.item("milk", "south");
    item.send(Receive::new(units(3))).await.unwrap();
    let past = Timestamp::from_unix_micros(1_000_000);
    let first = item.send(Reserve::new(units(3)).until(past)).await.unwrap();
    let waits = item
        .send(ReserveInPart::new(units(2)).or_wait())
        .await
        .unwrap();
    shop.runtime.fire_due_timers().await;
    let held =
        item.query(move |item| (item.reservation(first), item.reservation(waits.reservation)));
    assert_eq!(held.await.unwrap(), (None, Some(units(2))));
}

#[tokio::test]
async fn the_open_promises_and_the_stock_card_show_what_the_item_has() {
    let shop = Shop::new().await;
    let item = shop.item("milk", "south");
    let promises = shop.runtime.project(OpenReservations).await.unwrap();
    let movements = shop.runtime.project(StockMovements).await.unwrap();
    item.send(SetTerms::new(fifo().revalue(5))).await.unwrap();
    let buy = |count, cents| Receive::new(units(count)).cost(euro(cents));
    item.execute(buy(5, 500), day("2026-01-05").user("ann"))
        .await
        .unwrap();
    let one = item.send(Reserve::new(units(3))).await.unwrap();
    let two = item
        .send(ReserveInPart::new(units(4)).or_wait().priority(3))
        .await
        .unwrap();
    item.execute(Ship::new(one).part(units(2)), day("2026-01-06"))
        .await
        .unwrap();
    item.send(Pick::new(two.reservation).part(units(1)))
        .await
        .unwrap();
    // Bought before, recorded late: what was shipped has cost less.
    item.execute(buy(1, 40), day("2026-01-04")).await.unwrap();
    let head = shop.store.head();
    promises.wait_for(head, PATIENCE).await.unwrap();
    let rows: Vec<_> = promises.read(|table| {
        let rows = table.iter();
        rows.map(|(key, row)| (key.reservation, row.held, row.waits_for, row.picked))
            .collect()
    });
    let expected = |id, held, waits, picked| (id, units(held), units(waits), units(picked));
    assert_eq!(rows.len(), 2);
    assert!(rows.contains(&expected(one, 1, 0, 0)));
    assert!(rows.contains(&expected(two.reservation, 3, 1, 1)));
    movements.wait_for(head, PATIENCE).await.unwrap();
    let place = ItemPlace::new("acme", "milk", "south");
    let card: Vec<_> = movements.read(|table| {
        let card = stock_card(table, &place);
        card.map(|(row, on_hand)| {
            let value = row.value.map_or(0, Money::minor_units);
            (row.kind.to_string(), row.quantity, on_hand, value)
        })
        .collect()
    });
    let line = |kind: &str, quantity, on_hand, value| (kind.to_owned(), quantity, on_hand, value);
    assert_eq!(
        card,
        [
            line("Received", 5, 5, 500),
            line("Shipped", -2, 3, -200),
            line("Received", 1, 4, 40),
            line("Revalued", 0, 4, 60),
        ]
    );
    let value: i64 = card.iter().map(|(_, _, _, value)| value).sum();
    assert_eq!(
        item.query(|item| item.value()).await.unwrap(),
        Some(euro(value))
    );
}

#[tokio::test]
async fn every_movement_is_posted_once_and_the_stock_account_has_what_the_stock_is_worth() {
    let shop = Shop::new().await;
    let item = shop.item("milk", "south");
    item.send(SetTerms::new(fifo())).await.unwrap();
    item.send(Receive::new(units(5)).cost(euro(501)))
        .await
        .unwrap();
    let posting = shop.open_books().await;
    let books = shop.runtime.project_external(posting).await.unwrap();
    let order = item.send(Reserve::new(units(2))).await.unwrap();
    item.send(Ship::new(order)).await.unwrap();
    item.send(Return::new(units(1)).of(order).cost(euro(100)))
        .await
        .unwrap();
    item.send(Count::new(units(3))).await.unwrap();
    item.send(DispatchTransfer::new("t", "north", units(2)))
        .await
        .unwrap();
    item.send(LoseTransfer::new("t", units(1))).await.unwrap();
    books.wait_for(shop.store.head(), PATIENCE).await.unwrap();
    let figures = [
        shop.balance("stock").await,
        shop.balance("grni").await,
        shop.balance("cogs").await,
        shop.balance("differences").await,
    ];
    // 501 came; two left for 200, one came back for 100; one was missing and one lost, 100 each.
    assert_eq!(figures, [201, 501, 100, 200]);
    // All over again: nothing is posted twice.
    let head = shop.store.head();
    books.reset().await.unwrap();
    books.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(shop.store.head(), head);
    assert_eq!(shop.balance("stock").await, 201);
}

#[tokio::test]
async fn a_closed_period_stops_the_posting_visibly_and_it_goes_on_when_it_is_open() {
    let shop = Shop::new().await;
    let posting = shop.open_books().await;
    let date = |text: &str| text.parse::<BookDate>().unwrap();
    let (first, last) = (date("2026-01-01"), date("2026-01-31"));
    shop.ledger.add_period(first, last).await.unwrap();
    shop.ledger
        .change_period(first, PeriodStatus::SoftClosed)
        .await
        .unwrap();
    let books = shop.runtime.project_external(posting).await.unwrap();
    let item = shop.item("milk", "south");
    item.send(SetTerms::new(fifo())).await.unwrap();
    let late = Receive::new(units(1)).cost(euro(70));
    item.execute(late, day("2026-01-15")).await.unwrap();
    let parked = async || {
        while !matches!(books.status().state, ProjectionState::Parked(_)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    parked().await;
    assert_eq!(shop.balance("stock").await, 0);
    shop.ledger
        .change_period(first, PeriodStatus::Open)
        .await
        .unwrap();
    books.resume();
    let head = shop.store.head();
    books.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(shop.balance("stock").await, 70);
}

#[tokio::test]
async fn what_is_late_may_count_on_the_day_on_which_it_was_recorded() {
    let shop = Shop::new().await;
    let posting = shop.open_books().await.late_when_recorded();
    let date = |text: &str| text.parse::<BookDate>().unwrap();
    let (first, last) = (date("2026-01-01"), date("2026-01-31"));
    shop.ledger.add_period(first, last).await.unwrap();
    let open = (date("2026-02-01"), date("2099-12-31"));
    shop.ledger.add_period(open.0, open.1).await.unwrap();
    shop.ledger
        .change_period(first, PeriodStatus::HardClosed)
        .await
        .unwrap();
    let days = shop.runtime.project(LedgerDays).await.unwrap();
    let books = shop.runtime.project_external(posting).await.unwrap();
    let item = shop.item("milk", "south");
    item.send(SetTerms::new(fifo())).await.unwrap();
    let late = Receive::new(units(1)).cost(euro(70));
    item.execute(late, day("2026-01-15")).await.unwrap();
    books.wait_for(shop.store.head(), PATIENCE).await.unwrap();
    assert_eq!(shop.balance("stock").await, 70);
    let head: Position = shop.store.head();
    days.wait_for(head, PATIENCE).await.unwrap();
    let in_january = days.read(|table| {
        table
            .iter()
            .any(|(key, _)| key.day.is_some_and(|day| day <= last))
    });
    assert!(!in_january);
}
