//! The ledger over a real runtime: what is posted takes effect on all accounts or on none.

use std::sync::Arc;

use foldhouse::{Clock, MemoryStore, Runtime, SystemClock, Timestamp};

use super::super::*;
use crate::currency::Currency::{CZK, EUR};
use crate::money::Money;

pub(super) fn day(text: &str) -> BookDate {
    text.parse().unwrap()
}

pub(super) fn czk(minor_units: i64) -> Money {
    Money::new(minor_units, CZK)
}

/// A small chart: cash that may not go credit, and the rest without limits.
pub(super) async fn books() -> Ledger {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::builder(store).start().await.unwrap();
    let ledger = Ledger::new(&runtime, "acme");
    ledger.open_book(CZK).await.unwrap();
    let kinds = [
        ("bank", AccountKind::Asset),
        ("payables", AccountKind::Liability),
        ("retained", AccountKind::Equity),
        ("sales", AccountKind::Income),
        ("vat", AccountKind::Liability),
        ("rent", AccountKind::Expense),
    ];
    for (account, kind) in kinds {
        let add = AddAccount::new(CZK, kind);
        ledger.add_account(account, add).await.unwrap();
    }
    let cash = AddAccount::new(CZK, AccountKind::Asset).may_not_go(Side::Credit);
    ledger.add_account("cash", cash).await.unwrap();
    ledger
}

pub(super) fn sale(id: &str, minor_units: i64) -> Entry {
    Entry::new(id, day("2026-01-31"))
        .debit("cash", czk(minor_units))
        .credit("sales", czk(minor_units))
}

async fn balance(ledger: &Ledger, account: &str) -> i128 {
    let row = ledger.balance(account).await.unwrap().unwrap();
    row.balance().minor_units()
}

#[tokio::test]
async fn an_entry_is_numbered_and_answers_with_the_balances_in_the_order_of_its_lines() {
    let ledger = books().await;
    assert_eq!(ledger.post(sale("s1", 100)).await.unwrap().number, 1);
    let second = Entry::new("s2", day("2026-01-31"))
        .credit("sales", czk(50))
        .credit("vat", czk(10))
        .debit("cash", czk(60));
    let posted = ledger.post(second).await.unwrap();
    assert_eq!(posted.number, 2);
    let balances: Vec<_> = posted
        .balances
        .iter()
        .map(|line| (line.account.as_str(), line.balance.balance().minor_units()))
        .collect();
    assert_eq!(balances, [("sales", 150), ("vat", 10), ("cash", 160)]);
}

#[tokio::test]
async fn an_entry_posted_twice_takes_effect_once_and_gets_the_same_answer() {
    let ledger = books().await;
    let first = ledger.post(sale("s1", 100)).await.unwrap();
    ledger.post(sale("s2", 7)).await.unwrap();
    assert_eq!(ledger.post(sale("s1", 100)).await.unwrap(), first);
    assert_eq!(balance(&ledger, "cash").await, 107);

    let other = ledger.post(sale("s1", 101)).await.unwrap_err();
    assert!(matches!(other, LedgerError::EntryIdTaken { .. }), "{other}");
    assert_eq!(balance(&ledger, "cash").await, 107);
}

#[tokio::test]
async fn an_entry_that_one_account_refuses_names_line_and_account_and_leaves_all_as_they_were() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let payment = Entry::new("p1", day("2026-01-31"))
        .debit("rent", czk(101))
        .credit("cash", czk(101));
    let refused = ledger.post(payment.clone()).await.unwrap_err();
    let LedgerError::Line {
        line: 2, account, ..
    } = &refused
    else {
        panic!("{refused}");
    };
    assert_eq!(account.as_str(), "cash");
    assert_eq!(balance(&ledger, "rent").await, 0);
    // Its number is not lost, and its id is still free.
    ledger.post(sale("s2", 1)).await.unwrap();
    assert_eq!(ledger.post(payment).await.unwrap().number, 3);
}

#[tokio::test]
async fn an_entry_on_an_account_that_is_not_in_the_chart_is_refused_by_name() {
    let ledger = books().await;
    let unknown = Entry::new("e", day("2026-01-31"))
        .debit("cash", czk(1))
        .credit("nowhere", czk(1));
    let refused = ledger.post(unknown).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "line 2 (nowhere): the account is not open; open it first"
    );
}

#[tokio::test]
async fn an_account_stands_only_below_an_open_one_of_its_kind() {
    let ledger = books().await;
    let below = |parent: &str| AddAccount::new(CZK, AccountKind::Asset).parent(parent);
    for parent in ["nowhere", "sales"] {
        let refused = ledger.add_account("till", below(parent)).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Parent(_)), "{refused}");
    }
    let control = AddAccount::new(CZK, AccountKind::Asset).control();
    ledger.add_account("tills", control).await.unwrap();
    ledger.add_account("till", below("tills")).await.unwrap();
    let again = ledger.add_account("till", below("tills")).await;
    let again = again.unwrap_err();
    assert!(matches!(again, LedgerError::Account { .. }), "{again}");
    let direct = Entry::new("e", day("2026-01-31"))
        .debit("tills", czk(1))
        .credit("sales", czk(1));
    let refused = ledger.post(direct).await.unwrap_err();
    assert!(refused.to_string().contains("control account"), "{refused}");
}

#[tokio::test]
async fn a_reversal_takes_an_entry_back_once_and_both_point_at_each_other() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let reversed = ledger.reverse("s1", "r1", ReversalDate::Original).await;
    let reversed = reversed.unwrap();
    assert_eq!(reversed.number, 2);
    assert_eq!(balance(&ledger, "sales").await, 0);
    let original = ledger.entry(&"s1".into()).unwrap();
    let by = original.query(|entry| entry.reversed_by().cloned()).await;
    assert_eq!(by.unwrap(), Some("r1".into()));
    let reversal = ledger.entry(&"r1".into()).unwrap();
    let reversal = reversal
        .query(|entry| entry.entry().cloned())
        .await
        .unwrap();
    let reversal = reversal.unwrap();
    assert_eq!(reversal.kind, EntryKind::Reversal { of: "s1".into() });
    assert_eq!(reversal.date, day("2026-01-31"));

    // A retry is a retry; another reversal is refused.
    let retried = ledger.reverse("s1", "r1", ReversalDate::Original).await;
    assert_eq!(retried.unwrap(), reversed);
    let on = ReversalDate::On(day("2026-02-01"));
    let again = ledger.reverse("s1", "r2", on).await.unwrap_err();
    assert!(
        matches!(
            again,
            LedgerError::Entry(EntryRejection::AlreadyReversed { .. })
        ),
        "{again}"
    );
    assert_eq!(balance(&ledger, "sales").await, 0);
}

#[tokio::test]
async fn a_correction_takes_the_wrong_entry_back_and_posts_the_right_one_or_neither() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let spent = Entry::new("p", day("2026-01-31"))
        .debit("rent", czk(90))
        .credit("cash", czk(90));
    ledger.post(spent).await.unwrap();
    // The reversal alone would overdraw the cash, so nothing happens.
    let refused = ledger
        .correct("s1", sale("c1", 120), ReversalDate::Original)
        .await;
    assert!(matches!(refused, Err(LedgerError::Line { .. })));
    assert_eq!(balance(&ledger, "cash").await, 10);

    ledger.post(sale("s2", 200)).await.unwrap();
    let on = ReversalDate::On(day("2026-02-02"));
    let corrected = ledger.correct("s1", sale("c1", 120), on).await.unwrap();
    assert_eq!(corrected.number, 5);
    assert_eq!(balance(&ledger, "sales").await, 320);
    let original = ledger.entry(&"s1".into()).unwrap();
    let pointers = original
        .query(|entry| (entry.reversed_by().cloned(), entry.corrected_by().cloned()))
        .await
        .unwrap();
    assert_eq!(pointers, (Some("c1:reversal".into()), Some("c1".into())));
}

fn rent_hold(minor_units: i64) -> Hold {
    Hold::new("h1", day("2026-01-31")).transfer("rent", "cash", czk(minor_units))
}

#[tokio::test]
async fn a_hold_counts_against_the_limit_until_it_is_posted_in_part_and_the_rest_is_given_back() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let held = ledger.hold(rent_hold(80)).await.unwrap();
    assert_eq!(ledger.hold(rent_hold(80)).await.unwrap(), held);
    let cash = ledger.balance("cash").await.unwrap().unwrap();
    assert_eq!(cash.balance().minor_units(), 100);
    assert_eq!(cash.available().minor_units(), 20);
    let payment = |id: &str, minor_units| {
        Entry::new(id, day("2026-01-31"))
            .debit("rent", czk(minor_units))
            .credit("cash", czk(minor_units))
    };
    assert!(ledger.post(payment("p1", 21)).await.is_err());

    let part = PostedPart::Amount(czk(50));
    let posted = ledger
        .post_hold("h1", "e1", day("2026-02-01"), part.clone())
        .await
        .unwrap();
    assert_eq!(posted.number, 2);
    let cash = ledger.balance("cash").await.unwrap().unwrap();
    assert_eq!((cash.credits, cash.credits_pending), (50, 0));
    assert_eq!(cash.available().minor_units(), 50);

    let retried = ledger.post_hold("h1", "e1", day("2026-02-01"), part).await;
    assert_eq!(retried.unwrap(), posted);
    let void = ledger.void_hold("h1").await.unwrap_err();
    let again = ledger
        .post_hold("h1", "e2", day("2026-02-01"), PostedPart::Full)
        .await;
    for refused in [void, again.unwrap_err()] {
        assert!(
            matches!(refused, LedgerError::Hold(HoldRejection::Ended { .. })),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn no_more_is_posted_of_a_hold_than_it_holds() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    ledger.hold(rent_hold(80)).await.unwrap();
    let parts = [
        PostedPart::Amount(czk(81)),
        PostedPart::Amount(czk(-1)),
        PostedPart::Amount(Money::new(80, EUR)),
        PostedPart::Lines(vec![czk(1)]),
        PostedPart::Lines(vec![czk(1), czk(2)]),
        PostedPart::Amount(czk(0)),
    ];
    for part in parts {
        let refused = ledger
            .post_hold("h1", "e1", day("2026-02-01"), part.clone())
            .await;
        assert!(refused.is_err(), "{part:?}");
    }
    let cash = ledger.balance("cash").await.unwrap().unwrap();
    assert_eq!((cash.credits, cash.credits_pending), (0, 80));
}

#[tokio::test]
async fn a_hold_that_is_voided_or_has_expired_gives_everything_back() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    ledger.hold(rent_hold(80)).await.unwrap();
    let early = ledger.expire_hold("h1").await.unwrap_err();
    assert!(matches!(
        early,
        LedgerError::Hold(HoldRejection::NotDue { .. })
    ));
    ledger.void_hold("h1").await.unwrap();
    ledger.void_hold("h1").await.unwrap();
    assert_eq!(
        ledger
            .balance("cash")
            .await
            .unwrap()
            .unwrap()
            .credits_pending,
        0
    );

    let soon = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + 300_000);
    let mut hold = rent_hold(70).expires_at(soon);
    hold.id = "h2".into();
    ledger.hold(hold).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(350)).await;
    let late = ledger
        .post_hold("h2", "e2", day("2026-02-01"), PostedPart::Full)
        .await
        .unwrap_err();
    assert!(matches!(
        late,
        LedgerError::Hold(HoldRejection::Expired { .. })
    ));
    ledger.expire_hold("h2").await.unwrap();
    let cash = ledger.balance("cash").await.unwrap().unwrap();
    assert_eq!((cash.credits, cash.credits_pending), (0, 0));
}

#[tokio::test]
async fn nothing_is_posted_into_a_closed_period_but_by_an_override() {
    let ledger = books().await;
    let (first, last) = (day("2026-01-01"), day("2026-01-31"));
    ledger.add_period(first, last).await.unwrap();
    let soft = PeriodStatus::SoftClosed;
    ledger.change_period(first, soft).await.unwrap();
    let refused = ledger.post(sale("s1", 1)).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("or override the soft close with a reason"),
        "{refused}"
    );
    let late = sale("s1", 1).override_soft_close("late invoice");
    assert_eq!(ledger.post(late).await.unwrap().number, 1);
    let original = ReversalDate::Original;
    assert!(ledger.reverse("s1", "r1", original).await.is_err());
    let auditor = ledger.clone().overriding_soft_close("audit");
    auditor.reverse("s1", "r1", original).await.unwrap();
    let reversal = ledger.entry(&"r1".into()).unwrap();
    let reason = reversal.query(|entry| entry.entry().unwrap().soft_close_override.clone());
    assert_eq!(reason.await.unwrap().as_deref(), Some("audit"));
    let hard = PeriodStatus::HardClosed;
    ledger.change_period(first, hard).await.unwrap();
    let late = sale("s2", 1).override_soft_close("later invoice");
    assert!(matches!(
        ledger.post(late).await,
        Err(LedgerError::Book(BookRejection::Period(_)))
    ));
    assert_eq!(balance(&ledger, "cash").await, 0);
}

#[tokio::test]
async fn an_entry_does_not_pass_itself_off_as_a_reversal() {
    let ledger = books().await;
    let mut fake = sale("s1", 1);
    fake.kind = EntryKind::Reversal { of: "s0".into() };
    let refused = ledger.post(fake).await.unwrap_err();
    assert!(
        matches!(refused, LedgerError::Fault(EntryFault::NotOrdinary)),
        "{refused}"
    );
}
