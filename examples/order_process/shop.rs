//! A shop with a little of everything, its orders, and what must hold of them in the end.

use std::collections::BTreeMap;

use foldhouse::{Position, RecordedEvent, Runtime, Store, decode_event};
use foldhouse_aggregates::{
    GlAccount, GlEvent, InventoryEvent, InventoryItem, OpenAccount, OverdraftPolicy, Quantity,
    Receive, Side,
};
use uuid::Uuid;

use super::fulfilment::{End, Order, OrderEvent, Place, SHOP, Wanted, account, euro, item};

/// The products, and how much of each there is: too little for all.
const PRODUCTS: u64 = 5;
const STOCK: u64 = 100;
/// The customers, and what each has: some have too little.
const CUSTOMERS: u64 = 7;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The id of a command that is the same in every life.
fn id(kind: u128, number: u64) -> Uuid {
    Uuid::from_u128((kind << 64) | u128::from(number) | (1 << 63))
}

/// What the order with this number wants.
pub(crate) fn wanted(number: u64) -> Wanted {
    let quantity = 1 + number % 3;
    Wanted {
        product: (number % PRODUCTS).to_string(),
        quantity,
        customer: (number % CUSTOMERS).to_string(),
        cents: i64::try_from(quantity).unwrap_or(1) * 250,
    }
}

/// What the customer with this number has in the beginning, in cents.
fn deposit(customer: u64) -> i64 {
    i64::try_from(customer).unwrap_or(0) * 4_000
}

/// Fills the shelves and the customers' accounts, once.
pub(crate) async fn fill(runtime: &Runtime) -> Result<(), AnyError> {
    for number in 0..PRODUCTS {
        let shelf = runtime.aggregate_of::<InventoryItem>(item(&number.to_string())?)?;
        let receive = Receive::new(Quantity::new(STOCK));
        shelf.send_once(receive, id(1, number)).await?;
    }
    let currency = euro(0)?.currency();
    for number in 0..CUSTOMERS {
        let customer = runtime.aggregate_of::<GlAccount>(account(&number.to_string())?)?;
        let open = OpenAccount::new(currency, Side::Credit).overdraft(OverdraftPolicy::Forbidden);
        customer.send_once(open, id(2, number)).await?;
        if deposit(number) > 0 {
            let credit = foldhouse_aggregates::Credit::new(euro(deposit(number))?);
            customer.send_once(credit, id(3, number)).await?;
        }
    }
    let sales = runtime.aggregate_of::<GlAccount>(account("sales")?)?;
    sales
        .send_once(OpenAccount::new(currency, Side::Credit), id(4, 0))
        .await?;
    Ok(())
}

/// Places the order with this number, once.
pub(crate) async fn place(runtime: &Runtime, number: u64) -> Result<(), AnyError> {
    let order = runtime.aggregate::<Order>(SHOP, &number.to_string())?;
    order
        .send_once(Place(wanted(number)), id(5, number))
        .await?;
    Ok(())
}

/// What the journal tells of all orders, read without the process.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) placed: u64,
    pub(crate) fulfilled: u64,
    pub(crate) cancelled: u64,
    /// Ended more than once, or not at all.
    pub(crate) not_once: u64,
    /// What was shipped less what was fulfilled.
    shipped: BTreeMap<String, i128>,
    open_reservations: i64,
    debited_cents: i64,
    sales_cents: i64,
}

impl Books {
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, AnyError> {
        let mut books = Self::default();
        let mut ends: BTreeMap<String, (Wanted, Vec<End>)> = BTreeMap::new();
        let mut after = Some(Position::BEFORE_FIRST);
        while let Some(from) = after {
            let page = store.read_all(from, 1_000).await?;
            for event in &page.events {
                books.take(event, &mut ends)?;
            }
            after = page.next;
        }
        for (wanted, ends) in ends.values() {
            books.placed += 1;
            match ends.as_slice() {
                [End::Fulfilled] => {
                    books.fulfilled += 1;
                    books.debited_cents += wanted.cents;
                    books.sales_cents += wanted.cents;
                    *books.shipped.entry(wanted.product.clone()).or_default() -=
                        i128::from(wanted.quantity);
                }
                [End::Cancelled { .. }] => books.cancelled += 1,
                _ => books.not_once += 1,
            }
        }
        Ok(books)
    }

    fn take(
        &mut self,
        event: &RecordedEvent,
        ends: &mut BTreeMap<String, (Wanted, Vec<End>)>,
    ) -> Result<(), AnyError> {
        let id = event.stream.aggregate_id();
        if let Some(event) = decode_event::<Order>(event) {
            let (wanted, ends) = ends.entry(id.to_owned()).or_default();
            match event? {
                OrderEvent::Placed(placed) => *wanted = placed,
                OrderEvent::Ended(end) => ends.push(end),
            }
        } else if let Some(event) = decode_event::<InventoryItem>(event) {
            match event? {
                InventoryEvent::Reserved { .. } => self.open_reservations += 1,
                InventoryEvent::Released { .. } => self.open_reservations -= 1,
                InventoryEvent::Shipped { quantity, .. } => {
                    self.open_reservations -= 1;
                    *self.shipped.entry(id.to_owned()).or_default() += i128::from(quantity.get());
                }
                _ => {}
            }
        } else if let Some(event) = decode_event::<GlAccount>(event) {
            match (id, event?) {
                ("sales", GlEvent::Credited { minor_units, .. }) => self.sales_cents -= minor_units,
                ("sales", _) => {}
                (_, GlEvent::Debited { minor_units, .. }) => self.debited_cents -= minor_units,
                _ => {}
            }
        }
        Ok(())
    }

    /// What does not hold: every order ended once, whole or compensated, and nothing is left over anywhere.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.not_once > 0 {
            findings.push(format!("{} orders did not end once", self.not_once));
        }
        if self.open_reservations != 0 {
            findings.push(format!("{} reservations are left", self.open_reservations));
        }
        if self.debited_cents != 0 || self.sales_cents != 0 {
            findings.push(format!(
                "the customers were debited {} cents, and the sales credited {}, beside what was fulfilled",
                -self.debited_cents, -self.sales_cents
            ));
        }
        for (product, left) in &self.shipped {
            if *left != 0 {
                findings.push(format!(
                    "of product {product}, {left} were shipped beside what was fulfilled"
                ));
            }
        }
        findings
    }
}

/// Whether nothing is on its way any more.
pub(crate) fn is_at_rest(status: &foldhouse::ProcessStatus) -> bool {
    status.open == 0 && status.parked == 0 && status.position == status.head
}
