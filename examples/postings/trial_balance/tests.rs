use std::sync::Arc;
use std::time::Duration;

use foldhouse::{AggregateRef, MemoryStore, Runtime};
use foldhouse_aggregates::{Currency, OpenAccount, OverdraftPolicy, Side};

use super::*;
use crate::entry::Line;

const CURRENCY: Currency = Currency::CZK;

/// A runtime with three open accounts.
struct Books {
    store: Arc<MemoryStore>,
    runtime: Runtime,
}

impl Books {
    async fn open() -> Self {
        let store = Arc::new(MemoryStore::new());
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let books = Self { store, runtime };
        for account in ["1", "2", "own:cash"] {
            let open = OpenAccount::new(CURRENCY, Side::Credit);
            let open = open.overdraft(OverdraftPolicy::Unlimited);
            books.account(account).send(open).await.unwrap();
        }
        books
    }

    fn account(&self, id: &str) -> AggregateRef<GlAccount> {
        self.runtime.aggregate("bank", id).unwrap()
    }

    /// One append over these accounts, each credited, or debited below zero.
    async fn post(&self, lines: &[(&str, i64)]) {
        let line = |(account, credit_minor): &(&str, i64)| {
            let line = Line::credit_of(*credit_minor, CURRENCY);
            self.account(account).step(line)
        };
        let steps: Vec<_> = lines.iter().map(line).collect();
        self.runtime.transact(steps).await.unwrap();
    }

    /// From the journal; the read model must have come to the same.
    async fn proof(&self) -> Proof {
        let head = self.store.head();
        let mut of_journal = Proof::default();
        let page = self
            .store
            .read_all(Position::BEFORE_FIRST, 1_000)
            .await
            .unwrap();
        for event in &page.events {
            of_journal.apply(event).unwrap();
        }
        let model = self.runtime.project(TrialBalances).await.unwrap();
        model.wait_for(head, Duration::from_secs(30)).await.unwrap();
        assert_eq!(model.get(&()).as_ref(), Some(&of_journal));
        of_journal.at_head()
    }
}

#[tokio::test]
async fn whole_entries_balance_behind_each_and_openings_are_none() {
    let books = Books::open().await;
    books.post(&[("1", 100), ("own:cash", -100)]).await;
    books.post(&[("own:cash", 30), ("2", -30)]).await;
    // Several lines on one account, and lines on three.
    books.post(&[("1", 5), ("1", 7), ("own:cash", -12)]).await;
    books.post(&[("1", 5), ("2", 7), ("own:cash", -12)]).await;
    let proof = books.proof().await;
    assert_eq!((proof.entries, proof.checks, proof.unbalanced), (4, 7, 0));
    assert_eq!((proof.debits, proof.credits), (154, 154));
    assert_eq!(proof.first_unbalanced, None);
}

#[tokio::test]
async fn an_entry_in_two_appends_is_found_although_the_books_balance_afterwards() {
    let books = Books::open().await;
    books.post(&[("1", 100), ("own:cash", -100)]).await;
    books.post(&[("1", 40)]).await;
    books.post(&[("own:cash", -40)]).await;
    let proof = books.proof().await;
    assert_eq!((proof.entries, proof.unbalanced), (3, 1));
    assert_eq!(proof.first_unbalanced, Some(6));
    assert_eq!(proof.debits, proof.credits);
}

#[tokio::test]
async fn the_last_entry_is_checked_too() {
    let books = Books::open().await;
    books.post(&[("1", 100), ("own:cash", -99)]).await;
    let proof = books.proof().await;
    assert_eq!((proof.entries, proof.unbalanced), (1, 1));
    assert_eq!(proof.first_unbalanced, Some(5));
}
