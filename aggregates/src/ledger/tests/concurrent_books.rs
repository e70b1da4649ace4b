//! Many callers at once over a real runtime: the books hold behind every append.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::super::*;
use super::books::{czk, day};
use super::random_books::{Deed, act, any_deed, books_with_months, check};

const CALLERS: usize = 8;
const DEEDS_OF_EACH: usize = 120;

/// The same deeds in every run; what comes of them depends on who comes first.
fn deeds() -> Vec<Vec<Deed>> {
    let mut runner = TestRunner::deterministic();
    let mut any = || any_deed().new_tree(&mut runner).unwrap().current();
    let mut of_one = || (0..DEEDS_OF_EACH).map(|_| any()).collect();
    (0..CALLERS).map(|_| of_one()).collect()
}

/// With an id of its own for each caller, or the few ids would soon be used up.
fn with_caller(deed: Deed, caller: usize) -> Deed {
    // Every other caller shares its ids with a neighbour: both send entries and holds under the same ids.
    let offset = u8::try_from(caller / 2 * 24).unwrap();
    let own = |id: u8| id + offset;
    match deed {
        Deed::Post {
            id,
            accounts,
            amounts,
            date,
            overridden,
        } => Deed::Post {
            id: own(id),
            accounts,
            amounts,
            date,
            overridden,
        },
        Deed::Reverse { of, by, today } => Deed::Reverse {
            of: own(of),
            by: own(by),
            today,
        },
        Deed::Correct {
            of,
            id,
            accounts,
            amount,
            date,
        } => Deed::Correct {
            of: own(of),
            id: own(id),
            accounts,
            amount,
            date,
        },
        Deed::Hold {
            id,
            accounts,
            amount,
            expires,
        } => Deed::Hold {
            id: own(id),
            accounts,
            amount,
            expires,
        },
        Deed::PostHold {
            hold,
            id,
            part,
            date,
        } => Deed::PostHold {
            hold: own(hold),
            id: own(id),
            part,
            date,
        },
        Deed::Void { hold } => Deed::Void { hold: own(hold) },
        Deed::Expire { hold } => Deed::Expire { hold: own(hold) },
        Deed::UpTo {
            id,
            accounts,
            amount,
            date,
        } => Deed::UpTo {
            id: own(id),
            accounts,
            amount,
            date,
        },
        change @ Deed::Change { .. } => change,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_leave_books_that_hold_behind_every_append() {
    let ledger = books_with_months().await;
    let funds = Entry::new("funds", day("2026-04-01"));
    let refused = ledger
        .post(funds.clone().debit("cash", czk(1)).credit("sales", czk(1)))
        .await;
    assert!(
        matches!(refused, Err(LedgerError::Book(_))),
        "no such period"
    );
    ledger
        .add_period(day("2026-04-01"), day("2026-04-30"))
        .await
        .unwrap();
    let funds = funds.debit("cash", czk(5_000)).credit("sales", czk(5_000));
    ledger.post(funds).await.unwrap();

    let tasks: Vec<_> = deeds()
        .into_iter()
        .enumerate()
        .map(|(caller, deeds)| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let mut done = 0;
                for deed in deeds {
                    done += u64::from(act(&ledger, with_caller(deed, caller)).await);
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let audit = check(&ledger).await;
    // The run was worth something.
    assert!(done > 100, "{done} deeds were done");
    assert!(audit.entries > 50, "{} entries", audit.entries);
    assert!(audit.reversals > 3, "{} reversals", audit.reversals);
    assert!(audit.holds_ended > 10, "{} holds ended", audit.holds_ended);

    // And with the last holds given back, nothing is held.
    for number in 0..=u8::MAX {
        act(&ledger, Deed::Void { hold: number }).await;
    }
    assert_eq!(check_again(&ledger).await.open_holds(), 0);
}

/// The read models run already.
async fn check_again(ledger: &Ledger) -> super::audit::Audit {
    super::audit::Audit::of(ledger.runtime.store().as_ref()).await
}
