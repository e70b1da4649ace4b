use crate::memo::MemoTooLong;
use crate::money::Money;
use crate::total::Total;

/// Why an account is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRejection {
    /// It exists, with the same terms or others.
    #[error("the account is already open; post to it, or open one under another id")]
    AlreadyOpen,
    /// It existed; its history stays as it is.
    #[error("the account was closed and stays closed; open one under another id")]
    Closed,
    /// An overdraft limit says how far below zero, so it is not negative itself.
    #[error("the overdraft limit is {limit}; give it as zero or a positive amount")]
    NegativeOverdraftLimit {
        /// The limit as given.
        limit: Money,
    },
}

/// Why a debit or a credit is not posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostingRejection {
    /// There is no such account yet.
    #[error("the account is not open; open it first")]
    NotOpen,
    /// The account takes no more postings.
    #[error("the account is closed; post to another one")]
    Closed,
    /// The account is kept in another currency.
    #[error("the account takes {}, not {amount}; convert the amount first", .account.code())]
    WrongCurrency {
        /// The account's currency.
        account: crate::Currency,
        /// The amount that came.
        amount: Money,
    },
    /// The amount is zero or negative. Correct a posting by one on the other side.
    #[error("{amount} cannot be posted; give a positive amount, on the other side to take back")]
    NotPositive {
        /// The amount that came.
        amount: Money,
    },
    /// The memo is too long.
    #[error(transparent)]
    MemoTooLong(#[from] MemoTooLong),
    /// The balance would fall below what the account's overdraft policy allows.
    #[error(
        "{amount} would overdraw the account: its balance is {balance}, the lowest allowed is {lowest}"
    )]
    Overdrawn {
        /// The amount that came.
        amount: Money,
        /// The balance before it, on the normal side.
        balance: Money,
        /// The lowest balance that the policy allows.
        lowest: Money,
    },
    /// The balance would not fit 64 bits of minor units.
    #[error("the balance would become {balance}, more than an account holds; split the account")]
    Overflow {
        /// What the balance would be, on the normal side.
        balance: Total,
    },
}

/// Why an account is not closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseRejection {
    /// There is no such account yet.
    #[error("the account is not open; there is nothing to close")]
    NotOpen,
    /// It is closed already.
    #[error("the account is already closed")]
    AlreadyClosed,
    /// It still holds something.
    #[error("the account has a balance of {balance}; post it to another account before closing")]
    BalanceNotZero {
        /// The balance, on the normal side.
        balance: Total,
    },
}
