//! What falls due in a ledger: expired holds and recurring entries, over restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use foldhouse::{Clock, EventStore, ExternalRef, MemoryStore, Runtime, SystemClock, Timestamp};
use foldhouse_aggregates::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that the test sets.
#[derive(Clone, Debug)]
struct Calendar(Arc<AtomicI64>);

impl Calendar {
    fn at(day: &str) -> Self {
        let calendar = Self(Arc::default());
        calendar.set(day);
        calendar
    }

    fn set(&self, day: &str) {
        self.0
            .store(date(day).start().unix_micros(), Ordering::Relaxed);
    }
}

impl Clock for Calendar {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }

    fn new_id(&self) -> uuid::Uuid {
        SystemClock.new_id()
    }
}

fn date(day: &str) -> BookDate {
    day.parse().unwrap()
}

fn czk(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::CZK)
}

struct Books {
    runtime: Runtime,
    ledger: Ledger,
    due: ExternalRef,
}

impl Books {
    async fn open(store: &Arc<MemoryStore>, calendar: &Calendar) -> Self {
        let runtime = Runtime::builder(store.clone())
            .clock(calendar.clone())
            .timed_command::<HoldDue>()
            .timed_command::<RecurringDue>()
            .start()
            .await
            .unwrap();
        let ledger = Ledger::new(&runtime, "acme");
        let due = LedgerDue::new(&ledger, store.clone());
        let due = runtime.project_external(due).await.unwrap();
        Self {
            runtime,
            ledger,
            due,
        }
    }

    async fn set_up(&self) {
        self.ledger.open_book(Currency::CZK).await.unwrap();
        for account in ["rent", "bank", "shop"] {
            let account_terms = AddAccount::new(Currency::CZK, AccountKind::Asset);
            self.ledger
                .add_account(account, account_terms)
                .await
                .unwrap();
        }
    }

    async fn settle(&self, store: &MemoryStore) {
        self.runtime.fire_due_timers().await;
        self.due.wait_for(store.head(), PATIENCE).await.unwrap();
    }

    async fn account(&self, id: &str) -> AccountBalance {
        self.ledger.balance(id).await.unwrap().unwrap()
    }

    async fn close(self) {
        self.runtime.shutdown(PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_hold_is_given_back_by_itself_also_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let calendar = Calendar::at("2026-01-01");
    let books = Books::open(&store, &calendar).await;
    books.set_up().await;
    let hold = |id: &str, until: &str| {
        Hold::new(id, date("2026-01-01"))
            .transfer("shop", "bank", czk(500))
            .expires_at(date(until).start())
    };
    for (id, until) in [
        ("one", "2026-01-05"),
        ("two", "2026-01-06"),
        ("three", "2026-01-07"),
    ] {
        books.ledger.hold(hold(id, until)).await.unwrap();
    }
    books.ledger.void_hold("two").await.unwrap();
    books.settle(&store).await;
    assert_eq!(books.account("shop").await.debits_pending, 1_000);
    calendar.set("2026-01-05");
    books.settle(&store).await;
    assert_eq!(books.account("shop").await.debits_pending, 500);
    books.close().await;
    calendar.set("2026-02-01");
    let books = Books::open(&store, &calendar).await;
    books.settle(&store).await;
    assert_eq!(books.account("shop").await.debits_pending, 0);
    let id = HoldId::new("three");
    let end = books.ledger.hold_of(&id).unwrap();
    let end = end.query(|hold| hold.end().cloned()).await.unwrap();
    assert_eq!(end, Some(HoldEnd::Expired));
    assert_eq!(books.runtime.timers(None, 10).await.unwrap().pending, 0);
}

#[tokio::test]
async fn the_rent_is_posted_each_month_once_until_it_is_stopped() {
    let store = Arc::new(MemoryStore::new());
    let calendar = Calendar::at("2026-01-15");
    let books = Books::open(&store, &calendar).await;
    books.set_up().await;
    let rent = || {
        Entry::new("", date("2026-01-31"))
            .describe("Rent")
            .debit("rent", czk(250_000))
            .credit("bank", czk(250_000))
    };
    let monthly = Recurrence {
        first: date("2026-01-31"),
        every: Every::Months(1),
        last: None,
    };
    for _ in 0..2 {
        let first = books.ledger.recur("rent", rent(), monthly).await.unwrap();
        assert_eq!(first, Some(date("2026-01-31")));
    }
    let again = Recurrence {
        every: Every::Days(1),
        ..monthly
    };
    let refused = books.ledger.recur("rent", rent(), again).await.unwrap_err();
    assert!(refused.to_string().contains("rent"), "{refused}");
    books.settle(&store).await;
    assert_eq!(books.account("rent").await.debits, 0);
    calendar.set("2026-03-01");
    books.settle(&store).await;
    assert_eq!(books.account("rent").await.debits, 500_000);
    books.close().await;
    let books = Books::open(&store, &calendar).await;
    // All over again, as if it had never noted how far it had come.
    books.due.reset().await.unwrap();
    calendar.set("2026-03-31");
    books.settle(&store).await;
    assert_eq!(books.account("rent").await.debits, 750_000);
    let id = EntryId::new("rent-2026-02-28");
    let entry = books.ledger.entry(&id).unwrap();
    let entry = entry
        .query(|entry| entry.entry().cloned())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.date, &*entry.description),
        (date("2026-02-28"), "Rent")
    );
    books.ledger.stop_recurring("rent").await.unwrap();
    calendar.set("2027-01-01");
    books.settle(&store).await;
    assert_eq!(books.account("rent").await.debits, 750_000);
    let unknown = books.ledger.stop_recurring("gas").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no recurring entry gas");
}
