//! What holds after any sequence of commands to the ledger, and behind each of its appends.

use foldhouse::{Clock, SystemClock, Timestamp};
use proptest::prelude::*;

use super::super::*;
use super::audit::Audit;
use super::books::{books, czk, day};
use crate::currency::Currency::CZK;

pub(super) const ACCOUNTS: [&str; 6] = ["cash", "bank", "sales", "rent", "payables", "customer"];
const DATES: [&str; 4] = ["2026-01-15", "2026-02-15", "2026-03-15", "2026-04-15"];
const PERIODS: [(&str, &str); 3] = [
    ("2026-01-01", "2026-01-31"),
    ("2026-02-01", "2026-02-28"),
    ("2026-03-01", "2026-03-31"),
];

#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// Lines from one account to two others.
    Post {
        id: u8,
        accounts: [usize; 3],
        amounts: [i64; 2],
        date: usize,
        overridden: bool,
    },
    Reverse {
        of: u8,
        by: u8,
        today: Option<usize>,
    },
    Correct {
        of: u8,
        id: u8,
        accounts: [usize; 2],
        amount: i64,
        date: usize,
    },
    Hold {
        id: u8,
        accounts: [usize; 2],
        amount: i64,
        expires: bool,
    },
    PostHold {
        hold: u8,
        id: u8,
        part: i64,
        date: usize,
    },
    Void {
        hold: u8,
    },
    Expire {
        hold: u8,
    },
    UpTo {
        id: u8,
        accounts: [usize; 2],
        amount: i64,
        date: usize,
    },
    Change {
        period: usize,
        status: PeriodStatus,
    },
}

fn account() -> impl Strategy<Value = usize> {
    0..ACCOUNTS.len()
}

fn date() -> impl Strategy<Value = usize> {
    0..DATES.len()
}

/// Few ids, so that many come again.
fn id() -> impl Strategy<Value = u8> {
    0_u8..24
}

pub(super) fn any_deed() -> impl Strategy<Value = Deed> {
    let amount = || 1_i64..500;
    let status = prop_oneof![
        4 => Just(PeriodStatus::Open),
        4 => Just(PeriodStatus::SoftClosed),
        1 => Just(PeriodStatus::HardClosed),
    ];
    prop_oneof![
        8 => (id(), [account(), account(), account()], [amount(), amount()], date(), any::<bool>())
            .prop_map(|(id, accounts, amounts, date, overridden)| {
                Deed::Post { id, accounts, amounts, date, overridden }
            }),
        3 => (id(), id(), prop::option::of(date()))
            .prop_map(|(of, by, today)| Deed::Reverse { of, by, today }),
        2 => (id(), id(), [account(), account()], amount(), date())
            .prop_map(|(of, id, accounts, amount, date)| {
                Deed::Correct { of, id, accounts, amount, date }
            }),
        5 => (id(), [account(), account()], amount(), prop::bool::weighted(0.2))
            .prop_map(|(id, accounts, amount, expires)| {
                Deed::Hold { id, accounts, amount, expires }
            }),
        4 => (id(), id(), amount(), date())
            .prop_map(|(hold, id, part, date)| Deed::PostHold { hold, id, part, date }),
        2 => id().prop_map(|hold| Deed::Void { hold }),
        2 => id().prop_map(|hold| Deed::Expire { hold }),
        3 => (id(), [account(), account()], amount(), date())
            .prop_map(|(id, accounts, amount, date)| Deed::UpTo { id, accounts, amount, date }),
        1 => (0..PERIODS.len(), status).prop_map(|(period, status)| Deed::Change { period, status }),
    ]
}

/// The books of the rule tests with a credit limit and three months.
pub(super) async fn books_with_months() -> Ledger {
    let ledger = books().await;
    let customer = AddAccount::new(CZK, AccountKind::Asset).balance_max(600);
    ledger.add_account("customer", customer).await.unwrap();
    for (first, last) in PERIODS {
        ledger.add_period(day(first), day(last)).await.unwrap();
    }
    ledger
}

/// Does it. The domain may say no; nothing else may go wrong.
pub(super) async fn act(ledger: &Ledger, deed: Deed) -> bool {
    let done = match deed {
        Deed::Post {
            id,
            accounts,
            amounts,
            date,
            overridden,
        } => {
            let [from, to, other] = accounts.map(|account| ACCOUNTS[account]);
            let mut entry = Entry::new(format!("e{id}"), day(DATES[date]))
                .debit(to, czk(amounts[0]))
                .debit(other, czk(amounts[1]))
                .credit(from, czk(amounts[0] + amounts[1]));
            if overridden {
                entry = entry.override_soft_close("late");
            }
            ledger.post(entry).await.map(drop)
        }
        Deed::Reverse { of, by, today } => {
            let date = today.map_or(ReversalDate::Original, |date| {
                ReversalDate::On(day(DATES[date]))
            });
            let (of, by) = (format!("e{of}"), format!("e{by}"));
            ledger.reverse(of, by, date).await.map(drop)
        }
        Deed::Correct {
            of,
            id,
            accounts,
            amount,
            date,
        } => {
            let [from, to] = accounts.map(|account| ACCOUNTS[account]);
            let entry = Entry::new(format!("e{id}"), day(DATES[date]))
                .debit(to, czk(amount))
                .credit(from, czk(amount));
            let of = format!("e{of}");
            ledger
                .correct(of, entry, ReversalDate::Original)
                .await
                .map(drop)
        }
        Deed::Hold {
            id,
            accounts,
            amount,
            expires,
        } => {
            let [from, to] = accounts.map(|account| ACCOUNTS[account]);
            let mut hold = Hold::new(format!("h{id}"), day("2026-01-15"));
            hold = hold.transfer(to, from, czk(amount));
            if expires {
                let soon = SystemClock.now().unix_micros() + 2_000;
                hold = hold.expires_at(Timestamp::from_unix_micros(soon));
            }
            ledger.hold(hold).await.map(drop)
        }
        Deed::PostHold {
            hold,
            id,
            part,
            date,
        } => {
            let part = match part {
                ..=250 => PostedPart::Amount(czk(part)),
                _ => PostedPart::Full,
            };
            let (hold, id) = (format!("h{hold}"), format!("e{id}"));
            ledger
                .post_hold(hold, id, day(DATES[date]), part)
                .await
                .map(drop)
        }
        Deed::Void { hold } => ledger.void_hold(format!("h{hold}")).await.map(drop),
        Deed::Expire { hold } => ledger.expire_hold(format!("h{hold}")).await.map(drop),
        Deed::UpTo {
            id,
            accounts,
            amount,
            date,
        } => {
            let [from, to] = accounts.map(|account| ACCOUNTS[account]);
            let (id, date) = (format!("e{id}"), day(DATES[date]));
            ledger
                .transfer_up_to(id, date, to, from, czk(amount))
                .await
                .map(drop)
        }
        Deed::Change { period, status } => {
            ledger.change_period(day(PERIODS[period].0), status).await
        }
    };
    match done {
        Ok(()) => true,
        Err(LedgerError::Transaction(error)) => panic!("not the domain: {error}"),
        Err(LedgerError::Query(error)) => panic!("not the domain: {error}"),
        Err(_) => false,
    }
}

/// What the accounts, the audit of the journal and the read models have is the same.
pub(super) async fn check(ledger: &Ledger) -> Audit {
    let audit = Audit::of(ledger.runtime.store().as_ref()).await;
    let days = ledger.runtime.project(LedgerDays).await.unwrap();
    let balances = ledger.runtime.project(Balances).await.unwrap();
    let head = ledger.runtime.store().head();
    let patience = std::time::Duration::from_secs(30);
    days.wait_for(head, patience).await.unwrap();
    balances.wait_for(head, patience).await.unwrap();
    // Behind everything, also holds that were given back today.
    let end = day("2999-12-31");
    let dated = days.read(|days| balances_on(days, "acme", end));
    for account in ACCOUNTS {
        let expected = audit.account(account);
        assert_eq!(ledger.balance(account).await.unwrap(), Some(expected));
        let stream = ledger.account(&account.into()).unwrap();
        let row = balances.read(|rows| rows.get(stream.stream()).copied());
        assert_eq!(row, Some(expected));
        let row = dated.iter().find(|row| row.account.as_str() == account);
        let turnover = row.unwrap().turnover;
        let figures = (expected.debits, expected.credits);
        assert_eq!((turnover.debits, turnover.credits), figures);
        let pending = (expected.debits_pending, expected.credits_pending);
        assert_eq!((turnover.debits_pending, turnover.credits_pending), pending);
    }
    let sheet = days.read(|days| balance_sheet(days, "acme", end)).unwrap();
    assert!(sheet.iter().all(|sheet| sheet.difference.is_zero()));
    audit
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_books_hold_behind_every_append_of_any_sequence(
        deeds in prop::collection::vec(any_deed(), 1..80),
    ) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let ledger = books_with_months().await;
            let mut done = 0_u64;
            for deed in deeds {
                // A deed that is sent again comes to the same, whatever it came to.
                let first = act(&ledger, deed.clone()).await;
                let head = ledger.runtime.store().head();
                let retried = act(&ledger, deed.clone()).await;
                // A hold that expires is another one each time, and a period changes its status once.
                let differs = matches!(deed, Deed::Change { .. } | Deed::Hold { expires: true, .. });
                if first && !differs {
                    assert!(retried, "{deed:?} was done and then refused");
                    assert_eq!(ledger.runtime.store().head(), head, "{deed:?} took effect twice");
                }
                done += u64::from(first);
            }
            let audit = check(&ledger).await;
            assert!(audit.appends > done);
        });
    }
}
