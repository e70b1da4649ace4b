//! Amounts that the ledger works out itself: what is available, and what a foreign currency is worth.

use super::super::*;
use super::books::{books, czk, day, sale};
use crate::currency::Currency::{CZK, EUR};
use crate::money::Money;

async fn balances(ledger: &Ledger, accounts: &[&str]) -> Vec<i128> {
    let mut balances = Vec::new();
    for account in accounts {
        let row = ledger.balance(*account).await.unwrap().unwrap();
        balances.push(row.balance().minor_units());
    }
    balances
}

#[tokio::test]
async fn a_transfer_up_to_an_amount_moves_what_is_available_once() {
    let ledger = books().await;
    ledger.post(sale("s1", 100)).await.unwrap();
    let hold = Hold::new("h1", day("2026-01-31")).transfer("rent", "cash", czk(30));
    ledger.hold(hold).await.unwrap();
    let sweep = |id: &str, minor_units| {
        let (id, amount) = (id.to_owned(), czk(minor_units));
        ledger.transfer_up_to(id, day("2026-01-31"), "bank", "cash", amount)
    };
    let part = sweep("t1", 50).await.unwrap();
    assert_eq!(balances(&ledger, &["bank", "cash"]).await, [50, 50]);
    let rest = sweep("t2", 50).await.unwrap();
    assert_eq!(balances(&ledger, &["bank", "cash"]).await, [70, 30]);
    let recorded = ledger.entry(&"t2".into()).unwrap();
    let recorded = recorded.query(|entry| entry.entry().cloned()).await;
    let recorded = recorded.unwrap().unwrap();
    assert_eq!(recorded.kind, EntryKind::UpTo { amount: czk(50) });
    assert_eq!(recorded.lines[0].amount, czk(20));

    let nothing = sweep("t3", 50).await.unwrap_err();
    assert!(matches!(nothing, LedgerError::Nothing { .. }), "{nothing}");

    // Retries get what the first ones got, although more is available now; another transfer under the id does not.
    ledger.post(sale("s2", 1_000)).await.unwrap();
    assert_eq!(sweep("t1", 50).await.unwrap(), part);
    assert_eq!(sweep("t2", 50).await.unwrap(), rest);
    let other = sweep("t2", 60).await.unwrap_err();
    assert!(matches!(other, LedgerError::EntryIdTaken { .. }), "{other}");
    assert_eq!(balances(&ledger, &["bank", "cash"]).await, [70, 1_030]);
}

#[tokio::test]
async fn a_transfer_up_to_an_amount_names_the_account_that_is_not_open() {
    let ledger = books().await;
    let refused = ledger
        .transfer_up_to("t1", day("2026-01-31"), "nowhere", "cash", czk(1))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().starts_with("line 1 (nowhere)"),
        "{refused}"
    );
}

#[tokio::test]
async fn concurrent_transfers_of_what_is_available_move_all_of_it_and_no_more() {
    let ledger = books().await;
    ledger.post(sale("s1", 1_000)).await.unwrap();
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let id = format!("t{number}");
                ledger
                    .transfer_up_to(id, day("2026-01-31"), "bank", "cash", czk(150))
                    .await
            })
        })
        .collect();
    let mut moved = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => moved += 1,
            Err(error) => assert!(matches!(error, LedgerError::Nothing { .. }), "{error}"),
        }
    }
    // Six of 150 and one of 100.
    assert_eq!(moved, 7);
    assert_eq!(balances(&ledger, &["bank", "cash"]).await, [1_000, 0]);
}

/// The book buys 100 EUR for 2,500 CZK.
async fn books_with_euros() -> (Ledger, ConversionPair) {
    let ledger = books().await;
    let euros = AddAccount::new(EUR, AccountKind::Asset);
    ledger.add_account("bank:EUR", euros).await.unwrap();
    let foreign = AddAccount::new(EUR, AccountKind::Equity);
    ledger.add_account("conversion:EUR", foreign).await.unwrap();
    let cost = AddAccount::new(CZK, AccountKind::Equity).contra();
    ledger.add_account("conversion:cost", cost).await.unwrap();
    let gains = AddAccount::new(CZK, AccountKind::Income);
    ledger.add_account("gains", gains).await.unwrap();
    let (paid, bought) = (czk(250_000), Money::new(10_000, EUR));
    let purchase = Entry::new("x1", day("2026-01-10"))
        .credit("bank", paid)
        .debit("bank:EUR", bought)
        .exchange(paid, "conversion:cost", bought, "conversion:EUR");
    ledger.post(purchase).await.unwrap();
    let pair = ConversionPair {
        foreign: "conversion:EUR".into(),
        cost: "conversion:cost".into(),
    };
    (ledger, pair)
}

#[tokio::test]
async fn a_foreign_currency_is_revalued_at_a_days_rate_and_the_gain_is_unrealised() {
    let (ledger, pair) = books_with_euros().await;
    let rate = |got| Exchange::new(Money::new(100_000, EUR), czk(got));
    let accounts = ["conversion:cost", "gains", "bank:EUR", "conversion:EUR"];
    let revalue = |id: &'static str, rate| {
        let (ledger, pair) = (ledger.clone(), pair.clone());
        async move {
            let date = day("2026-01-31");
            ledger.revalue(id, date, &pair, rate, "gains").await
        }
    };
    // 26.105 CZK for one EUR: 100 EUR are worth 2,610.50 CZK, 110.50 more than they cost.
    let first = revalue("v1", rate(2_610_500)).await.unwrap();
    let expected = [261_050, 11_050, 10_000, 10_000];
    assert_eq!(balances(&ledger, &accounts).await, expected);
    let same = revalue("v2", rate(2_610_500)).await.unwrap_err();
    assert!(matches!(same, LedgerError::Nothing { .. }), "{same}");
    // 24 CZK: a loss of 210.50 against the last value, of 100 against the cost.
    revalue("v3", rate(2_400_000)).await.unwrap();
    let expected = [240_000, -10_000, 10_000, 10_000];
    assert_eq!(balances(&ledger, &accounts).await, expected);

    assert_eq!(revalue("v1", rate(2_610_500)).await.unwrap(), first);
    let other = revalue("v1", rate(2_700_000)).await.unwrap_err();
    assert!(matches!(other, LedgerError::EntryIdTaken { .. }), "{other}");
    assert_eq!(balances(&ledger, &accounts).await, expected);
}

#[tokio::test]
async fn a_rate_of_other_currencies_or_of_nothing_values_nothing() {
    let (ledger, pair) = books_with_euros().await;
    let rates = [
        Exchange::new(czk(1), Money::new(1, EUR)),
        Exchange::new(Money::new(0, EUR), czk(1)),
    ];
    for rate in rates {
        let refused = ledger
            .revalue("v1", day("2026-01-31"), &pair, rate, "gains")
            .await;
        assert!(refused.is_err(), "{rate:?}");
    }
    assert_eq!(balances(&ledger, &["gains"]).await, [0]);
}
