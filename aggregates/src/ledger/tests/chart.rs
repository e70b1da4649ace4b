//! The rules of the chart of accounts, and of the lines that come to its accounts.

use foldhouse::testing::given;

use super::super::*;
use crate::currency::Currency::{CZK, EUR};
use crate::money::Money;
use crate::total::Total;

fn czk(minor_units: i64) -> Money {
    Money::new(minor_units, CZK)
}

fn opened(kind: AccountKind, overdraft: OverdraftPolicy) -> Vec<GlEvent> {
    account(kind, overdraft, false, None)
}

fn account(
    kind: AccountKind,
    overdraft: OverdraftPolicy,
    control: bool,
    balance_max: Option<i64>,
) -> Vec<GlEvent> {
    let place = ChartPlace {
        kind,
        name: None,
        parent: None,
        control,
        balance_max,
    };
    vec![
        GlEvent::Opened {
            currency: CZK,
            normal_side: kind.normal_side(),
            overdraft,
        },
        GlEvent::Charted(Box::new(place)),
    ]
}

fn posted(side: Side, minor_units: i64) -> GlEvent {
    GlEvent::LinePosted {
        entry: "e".into(),
        side,
        minor_units,
    }
}

fn held(side: Side, minor_units: i64) -> GlEvent {
    GlEvent::LineHeld {
        hold: "h".into(),
        side,
        minor_units,
    }
}

fn post(side: Side, minor_units: i64) -> AccountLine {
    AccountLine {
        action: LineAction::Post("e".into()),
        side,
        amount: czk(minor_units),
    }
}

fn hold(side: Side, minor_units: i64) -> AccountLine {
    AccountLine {
        action: LineAction::Hold("h".into()),
        ..post(side, minor_units)
    }
}

fn release(side: Side, minor_units: i64) -> AccountLine {
    AccountLine {
        action: LineAction::Release("h".into()),
        ..post(side, minor_units)
    }
}

#[test]
fn assets_and_expenses_grow_on_the_debit_side_and_the_rest_on_the_credit_side() {
    for (kind, side) in [
        (AccountKind::Asset, Side::Debit),
        (AccountKind::Expense, Side::Debit),
        (AccountKind::Liability, Side::Credit),
        (AccountKind::Equity, Side::Credit),
        (AccountKind::Income, Side::Credit),
    ] {
        given::<GlAccount>([])
            .when(AddAccount::new(CZK, kind))
            .then(opened(kind, OverdraftPolicy::Unlimited))
            .then_state(|account| account.normal_side() == Some(side));
    }
}

#[test]
fn a_contra_account_grows_on_the_other_side_than_its_kind() {
    given::<GlAccount>([])
        .when(AddAccount::new(CZK, AccountKind::Asset).contra())
        .then_state(|account| account.normal_side() == Some(Side::Credit));
}

#[test]
fn an_account_is_added_once_and_with_limits_that_are_not_negative() {
    given::<GlAccount>(opened(AccountKind::Asset, OverdraftPolicy::Unlimited))
        .when(AddAccount::new(CZK, AccountKind::Asset))
        .then_rejected(&OpenRejection::AlreadyOpen);
    given::<GlAccount>([])
        .when(AddAccount::new(CZK, AccountKind::Asset).balance_max(-1))
        .then_rejected(&OpenRejection::NegativeBalanceMax { limit: czk(-1) });
}

#[test]
fn an_account_of_the_chart_takes_no_posting_without_its_other_side() {
    given::<GlAccount>(opened(AccountKind::Asset, OverdraftPolicy::Unlimited))
        .when(Debit::new(czk(1)))
        .then_rejected(&PostingRejection::OnlyByEntry);
}

#[test]
fn nothing_is_posted_to_a_control_account() {
    let control = account(AccountKind::Asset, OverdraftPolicy::Unlimited, true, None);
    given::<GlAccount>(control.clone())
        .when(post(Side::Debit, 1))
        .then_rejected(&PostingRejection::ControlAccount);
    given::<GlAccount>(control)
        .when(hold(Side::Debit, 1))
        .then_rejected(&PostingRejection::ControlAccount);
}

#[test]
fn a_line_is_posted_on_its_side_and_tells_what_the_account_has_then() {
    let mut history = opened(AccountKind::Asset, OverdraftPolicy::Unlimited);
    history.push(posted(Side::Debit, 500));
    let mut balance = AccountBalance::new(CZK, Side::Debit);
    (balance.debits, balance.credits) = (500, 700);
    given::<GlAccount>(history)
        .when(post(Side::Credit, 700))
        .then([posted(Side::Credit, 700)])
        .then_reply(&balance)
        .then_state(|account| account.balance() == Some(czk(-200)));
}

#[test]
fn a_line_in_another_currency_or_without_an_amount_is_refused() {
    let cash = opened(AccountKind::Asset, OverdraftPolicy::Unlimited);
    let euros = AccountLine {
        amount: Money::new(5, EUR),
        ..post(Side::Debit, 1)
    };
    given::<GlAccount>(cash.clone())
        .when(euros)
        .then_rejected(&PostingRejection::WrongCurrency {
            account: CZK,
            amount: Money::new(5, EUR),
        });
    given::<GlAccount>(cash)
        .when(post(Side::Debit, 0))
        .then_rejected(&PostingRejection::NotPositive { amount: czk(0) });
}

#[test]
fn cash_may_not_go_credit_and_a_deposit_may_not_go_debit() {
    let cash = AddAccount::new(CZK, AccountKind::Asset).may_not_go(Side::Credit);
    given::<GlAccount>([])
        .when(cash)
        .then(opened(AccountKind::Asset, OverdraftPolicy::Forbidden));
    let mut deposit = opened(AccountKind::Liability, OverdraftPolicy::Forbidden);
    deposit.push(posted(Side::Credit, 100));
    given::<GlAccount>(deposit.clone())
        .when(post(Side::Debit, 100))
        .then([posted(Side::Debit, 100)]);
    given::<GlAccount>(deposit)
        .when(post(Side::Debit, 101))
        .then_rejected(&PostingRejection::Overdrawn {
            amount: czk(101),
            balance: czk(100),
            lowest: czk(0),
        });
}

#[test]
fn an_account_that_may_not_go_to_its_own_side_has_a_highest_balance_of_zero() {
    let clearing = AddAccount::new(CZK, AccountKind::Asset).may_not_go(Side::Debit);
    given::<GlAccount>([]).when(clearing).then(account(
        AccountKind::Asset,
        OverdraftPolicy::Unlimited,
        false,
        Some(0),
    ));
}

#[test]
fn a_customer_owes_no_more_than_the_credit_limit_with_what_is_held_for_it() {
    let mut customer = account(
        AccountKind::Asset,
        OverdraftPolicy::Unlimited,
        false,
        Some(1_000),
    );
    customer.extend([posted(Side::Debit, 600), held(Side::Debit, 300)]);
    given::<GlAccount>(customer.clone())
        .when(post(Side::Debit, 100))
        .then([posted(Side::Debit, 100)]);
    given::<GlAccount>(customer.clone())
        .when(hold(Side::Debit, 101))
        .then_rejected(&PostingRejection::AboveMaximum {
            amount: czk(101),
            balance: czk(600),
            held: Total::new(300, CZK),
            highest: czk(1_000),
        });
    assert_eq!(
        given::<GlAccount>(customer).state().room(Side::Debit),
        Some(czk(100))
    );
}

#[test]
fn what_is_held_is_spent_and_what_is_held_for_one_has_not_come() {
    let mut cash = opened(AccountKind::Asset, OverdraftPolicy::Forbidden);
    cash.extend([posted(Side::Debit, 100), held(Side::Credit, 60)]);
    cash.push(held(Side::Debit, 1_000));
    given::<GlAccount>(cash.clone())
        .when(post(Side::Credit, 40))
        .then([posted(Side::Credit, 40)]);
    given::<GlAccount>(cash.clone())
        .when(post(Side::Credit, 41))
        .then_rejected(&PostingRejection::OverdrawnByHolds {
            amount: czk(41),
            balance: czk(100),
            held: Total::new(60, CZK),
            lowest: czk(0),
        });
    let row = AccountBalance::of(given::<GlAccount>(cash).state()).unwrap();
    assert_eq!(row.available(), Total::new(40, CZK));
    assert_eq!(row.balance(), Total::new(100, CZK));
}

#[test]
fn no_more_is_released_than_is_held() {
    let mut cash = opened(AccountKind::Asset, OverdraftPolicy::Forbidden);
    cash.extend([posted(Side::Debit, 100), held(Side::Credit, 60)]);
    given::<GlAccount>(cash.clone())
        .when(release(Side::Credit, 60))
        .then_state(|account| account.room(Side::Credit) == Some(czk(100)));
    given::<GlAccount>(cash)
        .when(release(Side::Credit, 61))
        .then_rejected(&PostingRejection::NotHeld {
            amount: czk(61),
            held: Total::new(60, CZK),
        });
}

#[test]
fn an_account_with_an_open_hold_is_not_closed() {
    let mut cash = opened(AccountKind::Asset, OverdraftPolicy::Unlimited);
    cash.push(held(Side::Credit, 60));
    given::<GlAccount>(cash)
        .when(CloseAccount)
        .then_rejected(&CloseRejection::Held {
            held: Total::new(60, CZK),
        });
}

#[test]
fn the_events_of_the_chart_are_written_as_these_bytes_and_read_from_them() {
    let place = ChartPlace {
        kind: AccountKind::Asset,
        name: None,
        parent: Some("2".into()),
        control: false,
        balance_max: None,
    };
    let events: [(GlEvent, &[u8]); 4] = [
        (
            GlEvent::Charted(Box::new(place)),
            b"\x81\xa7Charted\x83\xa4kind\xa5Asset\xa6parent\xa12\xa7control\xc2",
        ),
        (
            posted(Side::Debit, 5),
            b"\x81\xaaLinePosted\x83\xa5entry\xa1e\xa4side\xa5Debit\xabminor_units\x05",
        ),
        (
            held(Side::Credit, 5),
            b"\x81\xa8LineHeld\x83\xa4hold\xa1h\xa4side\xa6Credit\xabminor_units\x05",
        ),
        (
            GlEvent::LineReleased {
                hold: "h".into(),
                side: Side::Credit,
                minor_units: 5,
            },
            b"\x81\xacLineReleased\x83\xa4hold\xa1h\xa4side\xa6Credit\xabminor_units\x05",
        ),
    ];
    for (event, bytes) in events {
        assert_eq!(rmp_serde::to_vec_named(&event).unwrap(), bytes, "{event:?}");
        assert_eq!(rmp_serde::from_slice::<GlEvent>(bytes).unwrap(), event);
    }
}
