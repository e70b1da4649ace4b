use super::account::GlAccount;
use super::rejections::PostingRejection;
use super::terms::Side;
use crate::money::Money;
use crate::total::Total;

/// Whether the account takes postings of that amount at all.
pub(super) fn check_amount(account: &GlAccount, amount: Money) -> Result<(), PostingRejection> {
    let terms = account.terms().ok_or(PostingRejection::NotOpen)?;
    if account.is_closed() {
        return Err(PostingRejection::Closed);
    }
    if amount.currency() != terms.currency {
        return Err(PostingRejection::WrongCurrency {
            account: terms.currency,
            amount,
        });
    }
    if !amount.is_positive() {
        return Err(PostingRejection::NotPositive { amount });
    }
    Ok(())
}

/// Whether the account's limits let an amount come to that side, posted or held.
///
/// As in TigerBeetle, a hold counts against a limit as if it were posted, and never in favour: what is held on the
/// side that lowers the balance is spent, what is held on the side that raises it has not come yet. So a hold can
/// always be posted, whatever was posted meanwhile.
pub(super) fn check_limits(
    account: &GlAccount,
    side: Side,
    amount: Money,
) -> Result<(), PostingRejection> {
    let terms = account.terms().ok_or(PostingRejection::NotOpen)?;
    let money = |minor_units| {
        let balance = Total::new(minor_units, terms.currency);
        balance
            .to_money()
            .map_err(|_| PostingRejection::Overflow { balance })
    };
    let posted = account.balance_on(terms.normal_side);
    let pending = account.pending_on(side);
    let comes = pending.saturating_add(amount.minor_units().into());
    if side == terms.normal_side {
        let highest = posted.saturating_add(comes);
        let fits = money(highest)?;
        return match account.place().and_then(|place| place.balance_max) {
            Some(limit) if fits.minor_units() > limit => Err(PostingRejection::AboveMaximum {
                amount,
                balance: money(posted)?,
                held: Total::new(pending, terms.currency),
                highest: Money::new(limit, terms.currency),
            }),
            _ => Ok(()),
        };
    }
    let lowest = Money::new(terms.overdraft.floor(), terms.currency);
    let left = money(posted.saturating_sub(comes))?;
    if left.minor_units() >= lowest.minor_units() {
        return Ok(());
    }
    let balance = money(posted)?;
    Err(if pending == 0 {
        PostingRejection::Overdrawn {
            amount,
            balance,
            lowest,
        }
    } else {
        PostingRejection::OverdrawnByHolds {
            amount,
            balance,
            held: Total::new(pending, terms.currency),
            lowest,
        }
    })
}

/// How much more may come to that side before a limit is reached, in minor units; what TigerBeetle's balancing
/// transfers take at most.
pub(super) fn room(account: &GlAccount, side: Side) -> i64 {
    let Some(terms) = account.terms() else {
        return 0;
    };
    let posted = account.balance_on(terms.normal_side);
    let pending = account.pending_on(side);
    let room = if side == terms.normal_side {
        let limit = account.place().and_then(|place| place.balance_max);
        i128::from(limit.unwrap_or(i64::MAX)).saturating_sub(posted)
    } else {
        posted.saturating_sub(terms.overdraft.floor().into())
    };
    let room = room.saturating_sub(pending).max(0);
    i64::try_from(room).unwrap_or(i64::MAX)
}
