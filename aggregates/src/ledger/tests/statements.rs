//! The read models: balances and statements as of any date, and the year's end.

use std::time::Duration;

use foldhouse::{Clock, ProjectionRef, SystemClock, Timestamp};

use super::super::*;
use super::books::{books, czk, day};
use crate::currency::Currency::CZK;
use crate::total::Total;

const PATIENCE: Duration = Duration::from_secs(20);

struct Models {
    ledger: Ledger,
    days: ProjectionRef<LedgerDays>,
    lines: ProjectionRef<AccountLines>,
}

impl Models {
    async fn over(ledger: Ledger) -> Self {
        let days = ledger.runtime.project(LedgerDays).await.unwrap();
        let lines = ledger.runtime.project(AccountLines).await.unwrap();
        Self {
            ledger,
            days,
            lines,
        }
    }

    async fn post(&self, date: &str, id: &str, debit: &str, credit: &str, minor_units: i64) {
        let entry = Entry::new(id, day(date))
            .debit(debit, czk(minor_units))
            .credit(credit, czk(minor_units))
            .reference(id.split(':').next().unwrap());
        self.ledger.post(entry).await.unwrap();
    }

    async fn catch_up(&self) {
        let head = self.ledger.runtime.store().head();
        self.days.wait_for(head, PATIENCE).await.unwrap();
        self.lines.wait_for(head, PATIENCE).await.unwrap();
    }

    fn balance(&self, account: &str, date: &str) -> i128 {
        let balances = self.days.read(|days| balances_on(days, "acme", day(date)));
        let of_account = |balance: &&DatedBalance| balance.account.as_str() == account;
        balances
            .iter()
            .find(of_account)
            .unwrap()
            .balance()
            .minor_units()
    }

    fn net(&self, first: &str, last: &str) -> i128 {
        let (first, last) = (day(first), day(last));
        let statements = self
            .days
            .read(|days| income_statement(days, "acme", first, last));
        statements.unwrap()[0].net.minor_units()
    }

    fn sheet(&self, date: &str) -> BalanceSheet {
        let sheets = self
            .days
            .read(|days| balance_sheet(days, "acme", day(date)));
        let [sheet] = sheets.unwrap().try_into().unwrap();
        assert!(sheet.difference.is_zero(), "{sheet:?}");
        sheet
    }
}

/// Two years of a small business: sales on credit, payments, rent.
async fn two_years() -> Models {
    let models = Models::over(books().await).await;
    models
        .post("2025-03-01", "c1", "bank", "retained", 1_000)
        .await;
    models.post("2025-06-01", "s1", "bank", "sales", 500).await;
    // Posted in any order: what counts is the effective date.
    models.post("2026-02-01", "s3", "bank", "sales", 70).await;
    models.post("2025-12-31", "r1", "rent", "bank", 200).await;
    models.post("2026-01-01", "s2", "bank", "sales", 30).await;
    models.catch_up().await;
    models
}

#[tokio::test]
async fn balances_are_those_of_the_end_of_any_day_whatever_was_posted_when() {
    let models = two_years().await;
    for (date, balance) in [
        ("2025-02-28", 0),
        ("2025-03-01", 1_000),
        ("2025-12-30", 1_500),
        ("2025-12-31", 1_300),
        ("2026-01-01", 1_330),
        ("2026-12-31", 1_400),
    ] {
        assert_eq!(models.balance("bank", date), balance, "{date}");
        let trial = models
            .days
            .read(|days| trial_balance_on(days, "acme", day(date)));
        let trial = trial.unwrap();
        assert!(trial.is_balanced());
        let section = trial.section(CZK).unwrap();
        let bank = section.lines.iter().find(|line| line.account == "bank");
        assert_eq!(bank.unwrap().debit_balance, Total::new(balance, CZK));
    }
    let other = models
        .days
        .read(|days| balances_on(days, "other", day("2026-12-31")));
    assert_eq!(other, []);
}

#[tokio::test]
async fn the_income_statement_is_of_a_period_and_the_balance_sheet_of_a_day() {
    let models = two_years().await;
    assert_eq!(models.net("2025-01-01", "2025-12-31"), 300);
    assert_eq!(models.net("2025-07-01", "2025-12-31"), -200);
    assert_eq!(models.net("2026-01-01", "2026-01-31"), 30);
    let sheet = models.sheet("2025-12-31");
    assert_eq!(sheet.total_assets, Total::new(1_300, CZK));
    assert_eq!(sheet.current_earnings, Total::new(300, CZK));
    assert_eq!(sheet.total_equity, Total::new(1_300, CZK));
    assert_eq!(sheet.equity.len(), 1);
}

#[tokio::test]
async fn the_year_is_carried_forward_into_retained_earnings_and_its_income_statement_stays() {
    let models = two_years().await;
    let ledger = &models.ledger;
    let years = [
        (day("2025-01-01"), day("2025-12-31")),
        (day("2026-01-01"), day("2026-12-31")),
    ];
    for (first, last) in years {
        ledger.add_period(first, last).await.unwrap();
    }
    let year_end = day("2025-12-31");
    let close = || ledger.carry_forward(&models.days, "close-2025", year_end, "retained");
    let open = close().await.unwrap_err();
    assert!(
        open.to_string()
            .ends_with("is still open; close it softly first"),
        "{open}"
    );
    let soft = PeriodStatus::SoftClosed;
    ledger.change_period(years[0].0, soft).await.unwrap();
    assert_eq!(close().await.unwrap().len(), 1);
    models.catch_up().await;

    assert_eq!(models.balance("sales", "2025-12-31"), 0);
    assert_eq!(models.balance("rent", "2025-12-31"), 0);
    assert_eq!(models.balance("retained", "2025-12-31"), 1_300);
    // The new year's sales stay where they are.
    assert_eq!(models.balance("sales", "2026-12-31"), 100);
    assert_eq!(models.net("2025-01-01", "2025-12-31"), 300);
    let sheet = models.sheet("2025-12-31");
    assert!(sheet.current_earnings.is_zero());
    assert_eq!(sheet.total_equity, Total::new(1_300, CZK));
    assert_eq!(
        models.sheet("2026-12-31").current_earnings,
        Total::new(100, CZK)
    );

    // Again: nothing has come since. A late entry is carried forward by one more.
    assert_eq!(close().await.unwrap(), []);
    let late = Entry::new("late", year_end)
        .debit("rent", czk(5))
        .credit("bank", czk(5))
        .override_soft_close("late invoice");
    ledger.post(late).await.unwrap();
    assert_eq!(close().await.unwrap().len(), 1);
    assert_eq!(close().await.unwrap(), []);
    models.catch_up().await;
    assert_eq!(models.balance("retained", "2025-12-31"), 1_295);
    let hard = PeriodStatus::HardClosed;
    ledger.change_period(years[0].0, hard).await.unwrap();
    assert_eq!(models.net("2025-01-01", "2025-12-31"), 295);
}

#[tokio::test]
async fn more_accounts_than_fit_one_entry_are_carried_forward_by_several() {
    let models = Models::over(books().await).await;
    let ledger = &models.ledger;
    let (first, last) = (day("2025-01-01"), day("2025-12-31"));
    ledger.add_period(first, last).await.unwrap();
    for number in 0..ENTRY_LINES_MAX {
        let account = format!("sales:{number:03}");
        let add = AddAccount::new(CZK, AccountKind::Income);
        ledger.add_account(account.as_str(), add).await.unwrap();
        models
            .post("2025-05-05", &format!("e{number}"), "bank", &account, 1)
            .await;
    }
    let soft = PeriodStatus::SoftClosed;
    ledger.change_period(first, soft).await.unwrap();
    let closed = ledger
        .carry_forward(&models.days, "close", last, "retained")
        .await;
    assert_eq!(closed.unwrap().len(), 2);
    models.catch_up().await;
    assert_eq!(models.balance("retained", "2025-12-31"), 180);
    assert!(models.sheet("2025-12-31").current_earnings.is_zero());
}

#[tokio::test]
async fn a_statement_has_the_opening_balance_each_line_with_the_balance_after_it_and_the_closing() {
    let models = two_years().await;
    let statement = |account: &str, first: &str, last: &str| {
        let (first, last) = (day(first), day(last));
        models.days.read(|days| {
            models
                .lines
                .read(|lines| account_statement(days, lines, "acme", &account.into(), first, last))
        })
    };
    let bank = statement("bank", "2025-06-01", "2026-01-31").unwrap();
    assert_eq!(bank.opening, Total::new(1_000, CZK));
    let lines: Vec<_> = bank
        .lines
        .iter()
        .map(|line| {
            (
                line.line.entry.as_str(),
                line.number,
                line.balance.minor_units(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [("s1", 2, 1_500), ("r1", 4, 1_300), ("s2", 5, 1_330)]
    );
    assert_eq!(bank.debits, Total::new(530, CZK));
    assert_eq!(bank.credits, Total::new(200, CZK));
    assert_eq!(bank.closing, Total::new(1_330, CZK));
    assert_eq!(statement("nowhere", "2025-06-01", "2026-01-31"), None);

    let report = models.days.read(|days| {
        let (first, last) = (day("2026-01-01"), day("2026-12-31"));
        models
            .lines
            .read(|lines| general_ledger_report(days, lines, "acme", first, last))
    });
    let closings: Vec<_> = report
        .iter()
        .map(|statement| (statement.account.as_str(), statement.closing.minor_units()))
        .collect();
    let expected = [
        ("bank", 1_400),
        ("rent", 200),
        ("retained", 1_000),
        ("sales", 600),
    ];
    assert_eq!(closings, expected);
}

#[tokio::test]
async fn what_is_held_is_pending_from_its_day_until_it_ends() {
    let models = two_years().await;
    let ledger = &models.ledger;
    let hold = Hold::new("h1", day("2026-02-10")).transfer("rent", "bank", czk(40));
    ledger.hold(hold).await.unwrap();
    let part = PostedPart::Amount(czk(25));
    let posted = ledger.post_hold("h1", "p1", day("2026-02-20"), part).await;
    posted.unwrap();
    models.catch_up().await;
    let bank = |date: &str| {
        let balances = models
            .days
            .read(|days| balances_on(days, "acme", day(date)));
        let bank = balances
            .into_iter()
            .find(|row| row.account.as_str() == "bank");
        let bank = bank.unwrap();
        (bank.turnover.credits_pending, bank.balance().minor_units())
    };
    assert_eq!(bank("2026-02-09"), (0, 1_400));
    assert_eq!(bank("2026-02-10"), (40, 1_400));
    assert_eq!(bank("2026-02-19"), (40, 1_400));
    assert_eq!(bank("2026-02-20"), (0, 1_375));
}

#[tokio::test]
async fn a_control_account_shows_what_stands_below_it() {
    let models = Models::over(books().await).await;
    let ledger = &models.ledger;
    let asset = || AddAccount::new(CZK, AccountKind::Asset);
    ledger.add_account("3", asset().control()).await.unwrap();
    ledger
        .add_account("31", asset().control().parent("3"))
        .await
        .unwrap();
    ledger
        .add_account("311", asset().parent("31"))
        .await
        .unwrap();
    ledger
        .add_account("315", asset().parent("31"))
        .await
        .unwrap();
    models.post("2026-01-01", "a", "311", "sales", 100).await;
    models.post("2026-01-01", "b", "315", "sales", 11).await;
    models.catch_up().await;
    let balances = models
        .days
        .read(|days| balances_on(days, "acme", day("2026-01-01")));
    let sums: Vec<_> = rolled_up(&balances)
        .iter()
        .filter(|row| row.account.as_str().starts_with('3'))
        .map(|row| (row.account.to_string(), row.balance().minor_units()))
        .collect();
    let expected = [("3", 111), ("31", 111), ("311", 100), ("315", 11)];
    assert_eq!(sums, expected.map(|(id, sum)| (id.to_owned(), sum)));
    assert_eq!(
        models.sheet("2026-01-01").total_assets,
        Total::new(111, CZK)
    );
}

#[tokio::test]
async fn open_items_are_the_documents_that_are_not_paid_in_full_by_age() {
    let models = Models::over(books().await).await;
    let add = AddAccount::new(CZK, AccountKind::Asset);
    models.ledger.add_account("311", add).await.unwrap();
    models.post("2026-01-01", "inv1", "311", "sales", 100).await;
    models.post("2026-02-01", "inv2", "311", "sales", 50).await;
    models.post("2026-03-20", "inv3", "311", "sales", 70).await;
    models.post("2026-04-05", "inv4", "311", "sales", 1).await;
    models
        .post("2026-02-15", "inv1:paid", "bank", "311", 60)
        .await;
    models
        .post("2026-02-16", "inv2:paid", "bank", "311", 50)
        .await;
    models.catch_up().await;
    let open = |date: &str| {
        let account = "311".into();
        models
            .lines
            .read(|lines| open_items(lines, "acme", &account, Side::Debit, day(date)))
    };
    let items = open("2026-04-01");
    let told: Vec<_> = items
        .iter()
        .map(|item| (item.reference.as_deref(), item.age_days, item.open))
        .collect();
    assert_eq!(told, [(Some("inv1"), 90, 40), (Some("inv3"), 12, 70)]);
    let totals = AgedTotals {
        days_0_to_30: 70,
        days_61_to_90: 40,
        ..AgedTotals::default()
    };
    assert_eq!(aged(&items), totals);
    assert_eq!(open("2026-02-01").len(), 2);
}

#[tokio::test]
async fn holds_that_are_due_are_found_and_given_back_and_the_others_stay() {
    let models = Models::over(books().await).await;
    let ledger = &models.ledger;
    let holds = ledger.runtime.project(OpenHolds).await.unwrap();
    let soon = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + 200_000);
    let later = Timestamp::from_unix_micros(soon.unix_micros() + 3_600_000_000);
    let hold = |id: &str| Hold::new(id, day("2026-01-01")).transfer("rent", "bank", czk(1));
    ledger.hold(hold("soon").expires_at(soon)).await.unwrap();
    ledger.hold(hold("ended").expires_at(soon)).await.unwrap();
    ledger.hold(hold("later").expires_at(later)).await.unwrap();
    ledger.hold(hold("never")).await.unwrap();
    ledger.void_hold("ended").await.unwrap();
    let open = async || {
        let head = ledger.runtime.store().head();
        holds.wait_for(head, PATIENCE).await.unwrap();
        holds.read(|table| {
            let open = open_holds(table, "acme", None);
            open.map(|hold| hold.id.to_string()).collect::<Vec<_>>()
        })
    };
    assert_eq!(open().await, ["soon", "later", "never"]);
    // Somebody's clock is ahead: the ledger's own says no, and nothing happens.
    let early = ledger.expire_due_holds(&holds, soon).await;
    assert_eq!(early.unwrap(), []);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let expired = ledger.expire_due_holds(&holds, soon).await;
    assert_eq!(expired.unwrap(), ["soon".into()]);
    assert_eq!(open().await, ["later", "never"]);
    let bank = ledger.balance("bank").await.unwrap().unwrap();
    assert_eq!(bank.credits_pending, 2);
}
