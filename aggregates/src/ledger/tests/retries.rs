//! What is sent again, by whom and when ever: it takes effect once.

use std::sync::Arc;
use std::time::Duration;

use foldhouse::{JournalStore, Runtime};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::super::posting::Writing;
use super::super::*;
use super::books::{books, books_in, czk, day, sale};
use super::random_books::{Deed, act, any_deed, check, with_months};

#[tokio::test]
async fn an_entry_whose_command_id_is_forgotten_is_told_as_posted_whatever_its_accounts_say() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let payment = Entry::new("p1", day("2026-01-31"))
        .debit("rent", czk(100))
        .credit("cash", czk(100));
    // Recorded under another command id than `post` takes: as if the store had forgotten that.
    let mut writing = Writing::on(payment.date);
    writing.enter(&ledger, payment.clone()).unwrap();
    writing
        .write_once(&ledger, Uuid::from_u128(7))
        .await
        .unwrap();
    // The cash is gone, so the account would refuse it first.
    let refused = ledger.post(payment).await.unwrap_err();
    assert!(
        matches!(
            refused,
            LedgerError::Entry(EntryRejection::AlreadyPosted { .. })
        ),
        "{refused}"
    );
    let rent = ledger.balance("rent").await.unwrap().unwrap();
    assert_eq!(rent.balance().minor_units(), 100);
}

#[tokio::test]
async fn a_hold_whose_command_id_is_forgotten_is_told_as_placed_whatever_its_accounts_say() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let hold = Hold::new("h1", day("2026-01-31")).transfer("rent", "cash", czk(100));
    let handle = ledger.hold_of(&"h1".into()).unwrap();
    // Recorded under another command id than `hold` takes: as if the store had forgotten that.
    let place = PlaceHold {
        hold: Box::new(hold.clone()),
    };
    handle.send(place).await.unwrap();
    let spent = Entry::new("p1", day("2026-01-31"))
        .debit("rent", czk(100))
        .credit("cash", czk(100));
    ledger.post(spent).await.unwrap();
    let refused = ledger.hold(hold).await.unwrap_err();
    assert!(
        matches!(
            refused,
            LedgerError::Hold(HoldRejection::AlreadyPlaced { .. })
        ),
        "{refused}"
    );
    let unknown = Hold::new("h2", day("2026-01-31")).transfer("rent", "cash", czk(1));
    let refused = ledger.hold(unknown).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("line 2 (cash):"),
        "{refused}"
    );
}

/// An entry with as many lines as there may be.
fn longest(id: &str, minor_units: i64) -> Entry {
    let entry = Entry::new(id, day("2026-01-31"));
    (0..ENTRY_LINES_MAX / 2).fold(entry, |entry, _| {
        entry
            .debit("bank", czk(minor_units))
            .credit("sales", czk(minor_units))
    })
}

#[tokio::test]
async fn the_longest_entries_are_corrected_and_the_longest_holds_posted_and_retried() {
    let ledger = books().await;
    let large = i64::MAX / 1_000;
    ledger.post(longest("e1", large)).await.unwrap();
    let on = ReversalDate::On(day("2026-02-01"));
    let correct = || ledger.correct("e1", longest("e2", large - 1), on);
    let corrected = correct().await.unwrap();
    assert_eq!(corrected.balances.len(), 2 * ENTRY_LINES_MAX);
    assert_eq!(correct().await.unwrap(), corrected);

    let mut hold = Hold::new("h1", day("2026-01-31"));
    hold.lines = longest("h1", large).lines;
    let held = ledger.hold(hold.clone()).await.unwrap();
    assert_eq!(ledger.hold(hold).await.unwrap(), held);
    let post = || ledger.post_hold("h1", "e3", day("2026-02-01"), PostedPart::Full);
    let posted = post().await.unwrap();
    assert_eq!(posted.balances.len(), ENTRY_LINES_MAX);
    assert_eq!(post().await.unwrap(), posted);
}

#[tokio::test]
async fn the_same_entry_sent_by_many_at_once_takes_effect_once_and_all_get_its_answer() {
    let ledger = books().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.post(sale("s1", 100)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        let posted = task.await.unwrap();
        assert_eq!(posted.number, 1);
        assert_eq!(posted.balances[0].balance.debits, 100);
    }
    let cash = ledger.balance("cash").await.unwrap().unwrap();
    assert_eq!(cash.debits, 100);
}

async fn runtime(store: Arc<JournalStore>) -> Runtime {
    let builder = Runtime::builder(store);
    // So few that every aggregate comes back from a snapshot.
    builder.snapshot_every_events(5).start().await.unwrap()
}

#[tokio::test]
async fn books_on_disk_hold_after_each_reopening_and_give_retries_their_first_answers() {
    let directory = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut entries = 0;
    let mut answers: Vec<(Entry, Posted)> = Vec::new();
    for life in 0..3_u8 {
        let store = Arc::new(JournalStore::open(directory.path()).unwrap());
        let runtime = runtime(store.clone()).await;
        let ledger = match life {
            0 => with_months(books_in(&runtime).await).await,
            _ => Ledger::new(&runtime, "acme"),
        };
        for (entry, posted) in &answers {
            assert_eq!(ledger.post(entry.clone()).await.unwrap(), *posted);
        }
        for number in 0..10 {
            let mut entry = sale(&format!("life {life} sale {number}"), 10);
            entry.soft_close_override = Some("test".to_owned());
            // Somebody may have closed January for good.
            if let Ok(posted) = ledger.post(entry.clone()).await {
                answers.push((entry, posted));
            }
        }
        for _ in 0..60 {
            let deed = any_deed().new_tree(&mut runner).unwrap().current();
            let closes = matches!(
                deed,
                Deed::Change {
                    status: PeriodStatus::HardClosed,
                    ..
                }
            );
            if !closes {
                act(&ledger, deed).await;
            }
        }
        let audit = check(&ledger).await;
        assert!(audit.entries > entries);
        entries = audit.entries;
        drop(ledger);
        runtime.shutdown(Duration::from_secs(20)).await.unwrap();
        store.close();
    }
    assert!(answers.len() >= 30);
}
