//! The rule book of an account. Each test is a rule, each block a case of it.

use foldhouse::testing::{Given, given};

use super::*;
use crate::currency::Currency::{CZK, EUR, JPY};
use crate::memo::{MEMO_CHARS_MAX, Memo, MemoTooLong};
use crate::money::Money;
use crate::total::Total;

fn czk(text: &str) -> Money {
    format!("{text} CZK").parse().unwrap()
}

fn opened(normal_side: Side, overdraft: OverdraftPolicy) -> GlEvent {
    GlEvent::Opened {
        currency: CZK,
        normal_side,
        overdraft,
    }
}

fn debited(minor_units: i64) -> GlEvent {
    GlEvent::Debited {
        minor_units,
        memo: None,
    }
}

fn credited(minor_units: i64) -> GlEvent {
    GlEvent::Credited {
        minor_units,
        memo: None,
    }
}

fn no_history() -> Given<GlAccount> {
    given([])
}

/// An asset that cannot be overdrawn.
fn cash(events: impl IntoIterator<Item = GlEvent>) -> Given<GlAccount> {
    given(
        [opened(Side::Debit, OverdraftPolicy::Forbidden)]
            .into_iter()
            .chain(events),
    )
}

/// A liability that cannot be overdrawn: what we owe a supplier.
fn payable(events: impl IntoIterator<Item = GlEvent>) -> Given<GlAccount> {
    given(
        [opened(Side::Credit, OverdraftPolicy::Forbidden)]
            .into_iter()
            .chain(events),
    )
}

fn bank(policy: OverdraftPolicy, events: impl IntoIterator<Item = GlEvent>) -> Given<GlAccount> {
    given([opened(Side::Debit, policy)].into_iter().chain(events))
}

fn limit(minor_units: i64) -> OverdraftPolicy {
    OverdraftPolicy::Limit { minor_units }
}

fn posting(balance: &str, number: u64) -> Posting {
    Posting {
        balance: czk(balance),
        number,
    }
}

// Opening

#[test]
fn an_account_is_opened_with_a_currency_a_normal_side_and_an_overdraft_policy() {
    no_history()
        .when(OpenAccount::new(JPY, Side::Credit).overdraft(limit(500)))
        .then([GlEvent::Opened {
            currency: JPY,
            normal_side: Side::Credit,
            overdraft: limit(500),
        }])
        .then_reply(&())
        .then_state(|account| {
            account.is_open()
                && account.currency() == Some(JPY)
                && account.normal_side() == Some(Side::Credit)
                && account.overdraft() == Some(limit(500))
                && account.balance() == Some(Money::zero(JPY))
        });
}

#[test]
fn an_account_cannot_be_overdrawn_unless_its_opening_says_so() {
    no_history()
        .when(OpenAccount::new(CZK, Side::Debit))
        .then([opened(Side::Debit, OverdraftPolicy::Forbidden)]);
}

#[test]
fn an_account_is_opened_only_once_even_with_the_same_terms() {
    cash([])
        .when(OpenAccount::new(CZK, Side::Debit))
        .then_rejected(&OpenRejection::AlreadyOpen);
    cash([])
        .when(OpenAccount::new(EUR, Side::Credit))
        .then_rejected(&OpenRejection::AlreadyOpen);
}

#[test]
fn a_closed_account_is_not_opened_again() {
    cash([GlEvent::Closed {}])
        .when(OpenAccount::new(CZK, Side::Debit))
        .then_rejected(&OpenRejection::Closed);
}

#[test]
fn an_overdraft_limit_is_not_negative() {
    no_history()
        .when(OpenAccount::new(CZK, Side::Debit).overdraft(limit(-1)))
        .then_rejected(&OpenRejection::NegativeOverdraftLimit {
            limit: czk("-0.01"),
        });
    no_history()
        .when(OpenAccount::new(CZK, Side::Debit).overdraft(limit(0)))
        .then([opened(Side::Debit, limit(0))]);
}

// Posting

#[test]
fn a_debit_raises_the_balance_of_an_account_whose_normal_side_is_debit() {
    cash([debited(10_000)])
        .when(Debit::new(czk("25.50")))
        .then([debited(2_550)])
        .then_reply(&posting("125.50", 2));
}

#[test]
fn a_credit_lowers_the_balance_of_an_account_whose_normal_side_is_debit() {
    cash([debited(10_000)])
        .when(Credit::new(czk("25.50")))
        .then([credited(2_550)])
        .then_reply(&posting("74.50", 2));
}

#[test]
fn a_credit_raises_the_balance_of_an_account_whose_normal_side_is_credit() {
    payable([])
        .when(Credit::new(czk("25.50")))
        .then([credited(2_550)])
        .then_reply(&posting("25.50", 1));
}

#[test]
fn a_debit_lowers_the_balance_of_an_account_whose_normal_side_is_credit() {
    payable([credited(10_000)])
        .when(Debit::new(czk("25.50")))
        .then([debited(2_550)])
        .then_reply(&posting("74.50", 2));
}

#[test]
fn an_account_keeps_what_was_posted_on_each_side() {
    cash([debited(300), credited(100), debited(50)])
        .when(Credit::new(czk("0.20")))
        .then_state(|account| {
            account.debits() == Some(Total::new(350, CZK))
                && account.credits() == Some(Total::new(120, CZK))
                && account.balance() == Some(czk("2.30"))
                && account.postings() == 4
        });
}

#[test]
fn nothing_is_posted_to_an_account_that_was_never_opened() {
    no_history()
        .when(Debit::new(czk("1")))
        .then_rejected(&PostingRejection::NotOpen);
    no_history()
        .when(Credit::new(czk("1")))
        .then_rejected(&PostingRejection::NotOpen);
}

#[test]
fn nothing_is_posted_to_a_closed_account() {
    cash([GlEvent::Closed {}])
        .when(Debit::new(czk("1")))
        .then_rejected(&PostingRejection::Closed);
    cash([GlEvent::Closed {}])
        .when(Credit::new(czk("1")))
        .then_rejected(&PostingRejection::Closed);
}

#[test]
fn an_account_takes_only_its_own_currency() {
    let amount = Money::new(100, EUR);
    let rejection = PostingRejection::WrongCurrency {
        account: CZK,
        amount,
    };
    assert_eq!(
        rejection.to_string(),
        "the account takes CZK, not 1.00 EUR; convert the amount first"
    );
    cash([]).when(Debit::new(amount)).then_rejected(&rejection);
    payable([])
        .when(Credit::new(amount))
        .then_rejected(&rejection);
}

#[test]
fn only_a_positive_amount_is_posted() {
    for text in ["0", "-1"] {
        let amount = czk(text);
        let rejection = PostingRejection::NotPositive { amount };
        cash([debited(100)])
            .when(Debit::new(amount))
            .then_rejected(&rejection);
        cash([debited(100)])
            .when(Credit::new(amount))
            .then_rejected(&rejection);
    }
}

#[test]
fn a_memo_is_recorded_with_the_posting() {
    let memo = Some(Memo::new("invoice 2026-0042").unwrap());
    cash([])
        .when(Debit::new(czk("1")).memo("invoice 2026-0042"))
        .then([GlEvent::Debited {
            minor_units: 100,
            memo: memo.clone(),
        }]);
    payable([])
        .when(Credit::new(czk("1")).memo("invoice 2026-0042"))
        .then([GlEvent::Credited {
            minor_units: 100,
            memo,
        }]);
}

#[test]
fn a_memo_that_is_too_long_is_refused_not_cut_off() {
    let rejection = PostingRejection::MemoTooLong(MemoTooLong { chars: 141 });
    assert_eq!(
        rejection.to_string(),
        "the memo has 141 characters; the limit is 140: shorten it"
    );
    let text = "ž".repeat(MEMO_CHARS_MAX + 1);
    cash([])
        .when(Debit::new(czk("1")).memo(text.clone()))
        .then_rejected(&rejection);
    payable([])
        .when(Credit::new(czk("1")).memo(text))
        .then_rejected(&rejection);
}

// Overdraft

#[test]
fn where_overdraft_is_forbidden_the_balance_goes_down_to_zero_and_no_further() {
    cash([debited(10_000)])
        .when(Credit::new(czk("100")))
        .then([credited(10_000)])
        .then_reply(&posting("0", 2));
    let rejection = PostingRejection::Overdrawn {
        amount: czk("100.01"),
        balance: czk("100"),
        lowest: czk("0"),
    };
    assert_eq!(
        rejection.to_string(),
        "100.01 CZK would overdraw the account: its balance is 100.00 CZK, the lowest allowed is 0.00 CZK"
    );
    cash([debited(10_000)])
        .when(Credit::new(czk("100.01")))
        .then_rejected(&rejection);
    payable([credited(10_000)])
        .when(Debit::new(czk("100.01")))
        .then_rejected(&rejection);
}

#[test]
fn an_overdraft_limit_is_how_far_the_balance_may_go_below_zero() {
    bank(limit(5_000), [debited(1_000)])
        .when(Credit::new(czk("60")))
        .then([credited(6_000)])
        .then_reply(&posting("-50", 2));
    bank(limit(5_000), [debited(1_000)])
        .when(Credit::new(czk("60.01")))
        .then_rejected(&PostingRejection::Overdrawn {
            amount: czk("60.01"),
            balance: czk("10"),
            lowest: czk("-50"),
        });
}

#[test]
fn an_unlimited_account_goes_as_far_below_zero_as_it_likes() {
    bank(OverdraftPolicy::Unlimited, [])
        .when(Credit::new(Money::new(i64::MAX, CZK)))
        .then_reply(&Posting {
            balance: Money::new(-i64::MAX, CZK),
            number: 1,
        });
}

#[test]
fn a_posting_on_the_normal_side_is_accepted_however_low_the_balance_is() {
    // Such a balance comes from elsewhere, an import for instance. It must be possible to make it good, step by step.
    cash([credited(10_000)])
        .when(Debit::new(czk("1")))
        .then([debited(100)])
        .then_reply(&posting("-99", 2));
}

// 64 bits

#[test]
fn a_balance_that_would_not_fit_64_bits_is_refused() {
    let above = PostingRejection::Overflow {
        balance: Total::new(i128::from(i64::MAX) + 1, CZK),
    };
    assert_eq!(
        above.to_string(),
        "the balance would become 92233720368547758.08 CZK, more than an account holds; split the account"
    );
    cash([debited(i64::MAX)])
        .when(Debit::new(czk("0.01")))
        .then_rejected(&above);
    let below = PostingRejection::Overflow {
        balance: Total::new(i128::from(i64::MIN) - 1, CZK),
    };
    bank(
        OverdraftPolicy::Unlimited,
        [credited(i64::MAX), credited(1)],
    )
    .when(Credit::new(czk("0.01")))
    .then_rejected(&below);
}

#[test]
fn the_turnover_may_exceed_64_bits_as_long_as_the_balance_fits() {
    let busy = [
        debited(i64::MAX),
        credited(i64::MAX),
        debited(i64::MAX),
        credited(i64::MAX),
    ];
    cash(busy)
        .when(Debit::new(czk("1")))
        .then_reply(&posting("1", 5))
        .then_state(|account| {
            account.debits() == Some(Total::new(2 * i128::from(i64::MAX) + 100, CZK))
        });
}

#[test]
fn a_foreign_history_beyond_64_bits_has_no_balance_but_still_its_two_sides() {
    let given = cash([debited(i64::MAX), debited(i64::MAX)]);
    assert_eq!(given.state().balance(), None);
    assert_eq!(
        given.state().debits(),
        Some(Total::new(2 * i128::from(i64::MAX), CZK))
    );
    given
        .when(CloseAccount)
        .then_rejected(&CloseRejection::BalanceNotZero {
            balance: Total::new(2 * i128::from(i64::MAX), CZK),
        });
}

// Closing

#[test]
fn an_account_with_a_balance_of_zero_is_closed() {
    cash([debited(100), debited(50), credited(150)])
        .when(CloseAccount)
        .then([GlEvent::Closed {}])
        .then_reply(&ClosedAccount {
            turnover: Total::new(150, CZK),
            postings: 3,
        })
        .then_state(|account| account.is_closed() && !account.is_open());
    cash([]).when(CloseAccount).then([GlEvent::Closed {}]);
}

#[test]
fn an_account_with_a_balance_is_not_closed() {
    let rejection = CloseRejection::BalanceNotZero {
        balance: czk("1.50").into(),
    };
    assert_eq!(
        rejection.to_string(),
        "the account has a balance of 1.50 CZK; post it to another account before closing"
    );
    cash([debited(150)])
        .when(CloseAccount)
        .then_rejected(&rejection);
    bank(limit(500), [credited(150)])
        .when(CloseAccount)
        .then_rejected(&CloseRejection::BalanceNotZero {
            balance: czk("-1.50").into(),
        });
}

#[test]
fn only_an_open_account_is_closed() {
    no_history()
        .when(CloseAccount)
        .then_rejected(&CloseRejection::NotOpen);
    cash([GlEvent::Closed {}])
        .when(CloseAccount)
        .then_rejected(&CloseRejection::AlreadyClosed);
}

mod amounts;
mod audit;
mod books;
mod chart;
mod concurrent_books;
mod entries;
mod periods;
mod random_books;
mod statements;
